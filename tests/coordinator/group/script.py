"""Requests of one group, short to write, for a shard and Apache Kafka at once."""

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
from tests.coordinator.group.twin import Twin

SUBSCRIPTION = b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"


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
