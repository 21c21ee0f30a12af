"""One connection, driven without a socket."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING

import pytest

from datacore._generated.api_versions import ApiVersionsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorResponse
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore._generated.produce import ProduceResponse
from datacore.protocol.errors import KafkaError
from datacore.server.limits import ConnectionLimits
from datacore.server.receive import SCRATCH_BYTES
from datacore.storage.pending import Pending
from tests.server.harness import (
    HEARTBEAT_VERSION,
    Bench,
    answers,
    api_versions_request,
    correlation_ids,
    find_coordinator,
    heartbeat,
    park_heartbeats,
    park_produces,
    produce,
    request_frame,
)

if TYPE_CHECKING:
    from datacore._generated.produce import ProduceRequest


@pytest.fixture
def bench() -> Bench:
    return Bench().connect()


def heartbeat_error(body: bytes) -> int:
    return HeartbeatResponse.decode(body, HEARTBEAT_VERSION)[0].error_code


# Requests and their answers.


def test_a_request_is_answered_with_its_correlation_id(bench: Bench) -> None:
    bench.receive(heartbeat(77))

    ((correlation_id, body),) = answers(bench.transport.sent)
    assert correlation_id == 77
    assert heartbeat_error(body) == 0


def test_a_handler_learns_who_asked_and_how(bench: Bench) -> None:
    bench.receive(heartbeat(5))

    (context,) = bench.broker.seen
    assert (context.api_key, context.api_version, context.correlation_id) == (12, 3, 5)
    assert context.client_id == "tester"
    assert context.session.client_host == "10.0.0.7"
    assert context.session.local_port == 9092
    assert context.session.listener_name == "PLAINTEXT"
    assert context.session.principal == "User:ANONYMOUS"


def test_a_flexible_version_is_answered_with_a_flexible_header(bench: Bench) -> None:
    bench.receive(request_frame(HeartbeatRequest(group_id="g"), 4, 9))

    ((_, rest),) = answers(bench.transport.sent)
    assert rest[0] == 0
    assert HeartbeatResponse.decode(rest, 4, 1)[1] == len(rest)


def test_a_null_client_id_is_none(bench: Bench) -> None:
    bench.receive(request_frame(HeartbeatRequest(), HEARTBEAT_VERSION, 1, client_id=None))

    assert bench.broker.seen[0].client_id is None


def test_bytes_behind_a_body_are_tolerated(bench: Bench) -> None:
    bench.receive(
        request_frame(HeartbeatRequest(), HEARTBEAT_VERSION, 1, trailing=b"more") + heartbeat(2)
    )

    assert correlation_ids(bench.transport.sent) == [1, 2]


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 11, 13, 29])
def test_frames_in_small_pieces_are_answered_alike(bench: Bench, chunk: int) -> None:
    data = heartbeat(1) + produce(2) + heartbeat(3)

    for at in range(0, len(data), chunk):
        bench.receive(data[at : at + chunk])

    assert correlation_ids(bench.transport.sent) == [1, 2, 3]


def test_a_read_that_ends_anywhere_loses_nothing() -> None:
    data = heartbeat(1) + produce(2) + heartbeat(3)
    for split in range(len(data) + 1):
        bench = Bench().connect()
        bench.receive(data[:split])
        bench.receive(data[split:])

        assert correlation_ids(bench.transport.sent) == [1, 2, 3], split


def test_frames_of_one_read_are_answered_in_one_write(bench: Bench) -> None:
    bench.receive(b"".join(heartbeat(n) for n in range(50)))

    assert correlation_ids(bench.transport.sent) == list(range(50))
    assert len(bench.transport.writes) == 1


@pytest.mark.parametrize("size", [SCRATCH_BYTES - 200, SCRATCH_BYTES, 3 * 1024 * 1024])
def test_records_of_any_size_reach_the_handler_whole(bench: Bench, size: int) -> None:
    records = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    seen: list[bytes] = []

    def keep(request: ProduceRequest) -> ProduceResponse:
        seen.append(bytes(request.topic_data[0].partition_data[0].records or b""))
        return ProduceResponse()

    bench.broker.on_produce = keep
    bench.receive(heartbeat(1) + produce(2, records=records) * 2 + heartbeat(3))

    assert seen == [records, records]
    assert correlation_ids(bench.transport.sent) == [1, 2, 2, 3]


def test_produce_without_acks_is_never_answered(bench: Bench) -> None:
    bench.broker.on_produce = lambda _: None
    bench.receive(produce(1, acks=0) + heartbeat(2))

    assert correlation_ids(bench.transport.sent) == [2]
    assert not bench.transport.is_closed


# Answers that come later.


def test_an_answer_behind_a_parked_one_waits_for_it(bench: Bench) -> None:
    parked = park_produces(bench)
    bench.receive(produce(1) + produce(2) + heartbeat(3))
    assert bench.transport.sent == b""

    parked[1].resolve(ProduceResponse())
    assert bench.transport.sent == b""

    parked[0].resolve(ProduceResponse())
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]


def test_answers_go_out_as_far_as_they_are_there(bench: Bench) -> None:
    parked = park_produces(bench)
    bench.receive(produce(1) + heartbeat(2) + produce(3) + heartbeat(4))

    parked[0].resolve(ProduceResponse())
    assert correlation_ids(bench.transport.sent) == [1, 2]

    parked[1].resolve(ProduceResponse())
    assert correlation_ids(bench.transport.sent) == [1, 2, 3, 4]


def test_an_answer_that_is_already_there_is_sent_at_once(bench: Bench) -> None:
    settled: Pending[ProduceResponse] = Pending()
    settled.resolve(ProduceResponse())
    bench.broker.on_produce = lambda _: settled
    bench.receive(produce(1) + heartbeat(2))

    assert correlation_ids(bench.transport.sent) == [1, 2]
    assert len(bench.transport.writes) == 1


def test_the_next_request_starts_when_the_one_before_is_answered(bench: Bench) -> None:
    parked = park_heartbeats(bench)
    bench.receive(heartbeat(1) + heartbeat(2) + produce(3))
    assert len(parked) == 1

    parked[0].resolve(HeartbeatResponse())
    assert len(parked) == 1  # not within whatever settled the first
    bench.loop.turn()
    assert len(parked) == 2

    parked[1].resolve(HeartbeatResponse())
    bench.loop.turn()
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]


def test_a_pipelined_request_may_hold_back_the_next(bench: Bench) -> None:
    first: Pending[ProduceResponse] = Pending()

    def hold_back(_: ProduceRequest) -> Pending[ProduceResponse]:
        bench.broker.seen[-1].holds_back_next = True
        bench.broker.on_produce = lambda _: ProduceResponse()
        return first

    bench.broker.on_produce = hold_back
    bench.receive(produce(1) + produce(2) + heartbeat(3))
    assert [context.correlation_id for context in bench.broker.seen] == [1]

    first.resolve(ProduceResponse())
    bench.loop.turn()
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]


def test_a_request_that_arrives_while_another_is_parked_waits(bench: Bench) -> None:
    parked = park_heartbeats(bench)
    bench.receive(heartbeat(1))
    bench.receive(produce(2)[:10])
    assert not bench.transport.is_reading()

    parked[0].resolve(HeartbeatResponse())
    bench.loop.turn()
    assert bench.transport.is_reading()
    bench.receive(produce(2)[10:])
    assert correlation_ids(bench.transport.sent) == [1, 2]


def test_a_connection_that_only_waits_goes_on_reading_so_that_it_sees_its_client_go(
    bench: Bench,
) -> None:
    park_heartbeats(bench)
    bench.receive(heartbeat(1))

    assert bench.transport.is_reading()


def test_an_async_handler_is_answered_when_it_ends(bench: Bench) -> None:
    bench.receive(find_coordinator(1) + heartbeat(2))
    assert bench.transport.sent == b""

    bench.run_spawned()
    bench.loop.turn()

    (first, body), (second, _) = answers(bench.transport.sent)
    assert (first, second) == (1, 2)
    assert FindCoordinatorResponse.decode(body, 2)[0].host == "group"


def test_answers_that_settle_within_another_request_keep_their_order(bench: Bench) -> None:
    parked = park_produces(bench)
    bench.receive(produce(1))

    def settle(_: HeartbeatRequest) -> HeartbeatResponse:
        parked[0].resolve(ProduceResponse())
        return HeartbeatResponse()

    bench.broker.on_heartbeat = settle
    bench.receive(heartbeat(2))

    assert correlation_ids(bench.transport.sent) == [1, 2]


def test_a_client_with_too_many_parked_requests_is_read_no_further() -> None:
    bench = Bench(ConnectionLimits(parked_requests_max=3)).connect()
    parked = park_produces(bench)
    bench.receive(b"".join(produce(n) for n in range(5)))
    assert len(parked) == 3

    parked[0].resolve(ProduceResponse())
    bench.loop.turn()
    assert len(parked) == 4

    for answered in range(1, 5):
        parked[answered].resolve(ProduceResponse())
        bench.loop.turn()
    assert correlation_ids(bench.transport.sent) == [0, 1, 2, 3, 4]


# Errors.


def test_a_kafka_error_becomes_a_body_of_that_version(bench: Bench) -> None:
    def fail(_: HeartbeatRequest) -> HeartbeatResponse:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)

    bench.broker.on_heartbeat = fail
    bench.receive(heartbeat(1) + heartbeat(2))

    codes = [heartbeat_error(body) for _, body in answers(bench.transport.sent)]
    assert codes == [ErrorCode.UNKNOWN_MEMBER_ID] * 2


def test_the_unexpected_is_logged_once_and_told_as_unknown_server_error(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: HeartbeatRequest) -> HeartbeatResponse:
        raise ZeroDivisionError("surprise")

    bench.broker.on_heartbeat = fail
    with caplog.at_level(logging.ERROR):
        bench.receive(heartbeat(1))

    ((_, body),) = answers(bench.transport.sent)
    assert heartbeat_error(body) == ErrorCode.UNKNOWN_SERVER_ERROR
    (record,) = caplog.records
    assert "HEARTBEAT version 3" in record.getMessage()
    assert record.exc_info is not None
    assert not bench.transport.is_closed


def test_a_response_that_its_version_cannot_say_is_an_error_not_a_hang(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broker.on_heartbeat = lambda _: HeartbeatResponse(error_code=1 << 20)
    with caplog.at_level(logging.ERROR):
        bench.receive(heartbeat(1))

    ((_, body),) = answers(bench.transport.sent)
    assert heartbeat_error(body) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert len(caplog.records) == 1


def test_a_parked_request_that_fails_is_answered_with_the_error(bench: Bench) -> None:
    parked = park_heartbeats(bench)
    bench.receive(heartbeat(1))
    parked[0].fail(KafkaError(ErrorCode.NOT_COORDINATOR))

    ((_, body),) = answers(bench.transport.sent)
    assert heartbeat_error(body) == ErrorCode.NOT_COORDINATOR


def test_a_request_without_an_answer_that_fails_closes_its_connection(bench: Bench) -> None:
    def fail(_: ProduceRequest) -> None:
        raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    bench.broker.on_produce = fail
    bench.receive(heartbeat(1) + produce(2, acks=0) + heartbeat(3))

    assert correlation_ids(bench.transport.sent) == [1]
    assert bench.transport.is_closed


# What cannot be a request.


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", "HTTP request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS handshake"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH client"),
        (b"\xff\xff\xff\xff\x00", "negative size -1"),
        (struct.pack(">i", 100 * 1024 * 1024 + 1), "socket.request.max.bytes"),
        (struct.pack(">i", 9) + bytes(9), "too short"),
        (struct.pack(">i", 0), "too short"),
        (struct.pack(">ihhih", 10, 12, 3, 1, 40), "client id runs past the end"),
        (struct.pack(">ihhih", 10, 12, 3, 1, -2), "client id of negative length"),
        (struct.pack(">ihhih", 12, 12, 3, 1, 2) + b"\xff\xfe", "not UTF-8"),
        (struct.pack(">ihhih", 10, 12, 4, 1, -1), "before its tagged fields"),
        (struct.pack(">ihhih", 11, 12, 4, 1, -1) + b"\x05", "tagged fields"),
        (struct.pack(">ihhih", 16, 12, 4, 1, -1) + b"\xff" * 6, "varint"),
        (struct.pack(">ihhih", 10, 12, 3, 1, -1), "HeartbeatRequest version 3"),
        (struct.pack(">ihhih", 10, 999, 0, 1, -1), "API key 999"),
        (struct.pack(">ihhih", 10, -1, 0, 1, -1), "API key -1"),
        (struct.pack(">ihhih", 10, 12, 5, 1, -1), "version 5 of HEARTBEAT"),
        (struct.pack(">ihhih", 10, 12, -1, 1, -1), "version -1 of HEARTBEAT"),
    ],
)
def test_what_is_no_request_costs_its_sender_the_connection_and_one_line(
    bench: Bench, data: bytes, said: str
) -> None:
    bench.receive(heartbeat(1) + data)

    assert correlation_ids(bench.transport.sent) == [1]
    assert bench.transport.is_closed
    (line,) = bench.refusals
    assert said in line
    assert "10.0.0.7" in line


def test_a_large_request_without_records_costs_its_sender_the_connection() -> None:
    bench = Bench(ConnectionLimits(recordless_request_bytes_max=1000)).connect()

    bench.receive(produce(1, records=bytes(2000)) + heartbeat(2, group_id="g" * 900))
    assert correlation_ids(bench.transport.sent) == [1, 2]
    bench.receive(heartbeat(3, group_id="g" * 1000))

    assert correlation_ids(bench.transport.sent) == [1, 2]
    assert bench.transport.is_closed
    (line,) = bench.refusals
    assert "without records is too large" in line


def test_a_huge_size_allocates_nothing_before_its_bytes_arrive(bench: Bench) -> None:
    bench.receive(struct.pack(">i", 100 * 1024 * 1024) + b"\x00")

    assert not bench.transport.is_closed
    assert len(bench.connection.get_buffer(65536)) > 90 * 1024 * 1024  # untouched, so not resident


@pytest.mark.parametrize("version", [5, 99, 32767, -1])
def test_api_versions_of_an_unknown_version_is_answered_in_version_0(
    bench: Bench, version: int
) -> None:
    bench.receive(api_versions_request(version, 8) + api_versions_request(0, 9))

    (unsupported, body), (supported, same) = answers(bench.transport.sent)
    assert (unsupported, supported) == (8, 9)
    response, end = ApiVersionsResponse.decode(body, 0)
    assert end == len(body)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert response.api_keys == ApiVersionsResponse.decode(same, 0)[0].api_keys
    assert not bench.transport.is_closed


@pytest.mark.parametrize("version", range(5))
def test_api_versions_has_a_response_header_without_tagged_fields(
    bench: Bench, version: int
) -> None:
    bench.receive(api_versions_request(version, 8))

    ((_, body),) = answers(bench.transport.sent)
    response, end = ApiVersionsResponse.decode(body, version)
    assert end == len(body)
    assert [(k.api_key, k.min_version, k.max_version) for k in response.api_keys] == [
        (0, 3, 9),
        (10, 0, 3),
        (12, 0, 4),
        (18, 0, 4),
    ]
