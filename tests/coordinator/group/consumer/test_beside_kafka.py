"""The same requests of KIP-848's protocol to a shard and to Apache Kafka 4.1.1: no difference.

Where DataCore means to differ, the scripts leave it out and say so here:

- A regular expression is resolved by the request that brings it (Kafka resolves it later, so its
  first answer has no partitions, and its epoch is one higher in the end). RE2 words what is wrong
  with an expression otherwise than RE2/J.
- OffsetFetch with an epoch and no member id is UNKNOWN_MEMBER_ID (Kafka: UNKNOWN_SERVER_ERROR).
- A classic client that a consumer group names has the client's id in its own, as in a classic group
  (Kafka: a UUID alone).
- The hash of a group's topics is another.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from datacore._generated.consumer_group_describe import ConsumerGroupDescribeRequest
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatRequestTopicPartitions,
)
from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListGroupsRequest
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from datacore.coordinator.group.consumer.member import Partitions
from datacore.coordinator.group.shard import GroupShard
from datacore.coordinator.outcome import Record
from datacore.protocol.names import GroupId, MemberId, TopicId
from tests.coordinator.group.consumer.classic_client import subscribed, write_assignment
from tests.coordinator.group.script import Script as ClassicScript
from tests.coordinator.group.twin import (
    Twin,
    Wire,
    ask_kafka_until,
    kafkas_log,
    plain,
    prepare_kafka,
)
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

TOPICS = {"one": 1, "four": 4, "six": 6}
GROUP_EPOCH_TYPE = b"\0\3"
EPOCH_BYTES = 2 + 4


PROPERTIES = {
    "group.consumer.max.size": "3",
    "offsets.topic.num.partitions": "1",
    # Descriptions show what is committed; without this, a little later than written.
    "group.coordinator.append.linger.ms": "0",
}


@pytest.fixture(scope="module")
def kafka_port() -> Iterator[int]:
    with ApacheKafka("4.1.1", properties=PROPERTIES) as kafka:
        prepare(kafka.port)
        yield kafka.port


@pytest.fixture
def twin(kafka_port: int) -> Iterator[Twin]:
    twin = Twin(kafka_port, group_max_size=3, consumer_max_size=3)
    learn_topics(twin)
    yield twin
    twin.close()
    assert twin.compared > 1


def prepare(port: int) -> None:
    """Makes the topics, and Kafka's coordinator know of them."""
    prepare_kafka(port, "t")
    topics = [
        CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
        for name, partitions in TOPICS.items()
    ]
    Wire(port, CreateTopicsRequest(topics=topics, timeout_ms=10_000), 5, "c").answer()
    joining = ConsumerGroupHeartbeatRequest(
        group_id="prepared",
        member_id="m",
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=list(TOPICS),
        topic_partitions=[],
    )
    # Its coordinator hears of new topics a little later.
    ask_kafka_until(port, joining, 1, lambda a: len(a.assignment.topic_partitions) == len(TOPICS))


def learn_topics(twin: Twin) -> None:
    """Gives the shard's cluster Kafka's topics."""
    for name, partitions in TOPICS.items():
        request = MetadataRequest(topics=[MetadataRequestTopic(name=name)])
        ask_kafka_until(twin.port, request, 12, lambda a: a.topics[0].error_code == ErrorCode.NONE)
        topic = Wire(twin.port, request, 12, "c").answer().topics[0]
        twin.driver.cluster.set_topic(name, partitions, bytes(topic.topic_id))


