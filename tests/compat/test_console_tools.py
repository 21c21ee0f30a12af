"""Kafka's console tools of several releases doing what people do with them."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from datacore.broker.shards import partition_for
from tests.compat.console_tools import ConsoleTools, GroupRow, ToolFailedError
from tests.compat.driver import DEADLINE_S
from tests.compat.environments import Program
from tests.compat.matrix import CONSOLE_TOOLS, Client
from tests.compat.raw_requests import create_topic, next_offset, stored_codecs

pytestmark = [
    pytest.mark.compat,
    # The first test of a release fetches its jars; what tools do is bounded by their own timeout.
    pytest.mark.timeout(900),
    pytest.mark.parametrize(
        "client",
        [
            pytest.param(client, id=str(client), marks=[pytest.mark.quick] if client.quick else [])
            for client in CONSOLE_TOOLS
        ],
    ),
]

# How a tool fails while the group has no member yet or is rebalancing, in each release's words.
_NOT_YET = ("not found", "does not exist", "rebalancing")


@pytest.fixture
def tools(program: Program, bootstrap: str) -> ConsoleTools:
    """The release's tools, pointed at the broker."""
    return ConsoleTools(program, bootstrap)


@pytest.mark.scenario("tools: topics")
@pytest.mark.usefixtures("client")
def test_topics_are_created_altered_listed_described_and_deleted(
    tools: ConsoleTools, topic: str
) -> None:
    if tools.release < (2, 2):
        pytest.skip("its kafka-topics speaks to ZooKeeper only (KIP-377 came with 2.2)")

    tools.topics("--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1")
    assert topic in tools.topics("--list").split()
    tools.topics("--alter", "--topic", topic, "--partitions", "3")
    described = tools.topics("--describe", "--topic", topic).split("\n\t")
    assert len(described) == 1 + 3
    assert all("Leader: " in line for line in described[1:])
    tools.topics("--delete", "--topic", topic)
    _eventually(lambda: topic not in tools.topics("--list").split(), "the topic is gone")


@pytest.mark.scenario("tools: records")
def test_the_console_producers_records_reach_the_console_consumer(
    client: Client, tools: ConsoleTools, bootstrap: str, topic: str
) -> None:
    create_topic(bootstrap, topic, partitions=1)
    keyed = ("parse.key=true", "key.separator=|")
    expected = []
    for codec in client.codecs:
        lines = [f"{codec}-{number}|value {number} {codec} " + "x" * 200 for number in range(5)]
        tools.produce(topic, codec, lines, *keyed)
        expected += lines

    printed = tools.consume(topic, len(expected), "print.key=true", "key.separator=|")

    assert printed == expected
    stored = stored_codecs(bootstrap, topic, 0)
    assert list(dict.fromkeys(stored)) == list(client.codecs)


@pytest.mark.scenario("tools: headers")
@pytest.mark.usefixtures("client")
def test_headers_and_nulls_survive_the_console(
    tools: ConsoleTools, bootstrap: str, topic: str
) -> None:
    if tools.release < (3, 2):
        pytest.skip("its console producer knows neither headers nor nulls (KIP-798, KIP-810: 3.2)")
    create_topic(bootstrap, topic, partitions=1)
    lines = ["a:1,b:2,a:3|key|value", "c:4|deleted|<null>", "d:5|<null>|no key"]

    tools.produce(
        topic,
        "none",
        lines,
        *("parse.headers=true", "headers.delimiter=|"),
        *("parse.key=true", "key.separator=|", "null.marker=<null>"),
    )
    printed = tools.consume(
        topic,
        len(lines),
        *("print.headers=true", "print.key=true", "print.offset=true", "print.partition=true"),
        *("key.separator=|", "headers.separator=,", "null.literal=<null>"),
    )

    places = [f"Partition:0|Offset:{offset}" for offset in range(len(lines))]
    assert printed == [f"{place}|{line}" for place, line in zip(places, lines, strict=True)]


@pytest.mark.scenario("tools: groups")
@pytest.mark.usefixtures("client")
def test_a_group_is_listed_described_reset_and_deleted(
    tools: ConsoleTools, bootstrap: str, topic: str, group: str
) -> None:
    create_topic(bootstrap, topic, partitions=1)

    tools.produce(topic, "none", ["one", "two"])
    assert tools.consume(topic, 2, group=group) == ["one", "two"]
    assert group in tools.groups("--list").split()
    tools.produce(topic, "none", ["three"])
    assert tools.describe_group(group) == [GroupRow(0, 2, 1, None)]
    assert tools.consume(topic, 1, group=group) == ["three"]
    reset = ["--reset-offsets", "--to-earliest", "--topic", topic, "--execute"]
    tools.groups("--group", group, *reset)
    assert tools.consume(topic, 3, group=group) == ["one", "two", "three"]
    tools.groups("--delete", "--group", group)
    assert group not in tools.groups("--list").split()


@pytest.mark.scenario("tools: group of two")
@pytest.mark.usefixtures("client")
def test_two_console_consumers_share_a_topic_and_the_last_one_gets_all(
    tools: ConsoleTools, bootstrap: str, topic: str, group: str
) -> None:
    create_topic(bootstrap, topic, partitions=2)

    def owners() -> list[str | None]:
        try:
            return [row.consumer_id for row in tools.describe_group(group)]
        except ToolFailedError as failed:
            if any(words in str(failed) for words in _NOT_YET):
                return []
            raise

    def owned_by(members: int) -> bool:
        partitions = owners()
        return len(partitions) == 2 and None not in partitions and len(set(partitions)) == members

    with tools.consumer(topic, group), tools.consumer(topic, group) as second:
        _eventually(lambda: owned_by(2), "each of the two owns a partition")
        second.terminate()
        _eventually(lambda: owned_by(1), "one owns both")


@pytest.mark.scenario("tools: transactions")
@pytest.mark.usefixtures("client")
def test_an_open_transaction_is_listed_described_and_aborted(
    tools: ConsoleTools, bootstrap: str, topic: str
) -> None:
    if tools.release < (3, 6):
        pytest.skip("it has no kafka-transactions in the tools jar")
    create_topic(bootstrap, topic, partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic})
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    assert producer.flush(DEADLINE_S) == 0
    partition = ("--topic", topic, "--partition", "0")

    [listed] = [row for row in tools.transactions("list") if row["TransactionalId"] == topic]
    [described] = tools.transactions("describe", "--transactional-id", topic)
    [writing] = tools.transactions("describe-producers", *partition)
    assert listed["TransactionState"] == described["TransactionState"] == "Ongoing"
    assert described["TopicPartitions"] == f"{topic}-0"
    assert listed["ProducerId"] == described["ProducerId"] == writing["ProducerId"]
    assert writing["CurrentTransactionStartOffset"] == "0"
    hanging = tools.transactions("find-hanging", "--topic", topic, "--max-transaction-timeout", "0")
    assert hanging == [], "its coordinator knows it"

    tools.transactions("abort", *partition, "--start-offset", "0")
    [ended] = tools.transactions("describe-producers", *partition)
    assert ended["CurrentTransactionStartOffset"] == "None"
    place = partition_for(topic, 50)  # other tests' transactions may have come there before
    told = tools.transaction_log(place, next_offset(bootstrap, "__transaction_state", place))
    assert topic in told
    assert "state=Ongoing" in told or '"transactionStatus":1,' in told


def _eventually(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds; asking a tool takes time enough, so there is no pause."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S:.0f} s: {what}"
