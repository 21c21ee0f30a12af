"""The same requests to a shard and to Apache Kafka 4.1.1, and no difference in the answers.

Where DataCore means to differ, the script leaves it out and says so here:

- An id that was handed out and leaves unused starts no rebalance (Kafka rebalances the group).
- A member that is thrown out while it waits in SyncGroup is answered (Kafka never answers it).
- A group is there from its first record on (Kafka writes an empty one for each first JoinGroup, the
  refused ones included, and keeps it until its next look for expired groups).
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from datacore._generated.leave_group import LeaveGroupRequest, MemberIdentity
from datacore._generated.list_groups import ListGroupsRequest
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from datacore._generated.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.records import GroupStored, OffsetCommitted, decode
from datacore.coordinator.group.shard import GroupShard
from datacore.protocol.names import GroupId, MemberId, TopicName
from tests.coordinator.group.twin import Twin, kafkas_log, plain, prepare_kafka
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

SUBSCRIPTION = b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"


PROPERTIES = {
    "group.max.size": "3",
    "offsets.topic.num.partitions": "1",
    # DescribeGroups reads what is committed there; without this, a little later than written.
    "group.coordinator.append.linger.ms": "0",
}


@pytest.fixture(scope="module")
def kafka_port() -> Iterator[int]:
    with ApacheKafka("4.1.1", properties=PROPERTIES) as kafka:
        prepare_kafka(kafka.port, "t")
        yield kafka.port


@pytest.fixture
def twin(kafka_port: int) -> Iterator[Twin]:
    twin = Twin(kafka_port, group_max_size=3)
    yield twin
    twin.close()
    assert twin.compared > 3


class Script:
    """Requests of one group, short to write."""

    def __init__(self, twin: Twin, group: str) -> None:
        self.twin = twin
        self.group = group
        twin.groups.add(group)

    def join(
        self,
        name: str,
        version: int = 9,
        *,
        member: str = "",
        instance: str | None = None,
        protocols: tuple[tuple[str, bytes], ...] = (("range", SUBSCRIPTION),),
        protocol_type: str = "consumer",
        session_timeout_ms: int = 30_000,
        rebalance_timeout_ms: int = 30_000,
    ) -> None:
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            member_id=member,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[JoinGroupRequestProtocol(name=n, metadata=m) for n, m in protocols],
        )
        self.twin.ask(request, version, name=name)

    def sync(
        self,
        member: str,
        generation: int,
        version: int = 5,
        *,
        instance: str | None = None,
        protocol: str | None = "range",
        **assignments: bytes,
    ) -> None:
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=generation,
            member_id=member,
            group_instance_id=instance,
            protocol_type="consumer",
            protocol_name=protocol,
            assignments=[
                SyncGroupRequestAssignment(member_id=f"<{name}>", assignment=assignment)
                for name, assignment in assignments.items()
            ],
        )
        self.twin.ask(request, version)

    def heartbeat(
        self, member: str, generation: int, version: int = 4, instance: str | None = None
    ) -> None:
        request = HeartbeatRequest(
            group_id=self.group,
            generation_id=generation,
            member_id=member,
            group_instance_id=instance,
        )
        self.twin.ask(request, version)

    def leave(self, *members: tuple[str, str | None], version: int = 5) -> None:
        request = LeaveGroupRequest(group_id=self.group)
        if version >= 3:
            request.members = [
                MemberIdentity(member_id=member, group_instance_id=instance)
                for member, instance in members
            ]
        else:
            request.member_id = members[0][0]
        self.twin.ask(request, version)

    def commit(
        self,
        offset: int,
        version: int = 9,
        *,
        member: str = "",
        generation: int = -1,
        instance: str | None = None,
        metadata: str | None = "",
    ) -> None:
        partition = OffsetCommitRequestPartition(
            partition_index=0,
            committed_offset=offset,
            committed_metadata=metadata,
            committed_leader_epoch=offset % 7,
        )
        request = OffsetCommitRequest(
            group_id=self.group,
            generation_id_or_member_epoch=generation,
            member_id=member,
            group_instance_id=instance,
            topics=[OffsetCommitRequestTopic(name="t", partitions=[partition])],
        )
        self.twin.ask(request, version)

    def fetch(self, version: int, *, is_all: bool = False) -> None:
        request = OffsetFetchRequest(group_id=self.group)
        if version >= 8:
            topics = [OffsetFetchRequestTopics(name="t", partition_indexes=[0, 1])]
            group = OffsetFetchRequestGroup(group_id=self.group, topics=None if is_all else topics)
            request = OffsetFetchRequest(groups=[group])
        elif is_all:
            request.topics = None
        else:
            request.topics = [OffsetFetchRequestTopic(name="t", partition_indexes=[0, 1])]
        self.twin.ask(request, version)

    def describe(self, version: int = 6) -> None:
        self.twin.ask(DescribeGroupsRequest(groups=[self.group]), version)

    def list_groups(
        self, version: int, *, states: tuple[str, ...] = (), types: tuple[str, ...] = ()
    ) -> None:
        request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
        self.twin.ask(request, version)

    def delete(self, version: int = 2) -> None:
        self.twin.ask(DeleteGroupsRequest(groups_names=[self.group]), version)

    def delete_offset(self, topic: str = "t") -> None:
        partitions = [OffsetDeleteRequestPartition(partition_index=0)]
        topics = [OffsetDeleteRequestTopic(name=topic, partitions=partitions)]
        self.twin.ask(OffsetDeleteRequest(group_id=self.group, topics=topics), 0)

    def stable_pair(self) -> None:
        """Dynamic members a, who leads, and b, in generation 2."""
        self.join("a", 3)
        self.join("b", 3)
        self.join("a", 3, member="<a>")
        self.sync("<b>", 2)
        self.sync("<a>", 2, a=b"A", b=b"B")

    def static_pair(self) -> None:
        """Static members i1, who leads, and i2, in generation 2."""
        self.join("a", instance="i1")
        self.join("b", instance="i2")
        self.join("a", member="<a>", instance="i1")
        self.sync("<b>", 2, instance="i2")
        self.sync("<a>", 2, instance="i1", a=b"A", b=b"B")


def life_of_a_dynamic_group(s: Script, version: int) -> None:
    s.join("a", version)
    if version >= 4:
        s.join("a", version, member="<a>")
    s.describe(5)
    s.heartbeat("<a>", 1)
    s.commit(1, member="<a>", generation=1)
    s.sync("<a>", 1, min(version, 5), a=b"A")
    s.describe()
    s.heartbeat("<a>", 1)
    s.heartbeat("<a>", 2)
    s.heartbeat("stranger", 1)
    s.commit(2, member="<a>", generation=1, metadata="note")
    s.commit(3, member="<a>", generation=0)
    s.commit(3)
    s.join("b", 3)
    s.describe(0)
    s.heartbeat("<a>", 1)
    s.sync("<a>", 1)
    s.join("a", version, member="<a>", protocols=(("range", b"x"), ("sticky", b"y")))
    s.sync("<b>", 2)
    s.sync("<a>", 2, a=b"A2", b=b"B2")
    s.describe(4)
    s.join("b", 3, member="<b>")
    s.leave(("<a>", None), version=min(version, 5))
    s.heartbeat("<b>", 2)
    s.join("b", 3, member="<b>")
    s.leave(("<b>", None), ("<a>", None), ("", "i1"))
    s.describe()
    s.fetch(8)
    s.delete()
    s.describe(5)
    s.delete()


def every_api_in_a_version(s: Script, version: int) -> None:
    s.join("a", version)
    if version >= 4:
        s.join("a", version, member="<a>")
    s.sync("<a>", 1, min(version, 5), a=b"A")
    s.heartbeat("<a>", 1, min(version, 4))
    s.heartbeat("<a>", 7, min(version, 4))
    s.commit(1, max(version, 2), member="<a>", generation=1, metadata="note")
    s.commit(2, max(version, 2), member="<a>", generation=7)
    s.fetch(max(version, 1))
    s.describe(min(version, 6))
    s.delete(min(version, 2))
    s.leave(("<a>", None), version=min(version, 5))
    s.leave(("<a>", None), version=min(version, 5))
    s.describe(min(version, 6))
    s.delete(min(version, 2))
    s.delete(min(version, 2))


def static_members_come_back(s: Script, version: int) -> None:
    s.static_pair()
    for name, instance in (("b", "i2"), ("a", "i1")):
        s.twin.keep(name, f"old_{name}")
        s.join(name, version, instance=instance)
        s.heartbeat(f"<old_{name}>", 2, 3, instance)
        s.join(f"old_{name}", member=f"<old_{name}>", instance=instance)
        s.sync(f"<old_{name}>", 2, instance=instance)
        s.commit(1, member=f"<old_{name}>", generation=2, instance=instance)
        s.sync(f"<{name}>", 2, instance=instance)
        s.describe()
    s.leave(("<a>", "i2"), ("", "i1"), ("", "i1"), ("<b>", "i2"))
    s.describe()


def a_static_member_comes_back_in_a_sync_phase(s: Script, version: int) -> None:
    s.static_pair()
    s.join("a", member="<a>", instance="i1")
    s.join("b", member="<b>", instance="i2")
    s.sync("<b>", 3, instance="i2")
    s.join("b", version, instance="i2")
    s.heartbeat("<a>", 3, instance="i1")
    s.join("a", member="<a>", instance="i1")
    s.sync("<a>", 4, instance="i1", a=b"A", b=b"B")
    s.sync("<b>", 4, instance="i2")
    s.describe()


def a_static_member_joins_by_a_version_without_instances(s: Script, version: int) -> None:
    s.static_pair()
    s.join("b", version, member="<b>", protocols=(("range", b"x"),))
    s.heartbeat("<a>", 2, instance="i1")
    s.leave(("<a>", "i1"))
    s.join("b", member="<b>", instance="i2", protocols=(("sticky", b"x"),))
    s.sync("<b>", 3, min(version, 5), b=b"B3")
    s.sync("<b>", 3, instance="i2")
    s.heartbeat("<b>", 3)
    s.heartbeat("<b>", 3, instance="i2")
    s.describe()
    s.twin.keep("b", "old_b")
    s.join("b", instance="i2", protocols=(("range", b"x"),))
    s.heartbeat("<old_b>", 3)
    s.sync("<b>", 3)
    s.describe()


def refusals(s: Script, version: int) -> None:
    s.stable_pair()
    s.join("x", version, protocols=(("sticky", b""),))
    s.join("x", version, protocol_type="connect")
    s.join("x", version, protocols=())
    s.join("x", version, session_timeout_ms=5_999)
    s.join("x", version, session_timeout_ms=1_800_001)
    s.join("x", version, member="stranger")
    s.sync("<b>", 1)
    s.sync("stranger", 2)
    s.sync("<b>", 2, protocol="sticky")
    s.sync("<b>", 2, protocol=None)
    s.sync("<b>", 2, 4, protocol=None)
    s.delete()
    s.delete_offset()
    s.commit(1, member="stranger", generation=2)
    s.commit(1, member="<a>")
    s.commit(1, generation=2)
    s.commit(1, member="<a>", generation=2, metadata="a" * 4_097)
    s.commit(1, member="<a>", generation=2, metadata="a" * 4_096)
    s.heartbeat("<a>", 2, instance="i1")
    s.describe()


def nobody_is_there(s: Script, version: int) -> None:
    s.heartbeat("m", 1)
    s.sync("m", 1)
    s.join("m", version, member="m")
    s.leave(("m", None), version=min(version, 5))
    s.leave(("m", None), ("", "i"))
    s.commit(1, 8, member="m", generation=1)
    s.commit(1, 9, member="m", generation=1)
    s.describe(5)
    s.describe(6)
    s.delete()
    s.delete_offset()
    s.fetch(1)
    s.fetch(9, is_all=True)


def no_group_has_no_name(s: Script, version: int) -> None:
    s.join("m", version)
    s.sync("m", 1)
    s.heartbeat("m", 1)
    s.leave(("m", None))
    s.delete_offset()


def a_client_without_a_group(s: Script, version: int) -> None:
    s.commit(5, max(version, 2), metadata="note")
    for fetch_version in range(1, 10):
        s.fetch(fetch_version)
        if fetch_version >= 2:
            s.fetch(fetch_version, is_all=True)
    s.describe()
    s.join("a", 3, protocol_type="connect")
    s.delete_offset()
    s.delete()
    s.leave(("<a>", None))
    s.delete_offset()
    s.fetch(9)
    s.describe()


def a_group_is_listed(s: Script, version: int) -> None:
    s.list_groups(version)
    s.join("a", 3)
    s.list_groups(version)
    s.sync("<a>", 1, a=b"A")
    s.list_groups(version)
    s.join("b", 3)
    s.list_groups(version)
    if version >= 4:
        for states in (("PreparingRebalance",), ("preparingrebalance", "Dead"), ("Stable",)):
            s.list_groups(version, states=states)
    if version >= 5:
        for types in (("classic",), ("Classic", "consumer"), ("consumer",)):
            s.list_groups(version, types=types)
            s.list_groups(version, types=types, states=("PreparingRebalance",))
    s.leave(("<a>", None), ("<b>", None))
    s.list_groups(version)
    s.commit(1)
    s.list_groups(version)
    s.delete()
    s.list_groups(version)


def commits_by_an_old_version(s: Script, version: int) -> None:
    """That Apache Kafka 3.9.1 has, and 4.1.1 has no more."""
    s.commit(1, version, metadata="note")
    s.fetch(version)
    s.join("a", 3)
    s.commit(2, version, member="<a>", generation=1)
    s.sync("<a>", 1, a=b"A")
    s.commit(3, version, member="<a>", generation=1)
    s.commit(4, version, member="<a>", generation=0)
    s.commit(4, version, member="stranger", generation=1)
    s.commit(4, version)
    s.fetch(version)
    s.fetch(8)
    s.leave(("<a>", None))
    s.commit(5, version)
    s.fetch(version)
    s.describe(5)


def a_full_group(s: Script, version: int) -> None:
    s.stable_pair()
    s.join("c", 3)
    s.join("a", 3, member="<a>")
    s.join("b", 3, member="<b>")
    s.join("d", version)
    s.sync("<a>", 3, a=b"A")
    s.join("d", version)
    s.sync("<c>", 3)
    s.describe()


def a_vote(s: Script, version: int) -> None:
    s.join("a", 3, protocols=(("x", b""), ("y", b""), ("z", b"")))
    s.join("b", 3, protocols=(("z", b""), ("y", b"")))
    s.join("a", 3, member="<a>", protocols=(("x", b""), ("z", b""), ("y", b"")))
    s.join("c", min(version, 3), protocols=(("y", b""), ("z", b"")))
    s.join("a", 3, member="<a>", protocols=(("x", b""), ("z", b""), ("y", b"")))
    s.join("b", 3, member="<b>", protocols=(("z", b""), ("y", b"")))
    s.describe()


def sessions_end(s: Script, version: int) -> None:
    s.join("a", 3, session_timeout_ms=6_000)
    s.sync("<a>", 1, a=b"A")
    s.join("b", 3, session_timeout_ms=6_000)
    s.twin.advance(6_000 + version)
    s.heartbeat("<a>", 1)
    s.sync("<b>", 2, b=b"B")
    s.describe()


def a_rebalance_ends_without_who_does_not_join(s: Script, version: int) -> None:
    s.join("a", 3, rebalance_timeout_ms=2_000)
    s.sync("<a>", 1, a=b"A")
    s.join("b", min(version, 3), rebalance_timeout_ms=2_000)
    s.twin.advance(2_000)
    s.heartbeat("<a>", 1)
    s.join("b", 3, member="<b>")
    s.twin.keep("b", "b")


def an_absent_static_leader_is_followed_by_another(s: Script, version: int) -> None:
    s.join("a", version, instance="i1", rebalance_timeout_ms=1_000)
    s.join("b", version, instance="i2", rebalance_timeout_ms=1_000)
    s.join("a", version, member="<a>", instance="i1", rebalance_timeout_ms=1_000)
    s.sync("<b>", 2, instance="i2")
    s.sync("<a>", 2, instance="i1", a=b"A", b=b"B")
    new = (("range", b"new"),)
    s.join("b", version, member="<b>", instance="i2", rebalance_timeout_ms=1_000, protocols=new)
    s.twin.advance(1_000)
    s.sync("<b>", 3, instance="i2", a=b"A3", b=b"B3")
    s.sync("<a>", 3, instance="i1")
    s.describe()


def who_does_not_sync_is_out(s: Script, version: int) -> None:
    s.join("a", 3, rebalance_timeout_ms=1_000)
    s.join("b", min(version, 3), rebalance_timeout_ms=1_000)
    s.join("a", 3, member="<a>", rebalance_timeout_ms=1_000)
    s.sync("<b>", 2)
    s.twin.advance(1_000)
    s.sync("<a>", 2)
    s.join("b", 3, member="<b>")
    s.describe()


@pytest.mark.parametrize("version", range(10))
@pytest.mark.parametrize(
    "script",
    [
        every_api_in_a_version,
        life_of_a_dynamic_group,
        refusals,
        nobody_is_there,
        a_client_without_a_group,
        a_full_group,
    ],
)
def test_kafka_says_the_same_in_every_version(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"{script.__name__}-{version}"), version)


@pytest.mark.parametrize("version", range(6))
def test_kafka_lists_a_group_alike(twin: Twin, version: int) -> None:
    a_group_is_listed(Script(twin, f"listed-{version}"), version)


@pytest.mark.parametrize("version", range(5, 10))
@pytest.mark.parametrize(
    "script", [static_members_come_back, a_static_member_comes_back_in_a_sync_phase]
)
def test_kafka_says_the_same_of_static_members(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"{script.__name__}-{version}"), version)


@pytest.mark.parametrize("version", range(5))
def test_kafka_says_the_same_of_static_members_that_join_by_old_versions(
    twin: Twin, version: int
) -> None:
    group = f"old_static_member-{version}"
    a_static_member_joins_by_a_version_without_instances(Script(twin, group), version)


@pytest.mark.parametrize(
    "script",
    [
        a_vote,
        sessions_end,
        a_rebalance_ends_without_who_does_not_join,
        an_absent_static_leader_is_followed_by_another,
        who_does_not_sync_is_out,
    ],
)
def test_kafka_says_the_same_when_time_passes(
    twin: Twin, script: Callable[[Script, int], None]
) -> None:
    script(Script(twin, script.__name__), 9)


def test_kafka_says_the_same_of_a_group_without_a_name(twin: Twin) -> None:
    no_group_has_no_name(Script(twin, ""), 9)


def test_kafkas_own_log_is_read_and_ours_is_the_same(twin: Twin) -> None:
    group = "stored"
    script = Script(twin, group)
    script.static_pair()
    script.commit(5, member="<a>", generation=2, instance="i1", metadata="note")
    theirs = {record.key: record for record in kafkas_log(twin.port)}
    ours = {record.key: record for record in twin.driver.log}
    assert ours.keys() == {key for key in theirs if group.encode() in key}
    for key, record in ours.items():
        their_value, our_value = theirs[key].value, record.value
        assert their_value is not None
        assert our_value is not None
        assert their_value[:2] == our_value[:2], (key, their_value)
        their_image, our_image = decode(key, their_value), decode(key, our_value)
        if isinstance(their_image, GroupStored) and isinstance(our_image, GroupStored):
            for image in (their_image.image, our_image.image):
                assert image is not None
                image.current_state_timestamp = 0
            expected = plain(their_image.image, twin.theirs)
            assert plain(our_image.image, twin.ours) == expected
        else:
            assert isinstance(their_image, OffsetCommitted)
            assert isinstance(our_image, OffsetCommitted)
            assert their_image.committed is not None
            assert our_image.committed is not None
            stamped = replace(
                our_image.committed, commit_timestamp_ms=their_image.committed.commit_timestamp_ms
            )
            assert stamped == their_image.committed


def test_a_shard_takes_over_from_kafkas_log(twin: Twin) -> None:
    group = GroupId("taken_over")
    script = Script(twin, group)
    script.stable_pair()
    script.commit(5, member="<b>", generation=2)
    shard = GroupShard(twin.driver.config, twin.driver.cluster)
    for record in kafkas_log(twin.port):
        shard.apply(record.key, record.value)
    shard.load(twin.driver.now_ms)
    taken_over = shard.state.groups[group]
    assert taken_over.state is GroupState.STABLE
    assert taken_over.leader_id == twin.theirs["a"]
    assert taken_over.members[MemberId(twin.theirs["b"])].assignment == b"B"
    assert shard.state.offsets.get(group, TopicName("t"), 0) is not None