class Script(ClassicScript):
    """Requests of one group, short to write."""

    def beat(
        self,
        member: str,
        epoch: int,
        version: int = 1,
        *,
        name: str = "",
        topics: Sequence[str] | None = None,
        owned: dict[str, list[int]] | None = None,
        **fields: Any,
    ) -> None:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=member,
            member_epoch=epoch,
            subscribed_topic_names=None if topics is None else list(topics),
            **fields,
        )
        if owned is not None:
            ids = {name: topic_id for topic_id, name in self.twin.driver.cluster.names.items()}
            request.topic_partitions = [
                ConsumerGroupHeartbeatRequestTopicPartitions(topic_id=ids[t], partitions=p)
                for t, p in owned.items()
            ]
        self.twin.ask(request, version, name=name)

    def come(self, member: str, *topics: str, version: int = 1, **fields: Any) -> None:
        fields = {"rebalance_timeout_ms": 30_000, "owned": {}, **fields}
        self.beat(member, 0, version, topics=topics, **fields)

    def describe_consumers(self, version: int = 1) -> None:
        self.twin.ask(ConsumerGroupDescribeRequest(group_ids=[self.group]), version)

    def join_classic(
        self, name: str, *topics: str, version: int = 9, owned: int | None = None, **fields: Any
    ) -> None:
        held = {("six", index) for index in range(owned or 0)}
        metadata = subscribed(frozenset(topics), held)
        self.join(name, version, protocols=(("range", metadata),), **fields)


def life_of_a_group(s: Script, version: int) -> None:
    s.come("a", "four", version=version)
    s.beat("a", 1, version)
    s.describe_consumers(version)
    s.come("b", "four", version=version)
    s.describe_consumers(version)
    s.beat("a", 1, version, owned={"four": [0, 1, 2, 3]})
    s.beat("b", 2, version, owned={})
    s.describe_consumers(version)
    s.beat("a", 1, version)
    s.beat("a", 1, version, owned={"four": [0, 1]})
    s.beat("a", 1, version, owned={"four": [0, 1]})
    s.beat("a", 0, version, owned={"four": [0, 1]})
    s.beat("a", 2, version)
    s.beat("b", 2, version)
    s.describe_consumers(version)
    s.beat("b", 1, version)
    s.beat("b", 3, version)
    s.beat("b", 2, version, topics=["four", "one"], rebalance_timeout_ms=30_000, owned={})
    s.beat("a", 2, version)
    s.describe_consumers(version)
    s.beat("a", -1, version)
    s.beat("a", 3, version)
    s.beat("b", 3, version)
    s.delete()
    s.beat("b", -1, version)
    s.describe_consumers(version)
    s.delete()
    s.describe_consumers(version)


def static_members(s: Script, version: int) -> None:
    s.come("a", "four", version=version, instance_id="i1")
    s.come("b", "four", version=version, instance_id="i2")
    s.beat("a", 1, version, instance_id="i1", owned={"four": [0, 1, 2, 3]})
    s.beat("a", 1, version, instance_id="i1", owned={"four": [0, 1]})
    s.beat("b", 2, version, instance_id="i2")
    s.come("c", "four", version=version, instance_id="i1")
    s.beat("c", 2, version, instance_id="i1")
    s.beat("c", 2, version, instance_id="i3")
    s.beat("c", -2, version, instance_id="i1")
    s.beat("a", -2, version, instance_id="i1")
    s.describe_consumers(version)
    s.beat("a", 2, version, instance_id="i1")
    s.beat("b", 2, version, instance_id="i2")
    s.come("c", "four", version=version, instance_id="i1")
    s.describe_consumers(version)
    s.beat("c", -2, version, instance_id="i1")
    s.come("d", "one", version=version, instance_id="i1")
    s.describe_consumers(version)
    s.beat("d", -1, version, instance_id="i2")
    s.beat("d", -1, version, instance_id="i1")
    s.describe_consumers(version)


