"""What a connection does to a client that is over its quota."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacore._generated.produce import ProduceResponse
from datacore.broker.quotas import ClientRates
from datacore.storage.pending import Pending
from tests.server.harness import (
    PRODUCE_VERSION,
    Bench,
    answers,
    correlation_ids,
    heartbeat,
    produce,
)

if TYPE_CHECKING:
    from datacore._generated.produce import ProduceRequest
    from datacore.metadata.quotas import Entity

BYTES_A_SECOND = 200.0
KIB = bytes(1024)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    quotas: dict[Entity, dict[str, float]] = {
        (("user", "ANONYMOUS"),): {"producer_byte_rate": BYTES_A_SECOND}
    }
    bench.rates = ClientRates(quotas, {}, lambda: int(bench.loop.now_s * 1000))
    return bench.connect()


def throttle_ms(body: bytes) -> int:
    return ProduceResponse.decode(body, PRODUCE_VERSION)[0].throttle_time_ms


def test_a_client_within_its_quota_is_not_kept_waiting(bench: Bench) -> None:
    bench.receive(produce(1, records=b"") + heartbeat(2))
    (_, told), _ = answers(bench.transport.sent)
    assert throttle_ms(told) == 0


def test_a_client_over_its_quota_is_answered_at_once_and_then_kept_waiting(bench: Bench) -> None:
    bench.receive(produce(1, records=KIB) + heartbeat(2))
    ((_, told),) = answers(bench.transport.sent)
    wait_ms = throttle_ms(told)
    assert wait_ms > 0

    bench.receive(heartbeat(3))
    bench.loop.advance(wait_ms / 1000 - 0.001)
    assert correlation_ids(bench.transport.sent) == [1]

    bench.loop.advance(wait_ms / 1000)
    assert correlation_ids(bench.transport.sent) == [1, 2, 3]


def test_a_request_without_an_answer_is_paid_for_as_well(bench: Bench) -> None:
    bench.broker.on_produce = lambda _: None
    bench.receive(produce(1, acks=0, records=KIB) + heartbeat(2))
    assert bench.transport.sent == b""
    bench.loop.advance(60.0)
    assert correlation_ids(bench.transport.sent) == [2]


def test_a_parked_answer_bears_the_throttle_time_and_leaves_during_it(bench: Bench) -> None:
    parked: list[Pending[ProduceResponse]] = []

    def park(_: ProduceRequest) -> Pending[ProduceResponse]:
        parked.append(Pending())
        return parked[-1]

    bench.broker.on_produce = park
    bench.receive(produce(1, records=KIB) + produce(2))
    assert len(parked) == 1
    parked[0].resolve(ProduceResponse())
    ((_, told),) = answers(bench.transport.sent)
    assert throttle_ms(told) > 0


def test_a_client_that_goes_while_it_waits_leaves_nothing_behind(bench: Bench) -> None:
    bench.receive(produce(1, records=KIB) + heartbeat(2))
    bench.disconnect()
    bench.loop.advance(60.0)
    assert correlation_ids(bench.transport.sent) == [1]
    assert bench.loop.timers == []
