"""Routes: what is looked up once for each API and version."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchableTopicResponse, FetchResponse
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore.broker.context import RequestContext, Session
from datacore.handlers.api import Api
from datacore.protocol.errors import KafkaError
from datacore.server.dispatch import Dispatch, Route
from tests.server.harness import ToyBroker, toy_table

if TYPE_CHECKING:
    import pytest

    from datacore.protocol.message import Message


def context() -> RequestContext:
    session = Session(
        connection_id="c",
        listener_name="PLAINTEXT",
        client_host="h",
        client_port=1,
        local_host="h",
        local_port=2,
    )
    return RequestContext(session, ApiKey.HEARTBEAT, 3, 7, None)


def heartbeat_api(error_response: Any) -> Api[None, Any, Any]:
    return Api(
        key=ApiKey.HEARTBEAT,
        min_version=0,
        max_version=4,
        handle=lambda *_: None,
        error_response=error_response,
    )


def test_a_route_is_made_once() -> None:
    dispatch = Dispatch(ToyBroker(), toy_table())
    assert dispatch.routes == {}

    route = dispatch.find(ApiKey.HEARTBEAT << 16 | 3)

    assert dispatch.routes == {ApiKey.HEARTBEAT << 16 | 3: route}


def test_records_of_a_response_stay_the_views_they_are() -> None:
    records = memoryview(bytes(100_000))
    partition = FetchedPartition(partition_index=0, records=records)
    topic = FetchableTopicResponse(topic="t", partitions=[partition])
    api: Api[None, Any, Any] = Api(
        key=ApiKey.FETCH,
        min_version=4,
        max_version=17,
        handle=lambda *_: None,
        error_response=lambda *_: None,
    )

    parts = Route(api, 12).encode(99, FetchResponse(responses=[topic]))

    assert any(part is records for part in parts)
    frame = b"".join(parts)
    assert struct.unpack_from(">ii", frame) == (len(frame) - 4, 99)
    assert frame[8] == 0
    response, end = FetchResponse.decode(frame, 12, 9)
    assert end == len(frame)
    assert response.responses[0].partitions[0].records == records


def test_an_error_of_the_error_response_itself_is_logged_and_closes_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: RequestContext, __: Message, ___: KafkaError) -> None:
        raise LookupError("no place for it")

    api = heartbeat_api(broken)
    dispatch = Dispatch(None, [api])
    with caplog.at_level(logging.ERROR):
        frame = dispatch.encode_failure(
            Route(api, 3), context(), HeartbeatRequest(), KafkaError(ErrorCode.NOT_COORDINATOR)
        )

    assert frame is None
    assert len(caplog.records) == 1


def test_an_error_response_may_use_the_request_and_its_version() -> None:
    def told(
        context: RequestContext, request: HeartbeatRequest, error: KafkaError
    ) -> HeartbeatResponse:
        assert (context.api_version, request.group_id) == (3, "g")
        return HeartbeatResponse(error_code=error.code)

    api = heartbeat_api(told)
    frame = Dispatch(None, [api]).encode_failure(
        Route(api, 3),
        context(),
        HeartbeatRequest(group_id="g"),
        KafkaError(ErrorCode.NOT_COORDINATOR),
    )

    assert frame is not None
    response, _ = HeartbeatResponse.decode(b"".join(frame), 3, 8)
    assert response.error_code == ErrorCode.NOT_COORDINATOR
