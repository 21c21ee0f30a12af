"""``python -m benchmarks.groups``: what groups cost, DataCore beside Apache Kafka 4.1.1.

Three figures: how long a rebalance of 50 members over 500 partitions takes in the consumer protocol
when every member answers at once (so it is the broker's part, not that of heartbeat intervals); the
broker's CPU for 1,000 idle members; how long a broker with 10,000 groups takes to serve them after
a restart. Prints a Markdown table with machine, date and versions. Nothing else should run on the
machine meanwhile; the load average is printed so that a reader sees whether that was so.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.__main__ import machine
from benchmarks.process_usage import cpu_time
from benchmarks.sides import KAFKA_VERSION
from datacore._generated.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore.client.connection import Connection
from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

HEARTBEAT_VERSION = 1
HEARTBEAT_INTERVAL_S = 5.0
ANSWER_TIMEOUT_S = 120.0


class RefusedError(Exception):
    """A heartbeat was answered with an error."""


@dataclass
class Broker:
    """One side, which can be restarted."""

    name: str
    process: BrokerProcess | ApacheKafka
    topics: dict[int, str] = field(default_factory=dict)
    """By number of partitions."""

    @property
    def address(self) -> tuple[str, int]:
        bootstrap = (
            self.process.bootstrap
            if isinstance(self.process, ApacheKafka)
            else self.process.bootstrap_servers
        )
        host, _, port = bootstrap.rpartition(":")
        return host, int(port)

    def connect(self) -> Connection:
        return Connection(*self.address, timeout_s=ANSWER_TIMEOUT_S)


class Member:
    """A member of the consumer protocol on a connection of its own."""

    def __init__(self, broker: Broker, group: str, topic: str) -> None:
        self.connection = broker.connect()
        self.group, self.topic = group, topic
        self.member_id = str(uuid.uuid4())
        self.epoch = 0
        self.owned: list[ConsumerGroupHeartbeatRequestTopicPartitions] = []

    def beat(self) -> bool:
        """One heartbeat; whether it brought news."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=self.epoch,
            topic_partitions=self.owned,
        )
        if self.epoch == 0:
            request.rebalance_timeout_ms = 300_000
            request.subscribed_topic_names = [self.topic]
        answer = self.connection.send(
            request, ConsumerGroupHeartbeatResponse, version=HEARTBEAT_VERSION
        )
        if answer.error_code != ErrorCode.NONE:
            raise RefusedError(f"{answer.error_code}: {answer.error_message}")
        is_news = answer.member_epoch != self.epoch or answer.assignment is not None
        self.epoch = answer.member_epoch
        if answer.assignment is not None:
            self.owned = [
                ConsumerGroupHeartbeatRequestTopicPartitions(
                    topic_id=each.topic_id, partitions=each.partitions
                )
                for each in answer.assignment.topic_partitions
            ]
        return is_news

    @property
    def load(self) -> int:
        return sum(len(each.partitions) for each in self.owned)

    def close(self) -> None:
        self.connection.close()


@contextmanager
def crowd(broker: Broker, group: str, topic: str, count: int) -> Iterator[list[Member]]:
    with ExitStack() as stack:
        members = [Member(broker, group, topic) for _ in range(count)]
        for member in members:
            stack.callback(member.close)
        yield members


def rebalance_s(broker: Broker, members: int, partitions: int) -> float:
    """From the first join to the last member's having its share."""
    topic, group = topic_of(broker, partitions), f"group-{uuid.uuid4()}"
    share = partitions // members
    with crowd(broker, group, topic, members) as joining:
        began = time.perf_counter()
        while any(member.load != share for member in joining):
            for member in joining:
                member.beat()
        return time.perf_counter() - began


def newcomer_s(broker: Broker, members: int, partitions: int) -> float:
    """From the join of one more member to everybody's having the newest epoch."""
    topic, group = topic_of(broker, partitions), f"group-{uuid.uuid4()}"
    with crowd(broker, group, topic, members) as joining:
        for _ in range(4):
            for member in joining:
                member.beat()
        newcomer = joining[-1]
        leaving = ConsumerGroupHeartbeatRequest(
            group_id=group, member_id=newcomer.member_id, member_epoch=-1
        )
        newcomer.connection.send(leaving, ConsumerGroupHeartbeatResponse, version=1)
        rest = joining[:-1]
        while sum(member.beat() for member in rest):
            pass
        newcomer.epoch, newcomer.owned = 0, []
        began = time.perf_counter()
        newcomer.beat()
        while sum(member.beat() for member in joining):
            pass
        return time.perf_counter() - began


