"""kill -9 of the broker every few seconds under transactions, and a checker of what came of them.

Transactional and plain producers, one that copies exactly once, and a reader of committed records
run as processes of librdkafka; each writes down what it was told. In the end everything is read
under read_committed, and:

- all records of a committed transaction are there once, of an aborted one none, and of one whose
  producer heard nothing, all or none;
- what a plain producer was acknowledged is there once, and its copy is there once;
- a reader has seen nothing that is not there, and nothing twice.

``DATACORE_KILL_FOR_S`` says how long it goes on; 30 s without it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.client.connection import Connection
from datacore.testing.broker_process import BrokerProcess
from tests.crash.transactional_client import COPIED, PARTITIONS, PLAIN, WRITTEN

KILL_FOR_S = float(os.environ.get("DATACORE_KILL_FOR_S", "30"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(KILL_FOR_S * 2 + 300)]

BETWEEN_KILLS_S = (1.0, 4.0)
READ_TIMEOUT_S = 30.0
CLIENTS = [("writer", number) for number in range(4)] + [
    ("plain", 0),
    ("plain", 1),
    ("copier", 0),
    ("reader", 0),
]


@contextmanager
def clients(bootstrap: str, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """All clients as processes; those that still run at the end are killed."""
    started = []
    try:
        for role, number in CLIENTS:
            with (
                (folder / f"{role}-{number}.jsonl").open("wb") as history,
                (folder / f"{role}-{number}.log").open("wb") as log,
            ):
                module = "tests.crash.transactional_client"
                command = [sys.executable, "-m", module, role, str(number), bootstrap]
                started.append(subprocess.Popen(command, stdout=history, stderr=log))
        yield started
    finally:
        for client in started:
            client.kill()
            client.wait()


def history(folder: Path, role: str) -> list[dict[str, object]]:
    """What all clients of a role wrote down; the last line of one that was killed may be cut."""
    noted = []
    for path in sorted(folder.glob(f"{role}-*.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        noted += [json.loads(line) for line in lines if line.endswith("\n")]
    return noted


def committed_values(bootstrap: str, topic: str) -> Counter[str]:
    """Everything that a read_committed consumer gets of a topic, from its start to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "checker",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, at, 0) for at in range(PARTITIONS)])
    values: Counter[str] = Counter()
    left = set(range(PARTITIONS))
    deadline_s = time.monotonic() + READ_TIMEOUT_S
    while left:
        assert time.monotonic() < deadline_s, f"{topic} is not read to its end"
        for message in consumer.consume(1_000, 0.2):
            deadline_s = time.monotonic() + READ_TIMEOUT_S  # after a long run there is much to read
            if message.error() is not None:
                left.discard(message.partition())
            else:
                values[(message.value() or b"").decode()] += 1
    consumer.close()
    return values


def wait_for_copies(bootstrap: str, expected: int) -> None:
    """As long as there are more and more of them: after a long run the copier is behind."""
    copied, deadline_s = -1, 0.0
    while (found := committed_values(bootstrap, COPIED).total()) < expected:
        if found > copied:
            copied, deadline_s = found, time.monotonic() + READ_TIMEOUT_S
        assert time.monotonic() < deadline_s, f"the copier stands still at {copied} of {expected}"


def kill_for_a_while(broker: BrokerProcess, seconds: float) -> int:
    """Kills and starts the broker again and again; how often."""
    chance = random.Random(20261125)
    kills = 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        time.sleep(chance.uniform(*BETWEEN_KILLS_S))  # the load goes on meanwhile
        broker.kill()
        broker.start()
        kills += 1
    return kills


def test_transactions_are_all_or_nothing_when_the_broker_is_killed(tmp_path: Path) -> None:
    with BrokerProcess(num_partitions=PARTITIONS) as broker:
        bootstrap = broker.bootstrap_servers
        with Connection(broker.host, broker.port) as connection:
            topics = [MetadataRequestTopic(name=name) for name in (WRITTEN, PLAIN, COPIED)]
            connection.send(MetadataRequest(topics=topics), MetadataResponse, 9)
        with clients(bootstrap, tmp_path) as running:
            kills = kill_for_a_while(broker, KILL_FOR_S)
            by_role = list(zip((role for role, _ in CLIENTS), running, strict=True))
            stop([client for role, client in by_role if role in {"writer", "plain"}])
            plain = committed_values(bootstrap, PLAIN)
            wait_for_copies(bootstrap, plain.total())
            stop([client for role, client in by_role if role in {"copier", "reader"}])
        written, copied = (committed_values(bootstrap, topic) for topic in (WRITTEN, COPIED))
    check_transactions(history(tmp_path, "writer"), written)
    acknowledged = [each["value"] for each in history(tmp_path, "plain") if "value" in each]
    assert set(acknowledged) <= plain.keys(), "an acknowledged record is lost"
    assert plain.total() == len(plain), "a record is there twice"
    assert copied == plain, "it is not copied exactly once"
    seen = Counter(str(each["value"]) for each in history(tmp_path, "reader"))
    assert seen.keys() <= written.keys(), "a reader has seen what was not committed"
    assert seen.total() == len(seen), "a reader has seen a record twice"
    outcomes = Counter(each.get("outcome") for each in history(tmp_path, "writer"))
    print(
        f"{kills} kills in {KILL_FOR_S:.0f} s; transactions: {dict(outcomes)}; "
        f"{written.total()} records written, {len(acknowledged)} acknowledged, "
        f"{copied.total()} copied, {len(seen)} seen"
    )


def stop(running: list[subprocess.Popen[bytes]]) -> None:
    """Lets clients finish what they are at."""
    for client in running:
        client.send_signal(signal.SIGTERM)
    for client in running:
        client.wait(90)


def check_transactions(transactions: list[dict[str, object]], written: Counter[str]) -> None:
    assert written.total() == len(written), "a record is there twice"
    torn, lost, undead = [], [], []
    for transaction in transactions:
        if transaction["event"] != "transaction":
            continue
        values = transaction["values"]
        assert isinstance(values, list)
        there = sum(written[value] for value in values)
        if 0 < there < len(values):
            torn.append(transaction)
        if transaction["outcome"] == "committed" and there == 0:
            lost.append(transaction)
        if transaction["outcome"] == "aborted" and there > 0:
            undead.append(transaction)
    assert (torn, lost, undead) == ([], [], [])