def refusals(s: Script, version: int) -> None:
    s.beat("a", 1, version)
    s.beat("a", -1, version)
    s.beat("a", -3, version)
    s.beat("", -1, version)
    s.beat("", 2, version)
    s.beat("a", -2, version)
    s.beat("a", 0, version, topics=["one"], owned={})
    s.beat("a", 0, version, topics=["one"], rebalance_timeout_ms=1)
    s.beat("a", 0, version, owned={}, rebalance_timeout_ms=1)
    s.beat("a", 0, version, topics=["one"], owned={"one": [0]}, rebalance_timeout_ms=1)
    s.come("a", "one", version=version, instance_id="")
    s.come("a", "one", version=version, rack_id=" ")
    s.come("a", "one", version=version, server_assignor="sticky")
    s.come("a", version=version)
    s.come("b", "one", version=version, server_assignor="range")
    s.describe_consumers(version)
    s.beat("x", 1, version)
    s.beat("x", -1, version)
    s.come("c", "none", version=version)
    s.come("d", "one", version=version)
    s.join("k", 3)
    s.describe_consumers(version)


def commits(s: Script, version: int) -> None:
    s.come("a", "one")
    for commit_version in (version, 9):
        s.commit(1, commit_version, member="a", generation=1)
        s.commit(2, commit_version, member="a", generation=0)
        s.commit(2, commit_version, member="b", generation=1)
        s.commit(2, commit_version)
    s.fetch(8)
    s.beat("a", -1)
    s.commit(3, version)
    s.commit(4, version, member="a", generation=1)
    s.fetch(8)
    s.describe()
    s.delete_offset()
    s.delete()
    s.fetch(8)


def classic_clients_in_a_consumer_group(s: Script, version: int) -> None:
    s.come("c", "six")
    s.join_classic("k", "six", version=version)
    if version >= 4:
        s.join_classic("k", "six", version=version, member="<k>")
    s.describe_consumers()
    s.heartbeat("<k>", 2)
    s.sync("<k>", 2)
    s.beat("c", 1, owned={"six": [0, 1, 2, 3, 4, 5]})
    s.beat("c", 1, owned={"six": [0, 1, 2]})
    s.heartbeat("<k>", 2)
    s.join_classic("k", "six", version=version, member="<k>")
    s.sync("<k>", 2)
    s.sync("<k>", 3)
    s.sync("<k>", 2, protocol="sticky")
    s.heartbeat("<k>", 3)
    s.heartbeat("c", 2)
    s.heartbeat("stranger", 2)
    s.commit(1, 8, member="<k>", generation=2)
    s.commit(1, 8, member="<k>", generation=1)
    s.describe_consumers()
    s.join("x", version, protocol_type="connect")
    s.leave(("c", None), ("stranger", None))
    s.beat("c", 2, topics=["six", "one"])
    s.heartbeat("<k>", 2)
    s.leave(("<k>", None))
    s.beat("c", 3)
    s.describe_consumers()


def a_classic_group_is_upgraded_and_downgraded(s: Script, version: int) -> None:
    s.join_classic("k", "six", version=min(version, 3))
    metadata = subscribed(frozenset({"six"}), set())
    s.sync("<k>", 1, k=write_assignment({("six", index) for index in range(6)}))
    s.come("c", "six")
    s.describe()
    s.describe_consumers()
    s.beat("c", 2)
    s.heartbeat("<k>", 1)
    s.join_classic("k", "six", version=version, member="<k>", owned=6)
    s.sync("<k>", 1)
    s.describe_consumers()
    s.heartbeat("<k>", 1)
    s.join("k", version, member="<k>", protocols=(("range", metadata),))
    s.sync("<k>", 2)
    s.beat("c", 2)
    s.describe_consumers()
    s.beat("c", -1)
    s.describe_consumers()
    s.heartbeat("<k>", 2)
    s.heartbeat("<k>", 3)
    s.join("k", version, member="<k>", protocols=(("range", metadata),))
    s.sync("<k>", 4, k=b"A")
    s.describe()


