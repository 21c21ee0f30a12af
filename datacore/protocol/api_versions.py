"""What the broker says it speaks: the answers to ApiVersions (key 18; KIP-35, KIP-511, KIP-584).

Rules:

- Exactly what is handled is told, every API with its range.
- A request of a version that is not served is answered in version 0 with UNSUPPORTED_VERSION and
  every range, so that the client can ask again. Apache Kafka tells the range of ApiVersions alone
  there; clients look up what they need in the list, so the whole of it serves the old ones too.
- From version 3 on the client names itself; names that Kafka's pattern refuses are INVALID_REQUEST.
- A feature whose lowest supported level is 0 is told from version 4 on only: clients of version 3
  refuse such a range (KAFKA-17011).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datacore._generated.api_versions import (
    ApiVersion,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from datacore._generated.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datacore._generated.api_versions import ApiVersionsRequest

_SOFTWARE_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
_CLIENT_NAMED_FROM: Final = 3
_FEATURE_MIN_LEVEL_ZERO_FROM: Final = 4


@dataclass(frozen=True, slots=True)
class ApiRange:
    """The versions of one API that are served."""

    key: int
    min_version: int
    max_version: int


@dataclass(frozen=True, slots=True)
class Feature:
    """A cluster feature (KIP-584): the levels that this broker can do, and the one in force."""

    name: str
    min_level: int
    max_level: int
    finalized_level: int
    """0 where the feature is not in force."""


def has_valid_client_software(request: ApiVersionsRequest, version: int) -> bool:
    """Whether the client's name and version are such as Kafka accepts; older ones tell none."""
    return version < _CLIENT_NAMED_FROM or (
        _SOFTWARE_NAME.fullmatch(request.client_software_name) is not None
        and _SOFTWARE_NAME.fullmatch(request.client_software_version) is not None
    )


def api_versions_response(
    ranges: Iterable[ApiRange],
    version: int,
    *,
    features: Sequence[Feature] = (),
    features_epoch: int = -1,
) -> ApiVersionsResponse:
    """The answer to a request of a served version.

    Args:
        ranges: What is served.
        version: The request's version.
        features: What this broker could do and what is in force.
        features_epoch: Orders what is in force; -1 while nothing is known about it.
    """
    response = ApiVersionsResponse(api_keys=_api_keys(ranges))
    if version >= _CLIENT_NAMED_FROM:
        response.supported_features = [
            SupportedFeatureKey(
                name=feature.name, min_version=feature.min_level, max_version=feature.max_level
            )
            for feature in features
            if feature.min_level > 0 or version >= _FEATURE_MIN_LEVEL_ZERO_FROM
        ]
        response.finalized_features_epoch = features_epoch
        response.finalized_features = [
            FinalizedFeatureKey(
                name=feature.name,
                max_version_level=feature.finalized_level,
                min_version_level=feature.finalized_level,
            )
            for feature in features
            if feature.finalized_level > 0
        ]
    return response


def unsupported_api_versions_body(ranges: Iterable[ApiRange]) -> bytes:
    """The body, in version 0, of the answer to a request of a version that is not served."""
    response = ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=_api_keys(ranges)
    )
    return response.encode(0)


def _api_keys(ranges: Iterable[ApiRange]) -> list[ApiVersion]:
    return [
        ApiVersion(api_key=each.key, min_version=each.min_version, max_version=each.max_version)
        for each in ranges
    ]
