"""What a client that reads slowly costs, and how a connection ends, driven without a socket."""

from __future__ import annotations

import pytest

from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore._generated.produce import ProduceResponse, TopicProduceResponse
from datacore.server import connection
from datacore.server.limits import ConnectionLimits
from tests.server.harness import (
    PRODUCE_VERSION,
    Bench,
    answers,
    correlation_ids,
    heartbeat,
    park_heartbeats,
    park_produces,
    produce,
)


@pytest.fixture
def bench() -> Bench:
    return Bench().connect()


def test_requests_of_a_client_that_does_not_read_are_not_handled(bench: Bench) -> None:
    bench.receive(heartbeat(1))
    bench.connection.pause_writing()
    assert bench.transport.is_reading()
    bench.receive(heartbeat(2))
    assert not bench.transport.is_reading()
    assert len(bench.broker.seen) == 1

    bench.connection.resume_writing()
    bench.loop.turn()

    assert bench.transport.is_reading()
    assert correlation_ids(bench.transport.sent) == [1, 2]


def test_many_large_answers_in_one_read_leave_before_they_pile_up() -> None:
    bench = Bench(ConnectionLimits(unsent_bytes_max=100)).connect()
    assert bench.transport.high_water == 100
    bench.receive(b"".join(heartbeat(n) for n in range(40)))

    assert correlation_ids(bench.transport.sent) == list(range(40))
    assert max(map(len, bench.transport.writes)) < 200


def test_a_client_may_go_while_its_request_is_parked(bench: Bench) -> None:
    parked = park_heartbeats(bench)
    abandoned: list[bool] = []
    bench.receive(heartbeat(1))
    bench.connection.session.abandon = lambda: abandoned.append(True)
    bench.disconnect()
    assert abandoned == [True]
    assert bench.admitted == 0

    parked[0].resolve(HeartbeatResponse())
    bench.connection.resume_writing()
    bench.loop.turn()
    assert bench.transport.sent == b""


def test_what_was_answered_is_not_abandoned(bench: Bench) -> None:
    parked = park_heartbeats(bench)
    abandoned: list[bool] = []
    bench.receive(heartbeat(1))
    bench.connection.session.abandon = lambda: abandoned.append(True)
    parked[0].resolve(HeartbeatResponse())
    bench.disconnect()

    assert abandoned == []


def test_a_connection_that_is_not_admitted_is_closed_with_the_reason() -> None:
    bench = Bench()
    bench.refuse_next = "full"
    bench.connect()

    assert bench.transport.is_closed
    assert bench.refusals == ["closed the connection of 10.0.0.7: full"]
    bench.disconnect()
    assert bench.admitted == 0


def test_a_stop_closes_an_idle_connection(bench: Bench) -> None:
    bench.receive(heartbeat(1))
    bench.connection.has_read = False  # as a sweep does
    bench.connection.stop()

    assert bench.transport.is_closed
    assert not bench.transport.is_aborted


def test_a_stop_closes_a_moment_behind_an_answer_for_clients_that_would_miss_it(
    bench: Bench,
) -> None:
    bench.receive(heartbeat(1))
    bench.connection.stop()
    bench.receive(heartbeat(2))
    assert not bench.transport.is_closed

    bench.loop.advance(connection.FAREWELL_S)
    assert correlation_ids(bench.transport.sent) == [1]
    assert not bench.transport.is_aborted
    assert bench.transport.is_closed


def test_a_stop_waits_for_answers_that_are_due(bench: Bench) -> None:
    parked = park_produces(bench)
    bench.receive(produce(1) + produce(2))
    bench.connection.stop()
    assert not bench.transport.is_closed
    assert not bench.transport.is_reading()

    parked[1].resolve(ProduceResponse())
    assert not bench.transport.is_closed
    parked[0].resolve(ProduceResponse())
    assert correlation_ids(bench.transport.sent) == [1, 2]
    assert not bench.transport.is_closed
    bench.loop.advance(connection.FAREWELL_S)
    assert bench.transport.is_closed


def test_a_stop_waits_for_no_long_poll(bench: Bench) -> None:
    produced = park_produces(bench)
    park_heartbeats(bench)
    abandoned: list[bool] = []
    bench.receive(produce(1) + heartbeat(2))
    bench.connection.session.abandon = lambda: abandoned.append(True)
    bench.connection.stop()
    assert abandoned == [True]

    produced[0].resolve(ProduceResponse())
    assert correlation_ids(bench.transport.sent) == [1]
    bench.loop.advance(connection.FAREWELL_S)
    assert bench.transport.is_closed


def test_answers_too_large_to_be_joined_arrive_in_order_too(bench: Bench) -> None:
    topic = TopicProduceResponse(name="t" * 30_000)
    bench.broker.on_produce = lambda _: ProduceResponse(responses=[topic] * 4)
    bench.receive(produce(1) + heartbeat(2))

    (first, body), (second, _) = answers(bench.transport.sent)
    assert (first, second) == (1, 2)
    assert ProduceResponse.decode(body, PRODUCE_VERSION)[0].responses[3].name == topic.name


def test_requests_that_take_long_leave_the_others_a_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = 0.0

    def takes_long(_: HeartbeatRequest) -> HeartbeatResponse:
        nonlocal clock_s
        clock_s += 0.6 * connection.TURN_S
        return HeartbeatResponse()

    monkeypatch.setattr(connection, "monotonic", lambda: clock_s)
    bench.broker.on_heartbeat = takes_long
    bench.receive(b"".join(map(heartbeat, range(1, 8))))
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]
    bench.receive(heartbeat(8))  # arrives meanwhile: waits, as the rest does
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]
    bench.loop.turn()
    assert correlation_ids(bench.transport.sent) == [1, 2, 3, 4, 5, 6]
    bench.loop.turn()
    assert correlation_ids(bench.transport.sent) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert bench.transport.is_reading()
    assert not bench.loop.ready


def test_a_closed_connection_waits_for_no_answer(bench: Bench) -> None:
    park_heartbeats(bench)
    bench.receive(heartbeat(1))
    assert bench.connection.is_waiting_for_broker
    bench.connection.eof_received()
    assert not bench.connection.is_waiting_for_broker
