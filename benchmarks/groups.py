"""``python -m benchmarks.groups``: what groups cost, DataCore beside Apache Kafka 4.1.1.

How long a rebalance of 50 members over 500 partitions takes in either protocol when every member
answers at once (so it is the broker's part, not that of heartbeat intervals); the broker's CPU for
1,000 idle members; how long a broker with 10,000 groups takes from its start until each of them has
told its member and its offset. Prints a Markdown table with machine, date and versions. Nothing
else should run on the machine meanwhile; the load average is printed so that a reader sees whether
that was so.
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
from datacore._generated.consumer_protocol_assignment import ConsumerProtocolAssignment
from datacore._generated.consumer_protocol_assignment import TopicPartition as AssignedPartitions
from datacore._generated.consumer_protocol_subscription import ConsumerProtocolSubscription
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from datacore._generated.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from datacore.client.connection import Connection
from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

HEARTBEAT_VERSION = 1
JOIN_VERSION = 9
SYNC_VERSION = 5
PROTOCOL_VERSION = 1
COMMIT_VERSION = 9
MAKERS = 50
GROUPS_AT_ONCE = 500
"""In one question of what is there after a restart."""
HEARTBEAT_INTERVAL_S = 5.0
ANSWER_TIMEOUT_S = 120.0


class RefusedError(Exception):
    """A request was answered with an error, or a group has forgotten its offset."""


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


class ClassicMembers:
    """The members of a classic group, each with a connection of its own."""

    def __init__(self, connections: list[Connection], group: str, topic: str) -> None:
        self.connections = connections
        self.group, self.topic = group, topic
        self.ids = [""] * len(connections)

    def come(self) -> None:
        """Each gets its id, and is not in the group yet."""
        for place, connection in enumerate(self.connections):
            asked = self._join(place, 0)
            self.ids[place] = connection.send(asked, JoinGroupResponse, JOIN_VERSION).member_id

    def rebalance(self, number: int, partitions: int) -> None:
        """One generation, from everybody's JoinGroup to everybody's assignment."""
        posted = [
            (connection, connection.post(self._join(place, number), JOIN_VERSION))
            for place, connection in enumerate(self.connections)
        ]
        joined = [c.take(JoinGroupResponse, JOIN_VERSION, asked) for c, asked in posted]
        generations = {each.generation_id for each in joined}
        if any(each.error_code for each in joined) or len(generations) != 1:
            raise RefusedError(f"JoinGroup: {joined[0].error_code}, generations {generations}")
        syncing = []
        for connection, member, answer in zip(self.connections, self.ids, joined, strict=True):
            request = SyncGroupRequest(
                group_id=self.group,
                generation_id=answer.generation_id,
                member_id=member,
                protocol_type="consumer",
                protocol_name="range",
            )
            if answer.leader == member:
                request.assignments = self._assignments(partitions)
            syncing.append((connection, connection.post(request, SYNC_VERSION)))
        synced = [c.take(SyncGroupResponse, SYNC_VERSION, asked) for c, asked in syncing]
        if any(each.error_code or not each.assignment for each in synced):
            raise RefusedError(f"SyncGroup: {[each.error_code for each in synced]}")

    def _join(self, place: int, number: int) -> JoinGroupRequest:
        # Other user data each time: Kafka gives a member that says nothing new its generation.
        subscription = ConsumerProtocolSubscription(
            topics=[self.topic], user_data=str(number).encode()
        )
        metadata = PROTOCOL_VERSION.to_bytes(2) + subscription.encode(PROTOCOL_VERSION)
        return JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=60_000,
            rebalance_timeout_ms=60_000,
            member_id=self.ids[place],
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=metadata)],
        )

    def _assignments(self, partitions: int) -> list[SyncGroupRequestAssignment]:
        share = partitions // len(self.ids)
        assigned = []
        for place, member in enumerate(self.ids):
            mine = list(range(place * share, (place + 1) * share))
            assignment = ConsumerProtocolAssignment(
                assigned_partitions=[AssignedPartitions(topic=self.topic, partitions=mine)]
            )
            encoded = PROTOCOL_VERSION.to_bytes(2) + assignment.encode(PROTOCOL_VERSION)
            assigned.append(SyncGroupRequestAssignment(member_id=member, assignment=encoded))
        return assigned


def classic_rebalance_s(broker: Broker, members: int, partitions: int) -> float:
    """A group of the classic protocol that is stable makes its next generation."""
    topic, group = topic_of(broker, partitions), f"classic-{uuid.uuid4()}"
    with ExitStack() as stack:
        connections = [stack.enter_context(broker.connect()) for _ in range(members)]
        crowd = ClassicMembers(connections, group, topic)
        crowd.come()
        crowd.rebalance(1, partitions)
        began = time.perf_counter()
        crowd.rebalance(2, partitions)
        return time.perf_counter() - began


def restart_s(broker: Broker, groups: int) -> tuple[float, float]:
    """How long the broker takes to stop; and from its start until all groups are as they were."""
    topic = topic_of(broker, 1)
    names = [f"many-{number:05}-{uuid.uuid4().hex[:4]}" for number in range(groups)]
    with ExitStack() as stack:
        connections = [stack.enter_context(broker.connect()) for _ in range(MAKERS)]
        for at in range(0, groups, MAKERS):
            make_groups(connections, topic, dict(enumerate(names[at : at + MAKERS], at)))
    began = time.perf_counter()
    broker.process.stop(timeout_s=ANSWER_TIMEOUT_S)
    stopped = time.perf_counter()
    broker.process.start()
    with broker.connect() as connection:
        for at in range(0, groups, GROUPS_AT_ONCE):
            wait_until_restored(connection, topic, names[at : at + GROUPS_AT_ONCE], at)
    return stopped - began, time.perf_counter() - stopped


def make_groups(connections: list[Connection], topic: str, names: dict[int, str]) -> None:
    """Groups of one member each, which has committed the group's number; all at a time.

    Kafka's coordinator waits a little for more to write, so one after the other takes minutes.
    """
    asked = []
    for connection, name in zip(connections, names.values(), strict=False):
        joining = ConsumerGroupHeartbeatRequest(
            group_id=name,
            member_id="m",
            rebalance_timeout_ms=300_000,
            subscribed_topic_names=[topic],
            topic_partitions=[],
        )
        asked.append((connection, connection.post(joining, HEARTBEAT_VERSION)))
    for connection, posted in asked:
        joined = connection.take(ConsumerGroupHeartbeatResponse, HEARTBEAT_VERSION, posted)
        if joined.error_code != ErrorCode.NONE:
            raise RefusedError(f"ConsumerGroupHeartbeat: {joined.error_code}")
    asked = []
    for connection, (number, name) in zip(connections, names.items(), strict=False):
        offset = OffsetCommitRequestPartition(partition_index=0, committed_offset=number)
        commit = OffsetCommitRequest(
            group_id=name,
            generation_id_or_member_epoch=1,
            member_id="m",
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[offset])],
        )
        asked.append((connection, connection.post(commit, COMMIT_VERSION)))
    for connection, posted in asked:
        committed = connection.take(OffsetCommitResponse, COMMIT_VERSION, posted)
        if committed.topics[0].partitions[0].error_code != ErrorCode.NONE:
            raise RefusedError(f"OffsetCommit: {committed.topics[0].partitions[0].error_code}")


def wait_until_restored(
    connection: Connection, topic: str, names: list[str], first_offset: int
) -> None:
    """Asks until each group tells its one member and its offset."""
    expected = {name: first_offset + place for place, name in enumerate(names)}
    waiting = list(names)
    while waiting:
        asked = ConsumerGroupDescribeRequest(group_ids=waiting)
        answer = connection.send(asked, ConsumerGroupDescribeResponse, version=1)
        waiting = [g.group_id for g in answer.groups if g.error_code or len(g.members) != 1]
    topics = [OffsetFetchRequestTopics(name=topic, partition_indexes=[0])]
    waiting = list(names)
    while waiting:
        groups = [OffsetFetchRequestGroup(group_id=name, topics=topics) for name in waiting]
        fetch = OffsetFetchRequest(groups=groups)
        waiting = []
        for group in connection.send(fetch, OffsetFetchResponse, version=9).groups:
            if group.error_code != ErrorCode.NONE:
                waiting.append(group.group_id)
                continue
            offset = group.topics[0].partitions[0].committed_offset
            if offset != expected[group.group_id]:
                raise RefusedError(f"{group.group_id} is at {offset} after the restart")


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
    properties = {
        "group.consumer.session.timeout.ms": "60000",
        # So that all members of a classic group are in its first generation; no figure holds it.
        "group.initial.rebalance.delay.ms": "1000",
    }
    kafka = ApacheKafka(KAFKA_VERSION, properties=properties)
    ours = BrokerProcess(disk_sync=False, kafka=dict(properties))
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
        ("50 members rebalance, 500 partitions (classic protocol)", classic_rebalance_s),
    ):
        measure(broker, 50, 500)  # warms the JVM, and us
        took_ms = [measure(broker, 50, 500) * 1_000 for _ in range(options.rounds)]
        spread = f"{min(took_ms):.0f} to {max(took_ms):.0f}"
        yield name, f"{statistics.median(took_ms):.0f} ms ({spread})"
    cpu_ms = idle_cpu_ms_per_s(broker, 1_000, options.idle_s)
    yield "CPU of 1,000 idle members", f"{cpu_ms:.0f} ms a second"
    stop_s, start_s = restart_s(broker, options.groups)
    yield f"{options.groups:,} groups: stop", f"{stop_s:.1f} s"
    yield f"{options.groups:,} groups: start, until all tell member and offset", f"{start_s:.1f} s"


if __name__ == "__main__":
    main()