def a_topic_is_deleted_while_the_group_is_classic(s: Script, version: int) -> None:
    gone, again = f"gone-{version}", f"again-{version}"
    for topic in (gone, again):
        s.twin.make_topic(topic, 2)
    held = {(gone, 0), (gone, 1), (again, 0), (again, 1)}
    s.join_classic("k", gone, again, version=min(version, 3))
    s.sync("<k>", 1, k=write_assignment(held))
    for topic in (gone, again):
        s.twin.delete_topic(topic)
    s.twin.make_topic(again, 3)
    s.come("c", "six")
    s.describe_consumers()
    s.heartbeat("<k>", 1)
    s.beat("c", 2)
    s.heartbeat("<k>", 1)
    metadata = subscribed(frozenset({gone, again}), held)
    s.join("k", version, member="<k>", protocols=(("range", metadata),))
    s.sync("<k>", 2)
    s.describe_consumers()


def a_topic_of_nobody_else_is_deleted_while_the_group_is_classic(s: Script, version: int) -> None:
    lonely = f"lonely-{version}"
    s.twin.make_topic(lonely, 2)
    held = {("one", 0), (lonely, 0), (lonely, 1)}
    s.join_classic("k", "one", lonely, version=min(version, 3))
    s.sync("<k>", 1, k=write_assignment(held))
    s.twin.delete_topic(lonely)
    s.come("c", "six")
    s.describe_consumers()
    s.heartbeat("<k>", 1)
    s.beat("c", 2)
    s.heartbeat("<k>", 1)
    s.describe_consumers()
    s.twin.make_topic(lonely, 1)
    s.beat("c", 2)
    s.heartbeat("<k>", 1)
    s.describe_consumers()


def a_topic_is_deleted_and_who_upgrades_subscribes_to_nothing(s: Script, version: int) -> None:
    """So nothing of the group changes by that."""
    left = f"left-{version}"
    s.twin.make_topic(left, 2)
    s.join_classic("k", left, version=min(version, 3))
    s.sync("<k>", 1, k=write_assignment({(left, 0), (left, 1)}))
    s.twin.delete_topic(left)
    s.come("c")
    s.describe_consumers()
    s.heartbeat("<k>", 1)
    s.beat("c", 1)
    s.heartbeat("<k>", 1)
    s.describe_consumers()
    metadata = subscribed(frozenset({left}), {(left, 0), (left, 1)})
    s.join("k", version, member="<k>", protocols=(("range", metadata),))
    s.sync("<k>", 1)
    s.heartbeat("<k>", 1)
    s.describe_consumers()


def empty_groups_change_their_type(s: Script, version: int) -> None:
    s.join_classic("k", "six", version=min(version, 3))
    s.sync("<k>", 1, k=b"")
    s.commit(1, member="<k>", generation=1)
    s.leave(("<k>", None))
    s.beat("c", 1)
    s.come("c", "six")
    s.fetch(8)
    s.beat("c", -1)
    s.join("k", 3, member="<k>")
    s.join_classic("k", "six", version=min(version, 3))
    s.describe_consumers()
    s.describe()
    s.fetch(8)


def another_kind_of_group_is_not_upgraded(s: Script, version: int) -> None:
    s.join("k", 3, protocol_type="connect")
    s.come("c", "six", version=min(version, 1))
    s.describe()
    s.describe_consumers()


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("script", [life_of_a_group, static_members, refusals])
def test_kafka_says_the_same_of_consumer_groups(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"consumer-{script.__name__}-{version}"), version)


@pytest.mark.parametrize("version", [2, 5, 8])
def test_kafka_says_the_same_of_commits(twin: Twin, version: int) -> None:
    commits(Script(twin, f"consumer-commits-{version}"), version)


@pytest.mark.parametrize("version", [1, 3, 5, 9])
@pytest.mark.parametrize(
    "script",
    [
        classic_clients_in_a_consumer_group,
        a_classic_group_is_upgraded_and_downgraded,
        a_topic_is_deleted_while_the_group_is_classic,
        a_topic_of_nobody_else_is_deleted_while_the_group_is_classic,
        a_topic_is_deleted_and_who_upgrades_subscribes_to_nothing,
        empty_groups_change_their_type,
        another_kind_of_group_is_not_upgraded,
    ],
)
def test_kafka_says_the_same_of_groups_that_migrate(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"{script.__name__}-{version}"), version)


