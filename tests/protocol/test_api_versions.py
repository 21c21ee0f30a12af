"""What the broker says it speaks."""

from __future__ import annotations

import pytest

from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.errors import ErrorCode
from datacore.protocol.api_versions import (
    ApiRange,
    Feature,
    api_versions_response,
    has_valid_client_software,
    unsupported_api_versions_body,
)

RANGES = [ApiRange(0, 0, 13), ApiRange(18, 0, 4)]


@pytest.mark.parametrize("version", range(5))
def test_every_range_is_told_in_every_version(version: int) -> None:
    body = api_versions_response(RANGES, version).encode(version)

    response, end = ApiVersionsResponse.decode(body, version)
    assert end == len(body)
    assert response.error_code == ErrorCode.NONE
    assert [(k.api_key, k.min_version, k.max_version) for k in response.api_keys] == [
        (0, 0, 13),
        (18, 0, 4),
    ]


def test_an_unsupported_version_is_told_every_range() -> None:
    response, _ = ApiVersionsResponse.decode(unsupported_api_versions_body(RANGES), 0)

    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [k.api_key for k in response.api_keys] == [0, 18]


@pytest.mark.parametrize(("version", "names"), [(2, []), (3, ["b"]), (4, ["a", "b"])])
def test_a_feature_with_levels_from_0_is_told_from_version_4_on(
    version: int, names: list[str]
) -> None:
    features = [Feature("a", 0, 1, 1), Feature("b", 1, 2, 0)]
    response = api_versions_response(RANGES, version, features=features, features_epoch=6)
    decoded, _ = ApiVersionsResponse.decode(response.encode(version), version)

    assert [feature.name for feature in decoded.supported_features] == names
    if version >= 3:
        assert decoded.finalized_features_epoch == 6
        assert [(f.name, f.max_version_level) for f in decoded.finalized_features] == [("a", 1)]


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("apache-kafka-java", True),
        ("a", True),
        ("librdkafka.2", True),
        ("", False),
        ("-a", False),
        ("a-", False),
        ("a b", False),
        ("a\n", False),
        ("ä", False),
    ],
)
def test_the_names_of_clients_are_those_that_kafka_takes(name: str, is_valid: bool) -> None:  # noqa: FBT001
    for request in (
        ApiVersionsRequest(client_software_name=name, client_software_version="1.0"),
        ApiVersionsRequest(client_software_name="client", client_software_version=name),
    ):
        assert has_valid_client_software(request, 3) is is_valid
        assert has_valid_client_software(request, 2)