def idle_cpu_ms_per_s(broker: Broker, members: int, seconds: float) -> float:
    """CPU of the broker for members that have nothing to say but that they live."""
    topic, group = topic_of(broker, members), f"idle-{uuid.uuid4()}"
    with crowd(broker, group, topic, members) as idle:
        for _ in range(2):
            for member in idle:
                member.beat()
        while sum(member.beat() for member in idle):
            pass
        for member in idle:
            member.owned = []
        before = cpu_time(broker.process.pid)
        began = time.monotonic()
        turn = 0
        while (elapsed_s := time.monotonic() - began) < seconds:
            due = int(elapsed_s * members / HEARTBEAT_INTERVAL_S)
            while turn < due:
                member = idle[turn % members]
                request = ConsumerGroupHeartbeatRequest(
                    group_id=group, member_id=member.member_id, member_epoch=member.epoch
                )
                member.connection.send(request, ConsumerGroupHeartbeatResponse, version=1)
                turn += 1
            time.sleep(0.005)
        return cpu_time(broker.process.pid).since(before).total_s / seconds * 1_000


def restart_s(broker: Broker, groups: int) -> float:
    """From the start of the process to the last group's description."""
    topic = topic_of(broker, 1)
    names = [f"many-{number:05}-{uuid.uuid4().hex[:4]}" for number in range(groups)]
    with broker.connect() as connection:
        for name in names:
            request = ConsumerGroupHeartbeatRequest(
                group_id=name,
                member_id="m",
                rebalance_timeout_ms=300_000,
                subscribed_topic_names=[topic],
                topic_partitions=[],
            )
            connection.send(request, ConsumerGroupHeartbeatResponse, version=1)
    broker.process.stop()
    began = time.perf_counter()
    broker.process.start()
    with broker.connect() as connection:
        waiting = names
        while waiting:
            asked = ConsumerGroupDescribeRequest(group_ids=waiting)
            answer = connection.send(asked, ConsumerGroupDescribeResponse, version=1)
            waiting = [g.group_id for g in answer.groups if g.error_code != ErrorCode.NONE]
    return time.perf_counter() - began


def topic_of(broker: Broker, partitions: int) -> str:
    if partitions in broker.topics:
        return broker.topics[partitions]
    name = broker.topics[partitions] = f"t{partitions}"
    with broker.connect() as connection:
        topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=60_000)
        connection.send(request, CreateTopicsResponse)
        find = FindCoordinatorRequest(coordinator_keys=["g"])
        while True:
            found = connection.send(find, FindCoordinatorResponse).coordinators[0]
            if found.error_code == ErrorCode.NONE:
                break
    # Kafka's coordinator is there, and hears of a topic, a little later than is acknowledged.
    probe = Member(broker, f"probe-{uuid.uuid4()}", name)
    while probe.load != partitions:
        probe.epoch, probe.owned = 0, []
        with suppress(RefusedError):
            probe.beat()
    probe.close()
    return name


def main() -> None:
    """Measures both sides and prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.groups", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-s", type=float, default=20.0)
    parser.add_argument("--groups", type=int, default=10_000)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(machine())
    load = os.getloadavg()[0]
    print(f"Load average when it began: {load:.1f}\n")
    rows: dict[str, list[str]] = {}
    properties = {"group.consumer.session.timeout.ms": "60000"}
    kafka = ApacheKafka(KAFKA_VERSION, properties=properties)
    ours = BrokerProcess(disk_sync=False, kafka={"group.consumer.session.timeout.ms": 60_000})
    with ours, kafka:
        for broker in (Broker("DataCore", ours), Broker(f"Apache Kafka {KAFKA_VERSION}", kafka)):
            for name, value in _measured(broker, options):
                print(f"{broker.name}: {name}: {value}", file=sys.stderr, flush=True)
                rows.setdefault(name, []).append(value)
    print(f"| | DataCore | Apache Kafka {KAFKA_VERSION} |\n|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(values)} |")


def _measured(broker: Broker, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for name, measure in (
        ("50 members join, 500 partitions (consumer protocol)", rebalance_s),
        ("a 50th member joins (consumer protocol)", newcomer_s),
    ):
        measure(broker, 50, 500)  # warms the JVM, and us
        took_ms = [measure(broker, 50, 500) * 1_000 for _ in range(options.rounds)]
        spread = f"{min(took_ms):.0f} to {max(took_ms):.0f}"
        yield name, f"{statistics.median(took_ms):.0f} ms ({spread})"
    cpu_ms = idle_cpu_ms_per_s(broker, 1_000, options.idle_s)
    yield "CPU of 1,000 idle members", f"{cpu_ms:.0f} ms a second"
    name = f"restart with {options.groups:,} groups until all are described"
    yield name, f"{restart_s(broker, options.groups):.1f} s"


if __name__ == "__main__":
    main()