def test_groups_are_listed_alike(twin: Twin) -> None:
    script = Script(twin, "listed")
    script.come("a", "four")
    script.come("b", "four")
    for types, states in ((["consumer"], ["reconciling"]), (["Consumer"], []), ([], ["Empty"])):
        request = ListGroupsRequest(types_filter=types, states_filter=states)
        context = twin.driver.context(5)
        twin.driver.take(twin.driver.shard.list_groups(request, context))
        theirs = Wire(twin.port, request, 5, "c").answer()
        ours = twin.driver.answers[twin.driver.last_token]
        expected = [plain(g, {}) for g in theirs.groups if g.group_id == script.group]
        assert [plain(group, {}) for group in ours.groups] == expected
    twin.ask(DeleteGroupsRequest(groups_names=[script.group]), 2)


def test_our_records_are_kafkas(twin: Twin) -> None:
    group = "recorded"
    script = Script(twin, group)
    script.come("a", "four", instance_id="i1", rack_id="r", server_assignor="uniform")
    script.come("b", "four")
    script.beat("a", 1, instance_id="i1", owned={"four": [0, 1]})
    script.beat("a", -2, instance_id="i1")
    script.come("c", "four", instance_id="i1")
    script.beat("b", 2)
    script.beat("b", -1)
    script.beat("c", -1, instance_id="i1")
    theirs = [record for record in kafkas_log(twin.port) if group.encode() in record.key]
    assert [without_hash(r) for r in twin.driver.log] == [without_hash(r) for r in theirs]


@pytest.mark.parametrize("version", [3, 9])
def test_our_records_of_a_migration_are_kafkas(twin: Twin, version: int) -> None:
    group = f"recorded-migration-{version}"
    a_classic_group_is_upgraded_and_downgraded(Script(twin, group), version)
    theirs = final(record for record in kafkas_log(twin.port) if group.encode() in record.key)
    ours = final(twin.driver.log)
    member_ids = twin.ours["k"].encode(), twin.theirs["k"].encode()
    assert {r.key.replace(*member_ids) for r in ours} == {r.key for r in theirs}
    live = [r.key.replace(*member_ids) for r in ours if r.value is not None]
    assert live == [r.key for r in theirs if r.value is not None]


def final(records: Iterable[Record]) -> list[Record]:
    """What compaction leaves, in the order of keys."""
    last = {record.key: record for record in records}
    return [last[key] for key in sorted(last)]


def without_hash(record: Record) -> Record:
    if record.key[:2] == GROUP_EPOCH_TYPE and record.value is not None:
        return Record(record.key, record.value[:EPOCH_BYTES])
    return record


def test_a_shard_takes_a_consumer_group_over_from_kafkas_log(twin: Twin) -> None:
    group = GroupId("consumers-taken-over")
    script = Script(twin, group)
    script.come("a", "four")
    script.come("b", "four")
    script.beat("a", 1, owned={"four": [0, 1, 2, 3]})
    script.commit(5, member="a", generation=1)
    shard = GroupShard(twin.driver.config, twin.driver.cluster)
    for record in kafkas_log(twin.port):
        shard.apply(record.key, record.value)
    shard.load(twin.driver.now_ms)
    taken_over = shard.state.consumer_groups[group]
    ours = twin.driver.shard.state.consumer_groups[group]
    assert without_order(taken_over.targets) == without_order(ours.targets)
    assert taken_over.members == ours.members
    assert (taken_over.epoch, taken_over.target_epoch) == (ours.epoch, ours.target_epoch)
    assert taken_over.owners == ours.owners


def without_order(targets: dict[MemberId, Partitions]) -> dict[MemberId, dict[TopicId, object]]:
    return {member_id: dict(partitions) for member_id, partitions in targets.items()}
