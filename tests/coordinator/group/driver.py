"""A runtime for tests: a list as the log, an int as the clock, and every message through its codec.

Requests and responses are encoded and decoded in the version asked for, so a test of a version
sees what a client of that version can say and hear.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from datacore._generated.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsRequest
from datacore._generated.errors import ErrorCode
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
)
from datacore._generated.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, ClassicMember
from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig
from datacore.coordinator.group.shard import GroupShard
from datacore.coordinator.outcome import Outcome, Record
from datacore.protocol.names import GroupId, MemberId
from tests.coordinator.group.cluster import FakeCluster

Message = TypeVar("Message")

GROUP = "g"
TOPIC = ("t", 0)
RANGE = {"range": b"range metadata"}


class Driver:
    """One shard, its log, its clock and all that it answered."""

    def __init__(self, *, consumer: ConsumerGroupConfig | None = None, **config: int) -> None:
        self.config = GroupConfig(consumer=consumer or ConsumerGroupConfig(), **config)
        self.cluster = FakeCluster()
        self.log: list[Record] = []
        self.now_ms = 1_000_000
        self.answers: dict[int, Any] = {}
        self.versions: dict[int, int] = {}
        self.sentences: list[str] = []
        self.last_token = 0
        self.shard = GroupShard(self.config, self.cluster)
        self.take(self.shard.load(self.now_ms))

    # The runtime's part.

    def take(self, outcome: Outcome) -> None:
        for record in outcome.records:
            self.log.append(record)
            self.shard.apply(record.key, record.value)
        for reply in outcome.replies:
            token = cast("int", reply.token)
            assert token not in self.answers, "a request is answered once"
            self.answers[token] = through_codec(reply.message, self.versions[token])
        self.sentences += outcome.sentences

    def advance(self, ms: int) -> None:
        """Lets time pass, and everything fire when it is due."""
        end_ms = self.now_ms + ms
        while (due_ms := self.shard.deadline()) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.take(self.shard.expire(self.now_ms))
        self.now_ms = end_ms

    def restart(self) -> None:
        """Loses the coordinator; another one takes the log over."""
        self.take(self.shard.fail_all(ErrorCode.NOT_COORDINATOR))
        self.shard = self.replayed()
        self.take(self.shard.load(self.now_ms))

    def replayed(self) -> GroupShard:
        shard = GroupShard(self.config, self.cluster)
        for record in self.log:
            shard.apply(record.key, record.value)
        return shard

    def answer(self, token: int, _: type[Message]) -> Message:
        message = self.answers[token]
        return cast("Message", message)

    def group(self, group_id: str = GROUP) -> ClassicGroup:
        return self.shard.state.groups[GroupId(group_id)]

    def member(self, member_id: str, group_id: str = GROUP) -> ClassicMember:
        return self.group(group_id).members[MemberId(member_id)]

    def pass_the_next_look(self) -> None:
        """Lets time pass until the shard has looked for what is expired."""
        self.advance(self.config.offsets_retention_check_interval_ms)

    def has_group(self, group_id: str = GROUP) -> bool:
        return GroupId(group_id) in self.shard.state.groups

    # Requests that may be parked: they give their token.

    def ask_join(
        self,
        member_id: str = "",
        *,
        version: int = 9,
        group: str = GROUP,
        protocols: Mapping[str, bytes] = RANGE,
        protocol_type: str = "consumer",
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 30_000,
        instance: str | None = None,
        client_id: str = "client",
    ) -> int:
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[
                JoinGroupRequestProtocol(name=name, metadata=metadata)
                for name, metadata in protocols.items()
            ],
        )
        context = self.context(version, client_id)
        fresh_id = f"uuid{context.token}"
        self.take(self.shard.join_group(through_codec(request, version), context, fresh_id))
        return cast("int", context.token)

    def ask_sync(
        self,
        member_id: str,
        generation: int,
        assignments: Mapping[str, bytes] | None = None,
        *,
        version: int = 5,
        group: str = GROUP,
        instance: str | None = None,
        protocol_type: str | None = "consumer",
        protocol: str | None = "range",
    ) -> int:
        request = SyncGroupRequest(
            group_id=group,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocol_name=protocol,
            assignments=[
                SyncGroupRequestAssignment(member_id=member, assignment=assignment)
                for member, assignment in (assignments or {}).items()
            ],
        )
        context = self.context(version)
        self.take(self.shard.sync_group(through_codec(request, version), context))
        return cast("int", context.token)

    # Requests that are answered at once.

    def heartbeat(
        self,
        member_id: str,
        generation: int,
        *,
        version: int = 4,
        group: str = GROUP,
        instance: str | None = None,
    ) -> int:
        request = HeartbeatRequest(
            group_id=group,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
        )
        context = self.context(version)
        self.take(self.shard.heartbeat(through_codec(request, version), context))
        return self.answer(cast("int", context.token), HeartbeatResponse).error_code

    def leave(
        self, *members: MemberIdentity, version: int = 5, group: str = GROUP
    ) -> LeaveGroupResponse:
        request = LeaveGroupRequest(group_id=group)
        if version >= 3:
            request.members = list(members)
        else:
            request.member_id = members[0].member_id
        context = self.context(version)
        self.take(self.shard.leave_group(through_codec(request, version), context))
        return self.answer(cast("int", context.token), LeaveGroupResponse)

    def leave_one(self, member_id: str) -> int:
        return self.leave(MemberIdentity(member_id=member_id)).members[0].error_code

    def commit(
        self,
        offsets: Mapping[tuple[str, int], int],
        *,
        member_id: str = "",
        generation: int = -1,
        version: int = 9,
        group: str = GROUP,
        instance: str | None = None,
        leader_epoch: int = -1,
        metadata: str | None = "",
        retention_time_ms: int = -1,
        timestamp_ms: int = -1,
    ) -> dict[tuple[str, int], int]:
        request = OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=generation,
            member_id=member_id,
            group_instance_id=instance,
            retention_time_ms=retention_time_ms,
            topics=[
                OffsetCommitRequestTopic(
                    name=topic,
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=leader_epoch,
                            commit_timestamp=timestamp_ms,
                            committed_metadata=metadata,
                        )
                    ],
                )
                for (topic, partition), offset in offsets.items()
            ],
        )
        context = self.context(version)
        self.take(self.shard.offset_commit(through_codec(request, version), context))
        response = self.answer(cast("int", context.token), OffsetCommitResponse)
        return {
            (topic.name, partition.partition_index): partition.error_code
            for topic in response.topics
            for partition in topic.partitions
        }

    def fetch(
        self,
        partitions: Iterable[tuple[str, int]] | None,
        *,
        version: int = 9,
        group: str = GROUP,
    ) -> dict[tuple[str, int], tuple[int, int, str | None]]:
        """(topic, partition) -> (offset, leader epoch, metadata)."""
        request = OffsetFetchRequest()
        if version >= 8:
            request.groups = [
                OffsetFetchRequestGroup(
                    group_id=group,
                    topics=None
                    if partitions is None
                    else [
                        OffsetFetchRequestTopics(name=topic, partition_indexes=[partition])
                        for topic, partition in partitions
                    ],
                )
            ]
        else:
            request.group_id = group
            request.topics = None
            if partitions is not None:
                request.topics = [
                    OffsetFetchRequestTopic(name=topic, partition_indexes=[partition])
                    for topic, partition in partitions
                ]
        context = self.context(version)
        self.take(self.shard.offset_fetch(through_codec(request, version), context))
        response = self.answer(cast("int", context.token), OffsetFetchResponse)
        topics = response.groups[0].topics if version >= 8 else response.topics
        found = {}
        for topic in topics:
            for partition in topic.partitions:
                assert partition.error_code == 0
                found[topic.name, partition.partition_index] = (
                    partition.committed_offset,
                    partition.committed_leader_epoch,
                    partition.metadata,
                )
        return found

    def describe(self, group: str = GROUP, *, version: int = 6) -> DescribedGroup:
        context = self.context(version)
        request = DescribeGroupsRequest(groups=[group])
        self.take(self.shard.describe_groups(through_codec(request, version), context))
        described: DescribedGroup = self.answers[cast("int", context.token)].groups[0]
        return described

    def list_groups(
        self, states: Iterable[str] = (), types: Iterable[str] = (), *, version: int = 5
    ) -> ListGroupsResponse:
        context = self.context(version)
        request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
        self.take(self.shard.list_groups(through_codec(request, version), context))
        return self.answer(cast("int", context.token), ListGroupsResponse)

    def delete(self, *groups: str) -> list[int]:
        context = self.context(2)
        request = DeleteGroupsRequest(groups_names=list(groups))
        self.take(self.shard.delete_groups(through_codec(request, 2), context))
        response = self.answer(cast("int", context.token), DeleteGroupsResponse)
        return [result.error_code for result in response.results]

    def delete_offsets(
        self, *partitions: tuple[str, int], group: str = GROUP
    ) -> OffsetDeleteResponse:
        request = OffsetDeleteRequest(
            group_id=group,
            topics=[
                OffsetDeleteRequestTopic(
                    name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=partition)]
                )
                for topic, partition in partitions
            ],
        )
        context = self.context(0)
        self.take(self.shard.offset_delete(through_codec(request, 0), context))
        return self.answer(cast("int", context.token), OffsetDeleteResponse)

    # Short ways.

    def joined(self, token: int) -> JoinGroupResponse:
        response = self.answer(token, JoinGroupResponse)
        assert response.error_code == 0
        return response

    def synced(self, token: int) -> bytes:
        response = self.answer(token, SyncGroupResponse)
        assert response.error_code == 0
        return response.assignment

    def error_of(self, token: int) -> int:
        error_code: int = self.answers[token].error_code
        return error_code

    def stable_group(self, *clients: str, version: int = 3) -> list[str]:
        """A Stable group of one member a client; its first member leads and assigns names."""
        member_ids: list[str] = []
        for client in clients:
            token = self.ask_join(version=version, client_id=client)
            for member_id in member_ids:
                self.ask_join(member_id, version=version)
            member_ids.append(self.joined(token).member_id)
        generation = self.group().generation
        for member_id in reversed(member_ids):
            assignments = {}
            if member_id == self.group().leader_id:
                assignments = {member: f"for {member}".encode() for member in member_ids}
            self.ask_sync(member_id, generation, assignments)
        assert self.group().state.value == "Stable"
        return member_ids

    def context(self, version: int, client_id: str = "client") -> RequestContext:
        self.last_token += 1
        self.versions[self.last_token] = version
        return RequestContext(
            api_version=version,
            token=self.last_token,
            now_ms=self.now_ms,
            client_id=client_id,
            client_host="/127.0.0.1",
        )


def through_codec(message: Any, version: int) -> Any:
    decoded, _ = type(message).decode(message.encode(version), version)
    return decoded
