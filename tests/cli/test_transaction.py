"""``datacore transaction``, and readers of committed records."""

from typing import Any

import pytest

from datacore._generated.api_keys import ApiKey
from datacore.client.cluster import Cluster
from datacore.client.topics import create_topic
from datacore.protocol.errors import KafkaError
from tests.cli.conftest import Command, Target, soon
from tests.cli.transactional import TransactionalProducer

_NEEDED = (ApiKey.END_TXN, ApiKey.LIST_TRANSACTIONS, ApiKey.DESCRIBE_TRANSACTIONS)


@pytest.fixture
def topic(target: Target, cluster: Cluster, name: str) -> str:
    target.needs(*_NEEDED, ApiKey.DESCRIBE_PRODUCERS)
    create_topic(cluster, name)
    return name


@pytest.fixture
def producer(cluster: Cluster, topic: str) -> TransactionalProducer:
    return TransactionalProducer(cluster, topic)


def test_a_transaction_is_listed_and_described_while_it_is_open(
    call: Command, producer: TransactionalProducer, topic: str
) -> None:
    producer.write(b"open")
    listed = call("transaction", "list", "--state", "Ongoing", "-o", "json").json()
    (mine,) = [each for each in listed if each["transactional_id"] == topic]
    assert mine["coordinator"] == 1
    (open_one,) = call("transaction", "describe", topic, "-o", "json").json()
    assert (open_one["state"], open_one["partitions"]) == ("Ongoing", [f"{topic}-0"])
    assert open_one["producer_id"] == mine["producer_id"]
    assert open_one["duration_ms"] >= 0
    (held,) = call("transaction", "producers", "--topic", topic, "-o", "json").json()
    assert (held["producer_id"], held["transaction_start_offset"]) == (mine["producer_id"], 0)
    producer.end(commit=True)
    ended = described_when(call, topic, "CompleteCommit")
    assert (ended["duration_ms"], ended["partitions"]) == (None, [])
    assert call("transaction", "describe", "no-such").status == 1


def described_when(call: Command, topic: str, state: str) -> dict[str, Any]:
    """What is known of the id once its transaction has come to a state."""

    def look() -> dict[str, Any]:
        (found,) = call("transaction", "describe", topic, "-o", "json").json()
        assert isinstance(found, dict)
        return found

    assert soon(lambda: str(look()["state"]), state) == state
    return look()


def test_readers_of_committed_records_see_no_others(
    call: Command, producer: TransactionalProducer, topic: str
) -> None:
    for value, is_committed in ((b"a", True), (b"b", False), (b"c", True)):
        producer.write(value)
        producer.end(commit=is_committed)
    producer.write(b"open")
    read = ["consume", topic, "--from-beginning", "--until-end"]
    assert call(*read).lines() == ["a", "b", "c", "open"]
    committed = [*read, "--isolation-level", "read_committed"]
    assert soon(lambda: call(*committed).lines(), ["a", "c"]) == ["a", "c"]
    listed = ["offset", "list", "--topic", topic, "-o", "json"]
    assert call(*listed).json()[0]["offset"] == 7
    stable = call(*listed, "--isolation-level", "read_committed").json()
    assert stable[0]["offset"] == 6
    producer.end(commit=False)


def test_a_producer_that_is_fenced_loses_its_open_transaction(
    call: Command, producer: TransactionalProducer, topic: str
) -> None:
    producer.write(b"open")
    done = call("transaction", "fence", topic, "no-such")
    assert done.out.startswith(f"Fenced {topic}: producer ")
    assert (done.status, done.err.split(":")[1]) == (1, " TRANSACTIONAL_ID_NOT_FOUND")
    described_when(call, topic, "Empty")
    with pytest.raises(KafkaError):
        producer.end(commit=True)
    read = ["consume", topic, "--from-beginning", "--until-end"]
    assert call(*read, "--isolation-level", "read_committed").lines() == []


def test_a_transaction_that_hangs_is_found_and_aborted(
    call: Command, cluster: Cluster, topic: str
) -> None:
    verification = "transaction.partition.verification.enable"
    call("config", "alter", "--broker", "1", "--add-config", f"{verification}=false")
    look = ["config", "describe", "--broker", "1", "-o", "json"]
    assert soon(lambda: verification if verification in call(*look).out else "", verification)
    TransactionalProducer(cluster, topic).write(b"hangs", tell_the_coordinator=False)
    (held,) = call("transaction", "producers", "--topic", topic, "-o", "json").json()
    find = ["transaction", "find-hanging", "--topic", topic, "-o", "json"]
    assert call(*find).json() == []
    (hanging,) = call(*find, "--max-transaction-timeout", "0").json()
    assert (hanging["producer_id"], hanging["start_offset"]) == (held["producer_id"], 0)
    abort = ["transaction", "abort", "--topic", topic, "--partition", "0", "--start-offset"]
    wrong = call(*abort, "5")
    assert (wrong.status, "no open transaction that begins at 5" in wrong.err) == (1, True)
    assert call(*abort, "0").status == 0
    assert call(*find, "--max-transaction-timeout", "0").json() == []
    read = ["consume", topic, "--from-beginning", "--until-end"]
    assert call(*read, "--isolation-level", "read_committed").lines() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--producer-id", "x"],
        ["describe"],
        ["abort", "--topic", "t"],
        ["abort", "--topic", "t", "--partition", "0"],
        ["abort", "--topic", "t", "--partition", "0", "--producer-id", "1"],
        ["abort", "--topic", "t", "--partition", "0", "--start-offset", "0", "--producer-id", "1"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_arguments_is_status_2(call: Command, arguments: list[str]) -> None:
    assert call("transaction", *arguments).status == 2
