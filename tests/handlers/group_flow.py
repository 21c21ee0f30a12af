"""What a consumer does with its group, from coordinator to deletion: each step is one API."""

from collections.abc import Callable

from datacore._generated.api_keys import ApiKey
from datacore._generated.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from datacore._generated.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore._generated.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from datacore._generated.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from datacore._generated.list_groups import ListGroupsRequest, ListGroupsResponse
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
)
from datacore._generated.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from tests.handlers.speaker import Speaker

BROKER_ID = 1
METADATA, ASSIGNMENT = b"subscription", b"assignment"
COMMITTED, NOTE = 42, "where the flow stands"


class GroupFlow:
    """One consumer, alone in its group; steps run in the order in which they stand here."""

    def __init__(self, speaker: Speaker, label: str, topic: str) -> None:
        self.speaker = speaker
        self.group_id = f"group-{label}"
        self.topic = topic
        self.member_id = ""
        self.generation = -1

    def find_coordinator(self) -> None:
        if self.speaker.version(ApiKey.FIND_COORDINATOR) >= 4:
            request = FindCoordinatorRequest(coordinator_keys=[self.group_id, "another"])
            both = self.speaker.send(request, FindCoordinatorResponse).coordinators
            assert [found.key for found in both] == [self.group_id, "another"]
            assert {(f.error_code, f.node_id, f.host) for f in both} == {
                (0, BROKER_ID, "127.0.0.1")
            }
            return
        found = self.speaker.send(
            FindCoordinatorRequest(key=self.group_id), FindCoordinatorResponse
        )
        assert (found.error_code, found.node_id, found.host) == (0, BROKER_ID, "127.0.0.1")

    def join_group(self) -> None:
        version = self.speaker.version(ApiKey.JOIN_GROUP)
        joined = self._join("")
        if version >= 4:
            assert joined.error_code == ErrorCode.MEMBER_ID_REQUIRED
            assert joined.member_id
            joined = self._join(joined.member_id)
        assert (joined.error_code, joined.generation_id) == (0, 1)
        assert joined.leader == joined.member_id
        assert joined.protocol_name == "range"
        assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, METADATA)]
        if version >= 7:
            assert joined.protocol_type == "consumer"
        self.member_id, self.generation = joined.member_id, joined.generation_id

    def _join(self, member_id: str) -> JoinGroupResponse:
        request = JoinGroupRequest(
            group_id=self.group_id,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=60_000,
            member_id=member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=METADATA)],
        )
        return self.speaker.send(request, JoinGroupResponse)

    def sync_group(self) -> None:
        request = SyncGroupRequest(
            group_id=self.group_id,
            generation_id=self.generation,
            member_id=self.member_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[
                SyncGroupRequestAssignment(member_id=self.member_id, assignment=ASSIGNMENT)
            ],
        )
        synced = self.speaker.send(request, SyncGroupResponse)
        assert (synced.error_code, synced.assignment) == (0, ASSIGNMENT)
        if self.speaker.version(ApiKey.SYNC_GROUP) >= 5:
            assert (synced.protocol_type, synced.protocol_name) == ("consumer", "range")

    def heartbeat(self) -> None:
        assert self._heartbeat(self.generation) == 0
        assert self._heartbeat(self.generation + 1) == ErrorCode.ILLEGAL_GENERATION

    def _heartbeat(self, generation: int) -> int:
        request = HeartbeatRequest(
            group_id=self.group_id, generation_id=generation, member_id=self.member_id
        )
        return self.speaker.send(request, HeartbeatResponse).error_code

    # --- offsets

    def offset_commit(self) -> None:
        self._commit(self.group_that_commits, COMMITTED)

    @property
    def group_that_commits(self) -> str:
        """OffsetCommit v0 names no member, and so cannot commit for a group that has some."""
        is_member = self.speaker.version(ApiKey.OFFSET_COMMIT) >= 1
        return self.group_id if is_member else f"{self.group_id}-without-members"

    def _commit(self, group_id: str, offset: int) -> None:
        partition = OffsetCommitRequestPartition(
            partition_index=0,
            committed_offset=offset,
            committed_leader_epoch=0,
            committed_metadata=NOTE,
        )
        request = OffsetCommitRequest(
            group_id=group_id,
            generation_id_or_member_epoch=self.generation,
            member_id=self.member_id,
            topics=[OffsetCommitRequestTopic(name=self.topic, partitions=[partition])],
        )
        (topic,) = self.speaker.send(request, OffsetCommitResponse).topics
        assert topic.name == self.topic
        assert [(p.partition_index, p.error_code) for p in topic.partitions] == [(0, 0)]

    def offset_fetch(self) -> None:
        version = self.speaker.version(ApiKey.OFFSET_FETCH)
        known, unknown = self._fetch(self.group_that_commits, [0, 1])
        assert (known.error_code, known.committed_offset, known.metadata) == (0, COMMITTED, NOTE)
        assert (unknown.error_code, unknown.committed_offset, unknown.metadata) == (0, -1, "")
        if version >= 5 and self.speaker.version(ApiKey.OFFSET_COMMIT) >= 6:
            assert known.committed_leader_epoch == 0
        if version >= 2:
            (only,) = self._fetch(self.group_that_commits, None)
            assert (only.partition_index, only.committed_offset) == (0, COMMITTED)
        (nothing,) = self._fetch("never-seen", [0])
        assert (nothing.error_code, nothing.committed_offset) == (0, -1)

    def _fetch(
        self, group_id: str, indexes: list[int] | None
    ) -> list[OffsetFetchResponsePartition] | list[OffsetFetchResponsePartitions]:
        if self.speaker.version(ApiKey.OFFSET_FETCH) >= 8:
            topics = (
                None
                if indexes is None
                else [OffsetFetchRequestTopics(name=self.topic, partition_indexes=indexes)]
            )
            group = OffsetFetchRequestGroup(group_id=group_id, topics=topics)
            response = self.speaker.send(OffsetFetchRequest(groups=[group]), OffsetFetchResponse)
            (answered,) = response.groups
            assert (answered.group_id, answered.error_code) == (group_id, 0)
            return answered.topics[0].partitions
        request = OffsetFetchRequest(
            group_id=group_id,
            topics=None
            if indexes is None
            else [OffsetFetchRequestTopic(name=self.topic, partition_indexes=indexes)],
        )
        response = self.speaker.send(request, OffsetFetchResponse)
        assert response.error_code == 0
        (topic,) = response.topics
        return topic.partitions

    # --- administration

    def describe_groups(self) -> None:
        group = self._describe()
        assert (group.error_code, group.group_state) == (0, "Stable")
        assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
        (member,) = group.members
        assert member.member_id == self.member_id
        assert (member.client_id, member.client_host) == ("datacore", "/127.0.0.1")
        assert (member.member_metadata, member.member_assignment) == (METADATA, ASSIGNMENT)

    def _describe(self) -> DescribedGroup:
        request = DescribeGroupsRequest(groups=[self.group_id])
        (group,) = self.speaker.send(request, DescribeGroupsResponse).groups
        assert group.group_id == self.group_id
        return group

    def list_groups(self) -> None:
        version = self.speaker.version(ApiKey.LIST_GROUPS)
        request = ListGroupsRequest()
        if version >= 4:
            request.states_filter = ["Stable"]
        if version >= 5:
            request.types_filter = ["classic"]
        response = self.speaker.send(request, ListGroupsResponse)
        assert response.error_code == 0
        listed = {group.group_id: group for group in response.groups}[self.group_id]
        assert listed.protocol_type == "consumer"
        if version >= 4:
            assert listed.group_state == "Stable"
        if version >= 5:
            assert listed.group_type == "classic"

    def leave_group(self) -> None:
        if self.speaker.version(ApiKey.LEAVE_GROUP) >= 3:
            request = LeaveGroupRequest(
                group_id=self.group_id, members=[MemberIdentity(member_id=self.member_id)]
            )
        else:
            request = LeaveGroupRequest(group_id=self.group_id, member_id=self.member_id)
        left = self.speaker.send(request, LeaveGroupResponse)
        assert left.error_code == 0
        assert {(m.member_id, m.error_code) for m in left.members} <= {(self.member_id, 0)}
        assert self._heartbeat(self.generation) == ErrorCode.UNKNOWN_MEMBER_ID

    def offset_delete(self) -> None:
        request = OffsetDeleteRequest(
            group_id=self.group_that_commits,
            topics=[
                OffsetDeleteRequestTopic(
                    name=self.topic, partitions=[OffsetDeleteRequestPartition(partition_index=0)]
                )
            ],
        )
        response = self.speaker.send(request, OffsetDeleteResponse)
        (topic,) = response.topics
        assert (response.error_code, topic.partitions[0].error_code) == (0, 0)
        (forgotten,) = self._fetch(self.group_that_commits, [0])
        assert forgotten.committed_offset == -1

    def delete_groups(self) -> None:
        # Without members and offsets a group is gone by itself.
        self.member_id, self.generation = "", -1
        self._commit(self.group_id, COMMITTED)
        request = DeleteGroupsRequest(groups_names=[self.group_id, "never-seen"])
        deleted, unknown = self.speaker.send(request, DeleteGroupsResponse).results
        assert (deleted.group_id, deleted.error_code) == (self.group_id, 0)
        assert unknown.error_code == ErrorCode.GROUP_ID_NOT_FOUND
        assert self._describe().group_state == "Dead"

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.FIND_COORDINATOR, self.find_coordinator),
            (ApiKey.JOIN_GROUP, self.join_group),
            (ApiKey.SYNC_GROUP, self.sync_group),
            (ApiKey.HEARTBEAT, self.heartbeat),
            (ApiKey.OFFSET_COMMIT, self.offset_commit),
            (ApiKey.OFFSET_FETCH, self.offset_fetch),
            (ApiKey.DESCRIBE_GROUPS, self.describe_groups),
            (ApiKey.LIST_GROUPS, self.list_groups),
            (ApiKey.LEAVE_GROUP, self.leave_group),
            (ApiKey.OFFSET_DELETE, self.offset_delete),
            (ApiKey.DELETE_GROUPS, self.delete_groups),
        ]
