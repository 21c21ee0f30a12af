"""ApiVersions: what the client says about itself, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatResponse
from datacore.broker.context import RequestContext, Session
from datacore.handlers.api import Api, top_level_error
from datacore.handlers.api_versions import api_versions
from datacore.protocol.api_versions import Feature
from datacore.protocol.errors import KafkaError


def context(version: int) -> RequestContext:
    session = Session(
        connection_id="c",
        listener_name="PLAINTEXT",
        client_host="h",
        client_port=1,
        local_host="h",
        local_port=2,
    )
    return RequestContext(session, ApiKey.API_VERSIONS, version, 7, None)


def answer(
    asked: RequestContext, request: ApiVersionsRequest, withheld: frozenset[int] = frozenset()
) -> ApiVersionsResponse:
    others: list[Api[None, Any, Any]] = [
        Api(
            key=ApiKey.HEARTBEAT,
            min_version=1,
            max_version=4,
            handle=lambda *_: None,
            error_response=top_level_error(HeartbeatResponse),
        )
    ]
    feature = Feature("metadata.version", min_level=7, max_level=27, finalized_level=26)
    entry = api_versions(others, lambda _: ([feature], 300), lambda _: withheld)
    response = entry.handle(None, asked, request)
    assert isinstance(response, ApiVersionsResponse)
    return response


def test_the_answer_holds_the_rest_of_the_table_and_itself() -> None:
    response = answer(context(0), ApiVersionsRequest())

    told = [(key.api_key, key.min_version, key.max_version) for key in response.api_keys]
    assert told == [(12, 1, 4), (18, 0, 4)]


def test_what_is_withheld_is_not_told() -> None:
    response = answer(context(0), ApiVersionsRequest(), frozenset({ApiKey.HEARTBEAT}))

    assert [key.api_key for key in response.api_keys] == [ApiKey.API_VERSIONS]


def test_the_session_learns_the_clients_software() -> None:
    asked = context(3)
    answer(asked, ApiVersionsRequest(client_software_name="sarama", client_software_version="1.4"))

    assert asked.session.client_software_name == "sarama"
    assert asked.session.client_software_version == "1.4"


def test_an_old_client_tells_no_name_and_none_is_made_up() -> None:
    asked = context(2)
    answer(asked, ApiVersionsRequest())

    assert asked.session.client_software_name == "unknown"


def test_a_client_without_a_proper_name_is_refused() -> None:
    with pytest.raises(KafkaError) as raised:
        answer(context(3), ApiVersionsRequest(client_software_version="1"))

    assert raised.value.code == ErrorCode.INVALID_REQUEST


def test_features_are_told_to_clients_that_know_them() -> None:
    named = ApiVersionsRequest(client_software_name="sarama", client_software_version="1.4")
    response = answer(context(3), named)

    supported = [
        (each.name, each.min_version, each.max_version) for each in response.supported_features
    ]
    finalized = [(each.name, each.max_version_level) for each in response.finalized_features]
    assert supported == [("metadata.version", 7, 27)]
    assert finalized == [("metadata.version", 26)]
    assert response.finalized_features_epoch == 300
    assert answer(context(2), ApiVersionsRequest()).supported_features == []
