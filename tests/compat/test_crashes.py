"""Broker and application end in full flow, never idle, and nothing acknowledged is lost.

With an idempotent producer nothing is doubled, with transactions nothing is copied twice.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from tests.compat.driver import Driver, Member, Seen, eventually
from tests.compat.killable import Killable
from tests.compat.matrix import EACH_CLIENT_AT_LENGTH, Client, Feature
from tests.compat.raw_requests import create_topic, next_offset
from tests.compat.scenarios import message, values

pytestmark = [pytest.mark.compat, pytest.mark.timeout(900), EACH_CLIENT_AT_LENGTH]

PARTITIONS = 3
# Enough to be in the middle of it.
NUMBERS = 500
# Of one driver; a rebalance after a kill takes a session timeout of 6 s.
DEADLINE_S = 150.0
WAIT_S = 60.0


@pytest.fixture
def patient(driver: Driver) -> Driver:
    return replace(driver, deadline_s=DEADLINE_S)


@pytest.mark.scenario("broker restarted")
def test_producer_and_group_go_on_after_the_broker_was_restarted(
    client: Client, patient: Driver, shared: Killable, bootstrap: str, topic: str, group: str
) -> None:
    with _flow_over_the_end_of_the_broker(client, patient, bootstrap, topic, group):
        shared.restart()


@pytest.mark.scenario("broker killed")
def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_in_full_flow(
    client: Client, patient: Driver, shared: Killable, bootstrap: str, topic: str, group: str
) -> None:
    with _flow_over_the_end_of_the_broker(client, patient, bootstrap, topic, group):
        shared.crash()


@pytest.mark.scenario("application killed")
def test_an_application_killed_in_full_flow_goes_on_where_it_had_committed(
    client: Client, patient: Driver, bootstrap: str, topic: str, group: str
) -> None:
    for feature in (Feature.FLOW, Feature.GROUPS, Feature.CHOSEN_COMMIT):
        client.must_know(feature)
    create_topic(bootstrap, topic, partitions=PARTITIONS)
    with _member(patient, topic, group) as first, _flow(client, patient, topic) as killed:
        _wait_for_numbers(killed, [first])
        eventually(lambda: len(first.records) >= NUMBERS, "it reads", [first], timeout_s=WAIT_S)
        committed = _read_up_to(first)
        first.commit(committed)
        first.kill()
        killed.kill()
    with _member(patient, topic, group) as second, _flow(client, patient, topic) as flow:
        _wait_for_numbers(flow, [second])
        flow.leave()
        ends = _ends(bootstrap, topic)
        rest = {(p, o) for p in ends for o in range(committed.get(p, 0), ends[p])}
        eventually(
            lambda: len(second.records) >= len(rest),
            "it reads all after what was committed",
            [second],
            timeout_s=WAIT_S,
        )
        second.leave()
    assert second.offsets() == sorted(rest), "and nothing before, and nothing twice"
    stored = _stored(patient, topic, ends)
    _expect_acked(killed, stored)
    _expect_acked(flow, stored)


@pytest.mark.scenario("transactions killed")
def test_nothing_is_copied_twice_when_application_and_broker_are_killed_in_full_flow(
    client: Client, patient: Driver, shared: Killable, bootstrap: str, topic: str, group: str
) -> None:
    for feature in (Feature.FLOW, Feature.TRANSACTIONS):
        client.must_know(feature)
    to = f"{topic}-copy"
    for name in (topic, to):
        create_topic(bootstrap, name, partitions=PARTITIONS)
    with _flow(client, patient, topic) as flow:
        with patient.relay(topic, to, group) as killed:
            _wait_for_copies(killed, flow)
            killed.kill()
        with patient.relay(topic, to, group) as relay:
            _wait_for_copies(relay, flow)
            shared.crash()
            _wait_for_copies(relay, flow)
            flow.leave()
            last = [message(b"last", partition=p) for p in range(PARTITIONS)]
            patient.produce(topic, last)
            sent = _stored(patient, topic, _ends(bootstrap, topic))
            count = sum(map(len, sent.values()))
            copied = patient.consume(to, partitions=PARTITIONS, count=count)
            relay.leave()
    assert values(copied) == {p: [read.value for read in sent[p]] for p in sent}


@contextmanager
def _flow_over_the_end_of_the_broker(
    client: Client, driver: Driver, bootstrap: str, topic: str, group: str
) -> Iterator[None]:
    """A flow, and a group member that reads it, on both sides of what the block does."""
    client.must_know(Feature.FLOW)
    create_topic(bootstrap, topic, partitions=PARTITIONS)
    with ExitStack() as stack:
        members = []
        if Feature.GROUPS in client.features:
            members.append(stack.enter_context(_member(driver, topic, group)))
        flow = stack.enter_context(_flow(client, driver, topic))
        _wait_for_numbers(flow, members)
        yield
        _wait_for_numbers(flow, members)
        flow.leave()
        ends = _ends(bootstrap, topic)
        places = {(p, o) for p in ends for o in range(ends[p])}
        for member in members:
            eventually(
                lambda member=member: (  # type: ignore[misc] # mypy infers no default of a lambda
                    len(member.records) >= len(places) and set(member.offsets()) == places
                ),
                "it reads all",
                [member],
                timeout_s=WAIT_S,
            )
            member.leave()
    stored = _stored(driver, topic, ends)
    _expect_acked(flow, stored)
    if Feature.IDEMPOTENCE in client.features:
        numbers = {p: [int(read.value or b"") for read in stored[p]] for p in stored}
        assert numbers == {p: [*range(p, len(flow.acked), PARTITIONS)] for p in stored}


@contextmanager
def _member(driver: Driver, topic: str, group: str) -> Iterator[Member]:
    with driver.join(topic, group) as member:
        eventually(
            lambda: member.partitions == set(range(PARTITIONS)),
            "it owns all",
            [member],
            timeout_s=WAIT_S,
        )
        yield member


@contextmanager
def _flow(client: Client, driver: Driver, topic: str) -> Iterator[Member]:
    idempotent = Feature.IDEMPOTENCE in client.features
    with driver.flow(topic, partitions=PARTITIONS, idempotent=idempotent) as flow:
        yield flow


def _wait_for_numbers(flow: Member, members: list[Member]) -> None:
    wanted = len(flow.acked) + NUMBERS
    eventually(lambda: len(flow.acked) >= wanted, "it flows", [flow, *members], timeout_s=WAIT_S)


def _wait_for_copies(relay: Member, flow: Member) -> None:
    wanted = relay.copied + NUMBERS
    eventually(lambda: relay.copied >= wanted, "it copies", [relay, flow], timeout_s=WAIT_S)


def _read_up_to(member: Member) -> dict[int, int]:
    """The next offset of each partition of which something was read."""
    ends: dict[int, int] = {}
    for read in list(member.records):
        ends[read.partition] = read.offset + 1
    return ends


def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    return {p: next_offset(bootstrap, topic, p) for p in range(PARTITIONS)}


def _stored(driver: Driver, topic: str, ends: dict[int, int]) -> dict[int, list[Seen]]:
    """All records by partition, as the client reads them; their offsets have no gaps."""
    stored: dict[int, list[Seen]] = defaultdict(list)
    for read in driver.consume(topic, partitions=PARTITIONS, count=sum(ends.values())):
        stored[read.partition].append(read)
    for partition, end in ends.items():
        assert [read.offset for read in stored[partition]] == [*range(end)]
    return stored


def _expect_acked(flow: Member, stored: dict[int, list[Seen]]) -> None:
    """Whatever was acknowledged stands where the acknowledgement said."""
    assert len(flow.acked) >= NUMBERS
    for number, (partition, offset) in flow.acked.items():
        if offset >= 0:
            assert stored[partition][offset].value == str(number).encode()
