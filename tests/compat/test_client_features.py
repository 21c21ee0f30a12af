"""Beside records and groups: static members, idempotence, offsets by time, topics."""

from contextlib import ExitStack

import pytest

from tests.compat.driver import Driver, eventually
from tests.compat.matrix import EACH_CLIENT_AT_LENGTH, Client, Feature
from tests.compat.raw_requests import create_topic, stored_producer_ids
from tests.compat.scenarios import message, now_ms, share, values

pytestmark = [pytest.mark.compat, pytest.mark.timeout(900), EACH_CLIENT_AT_LENGTH]


@pytest.mark.scenario("static members")
def test_a_static_member_comes_back_to_its_partitions_and_nobody_notices(
    client: Client, driver: Driver, bootstrap: str, topic: str, group: str
) -> None:
    client.must_know(Feature.STATIC_MEMBERS)
    partitions = set(range(4))
    create_topic(bootstrap, topic, partitions=len(partitions))
    with ExitStack() as stack:
        first = stack.enter_context(driver.join(topic, group, "one"))
        # So that it leads: franz-go has the group rebalanced when a leader comes back, Kafka's too.
        eventually(lambda: first.partitions == partitions, "it owns all", [first])
        second = stack.enter_context(driver.join(topic, group, "two"))
        eventually(lambda: share(first, second, partitions), "both own some", [first, second])
        # Who rebalances step by step may be told once more what it has; then all is read.
        sent = [message(b"v", partition=partition) for partition in partitions]
        driver.produce(topic, sent)
        eventually(
            lambda: sorted(first.offsets() + second.offsets()) == [(p, 0) for p in partitions],
            "each reads its own",
            [first, second],
        )
        kept, assignments, had = first.partitions, first.assignments, second.partitions
        second.kill()
        with driver.join(topic, group, "two") as back:
            eventually(lambda: back.partitions == had, "it gets what it had", [first, back])
            driver.produce(topic, sent)
            eventually(
                lambda: {(p, 1) for p in partitions} <= {*first.offsets(), *back.offsets()},
                "each reads its own",
                [first, back],
            )
            assert (first.partitions, first.assignments) == (kept, assignments)


@pytest.mark.scenario("idempotence")
def test_an_idempotent_producers_batches_are_stored_with_its_id(
    client: Client, driver: Driver, bootstrap: str, topic: str
) -> None:
    client.must_know(Feature.IDEMPOTENCE)
    create_topic(bootstrap, topic, partitions=2)
    sent = [
        message(f"{n}".encode(), partition=partition) for partition in range(2) for n in range(99)
    ]

    acked = driver.produce(topic, sent, idempotent=True)

    assert acked == [(partition, n) for partition in range(2) for n in range(99)]
    for partition in range(2):
        (producer_id,) = stored_producer_ids(bootstrap, topic, partition)
        assert producer_id >= 0
    assert values(driver.consume(topic, partitions=2, count=len(sent))) == {
        partition: [record.value for record in sent if record.partition == partition]
        for partition in range(2)
    }


@pytest.mark.scenario("times")
def test_offsets_are_found_by_timestamp_and_at_both_ends(
    client: Client, driver: Driver, bootstrap: str, topic: str
) -> None:
    client.must_know(Feature.OFFSET_LOOKUP)
    create_topic(bootstrap, topic, partitions=2)
    if Feature.TIMESTAMPS in client.features:
        times_ms = [1_600_000_000_000 + 1_000 * n for n in range(10)]
        driver.produce(topic, [message(b"v", timestamp_ms=time_ms) for time_ms in times_ms])
        asked_ms, found = times_ms[3] - 1, 3
    else:
        asked_ms, found = now_ms(), 0
        driver.produce(topic, [message(b"v") for _ in range(10)])

    told = driver.offsets(topic, partitions=2, at_ms=asked_ms)
    later = driver.offsets(topic, partitions=2, at_ms=now_ms() + 3_600_000)

    assert told.beginning == {0: 0, 1: 0}
    assert told.end == {0: 10, 1: 0}
    assert told.at == {0: found, 1: None}
    assert later.at == {0: None, 1: None}


@pytest.mark.scenario("admin")
def test_a_topic_is_created_described_altered_and_deleted(
    client: Client, driver: Driver, bootstrap: str, topic: str
) -> None:
    client.must_know(Feature.ADMIN)
    retention, policy = "retention.ms", "cleanup.policy"
    # A client without an admin's configs still has topics.
    configs = [retention, policy] if Feature.CONFIGS in client.features else []
    before = {retention: "86400000", policy: "delete"}
    after = {retention: "3600000", policy: "compact"}
    made = {retention: "86400000"} if configs else {}
    answers = driver.administrate(
        topic,
        [
            {"do": "create", "partitions": 3, "configs": made},
            {"do": "list"},
        ],
    )
    assert [answer["event"] for answer in answers] == ["created", "listed"]
    assert topic in answers[1]["topics"]
    (described,) = driver.administrate(topic, [{"do": "describe", "configs": configs}])
    assert described["partitions"] == 3
    assert described["configs"] == {name: before[name] for name in configs}
    if configs:
        driver.administrate(topic, [{"do": "alter", "configs": after}])
        (described,) = driver.administrate(topic, [{"do": "describe", "configs": configs}])
        assert described["configs"] == after

    driver.administrate(topic, [{"do": "delete"}])
    (listed,) = driver.administrate(topic, [{"do": "list"}])

    assert topic not in listed["topics"]
    create_topic(bootstrap, topic, partitions=1)
