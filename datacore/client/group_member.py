"""A member of a consumer group by the classic protocol (KIP-62): join, sync, heartbeat, commit.

Rules: one thread, so nothing beats while the caller works; a caller that works for longer than the
session timeout between two calls is out of the group and finds itself joining again. As leader the
member assigns by ranges. ``RebalanceNeededError`` says that ``join`` is to be called; offsets
may still be committed before that.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore._generated.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from datacore._generated.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import check
from datacore.client.subscription import (
    RANGE,
    TopicPartition,
    assign_ranges,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)

_PROTOCOL_TYPE: Final = "consumer"
_LEAVE_MEMBERS_FROM: Final = 3
_JOIN_TIMEOUT_S: Final = 330.0
"""Longer than Java's consumers, whose default is 300 s, may keep others waiting."""
_REJOIN: Final = {
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
}


class RebalanceNeededError(Exception):
    """The group has a new generation, or is about to: call ``join``."""


class GroupMember:
    """One member of one group.

    Attributes:
        group: The group's id.
    """

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topics: Sequence[str],
        *,
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 20_000,
        heartbeat_interval_ms: int = 2_000,
    ) -> None:
        """Joins nothing yet.

        Args:
            cluster: Where the group lives.
            group: The group's id.
            topics: What to subscribe to.
            session_timeout_ms: Silence after which the group goes on without this member.
            rebalance_timeout_ms: How long others wait for this member to join.
            heartbeat_interval_ms: How often ``heartbeat`` asks.
        """
        self._cluster = cluster
        self.group = group
        self._topics = list(topics)
        self._session_timeout_ms = session_timeout_ms
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._heartbeat_interval_s = heartbeat_interval_ms / 1000
        self._next_heartbeat_s = 0.0
        self._member_id = ""
        self._generation = -1

    def join(self) -> list[TopicPartition]:
        """Joins, or joins again, and returns the partitions that this member is to read.

        Raises:
            KafkaError: The coordinator refuses for good.
        """
        while True:
            try:
                joined = self._cluster.retrying(self._join)
                assigned = self._cluster.retrying(partial(self._sync, joined))
            except RebalanceNeededError:
                continue
            self._next_heartbeat_s = time.monotonic() + self._heartbeat_interval_s
            return assigned

    def heartbeat(self) -> None:
        """Tells the coordinator that this member is alive, if that is due.

        Raises:
            RebalanceNeededError: See there.
        """
        if time.monotonic() < self._next_heartbeat_s:
            return
        self._cluster.retrying(self._heartbeat)
        self._next_heartbeat_s = time.monotonic() + self._heartbeat_interval_s

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Stores where each partition is to be read on.

        Raises:
            RebalanceNeededError: The partitions may be another member's by now.
        """
        if self._generation < 0:
            # Without a generation it would be stored as if nobody else were in the group.
            raise RebalanceNeededError
        if offsets:
            self._cluster.retrying(lambda: self._commit(offsets))

    def leave(self) -> None:
        """Leaves, so that others get the partitions at once; without having joined it is fine."""
        if not self._member_id:
            return
        connection = self._cluster.group_coordinator(self.group)
        version = connection.version(LeaveGroupRequest)
        request = LeaveGroupRequest(group_id=self.group)
        if version >= _LEAVE_MEMBERS_FROM:
            request.members = [MemberIdentity(member_id=self._member_id)]
        else:
            request.member_id = self._member_id
        connection.send(request, LeaveGroupResponse, version)
        self._forget_membership()

    def _join(self) -> JoinGroupResponse:
        protocol = JoinGroupRequestProtocol(name=RANGE, metadata=encode_subscription(self._topics))
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self._session_timeout_ms,
            rebalance_timeout_ms=self._rebalance_timeout_ms,
            member_id=self._member_id,
            protocol_type=_PROTOCOL_TYPE,
            protocols=[protocol],
        )
        connection = self._cluster.group_coordinator(self.group)
        response = connection.send(request, JoinGroupResponse, timeout_s=_JOIN_TIMEOUT_S)
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            # KIP-394: the coordinator hands out the id first and wants to see it again.
            self._member_id = request.member_id = response.member_id
            response = connection.send(request, JoinGroupResponse, timeout_s=_JOIN_TIMEOUT_S)
        self._check(response.error_code)
        self._member_id = response.member_id
        self._generation = response.generation_id
        return response

    def _sync(self, joined: JoinGroupResponse) -> list[TopicPartition]:
        is_leader = joined.leader == joined.member_id and not joined.skip_assignment
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self._generation,
            member_id=self._member_id,
            protocol_type=joined.protocol_type,
            protocol_name=joined.protocol_name,
            assignments=self._assign(joined) if is_leader else [],
        )
        connection = self._cluster.group_coordinator(self.group)
        response = connection.send(request, SyncGroupResponse)
        self._check(response.error_code)
        return decode_assignment(response.assignment)

    def _assign(self, joined: JoinGroupResponse) -> list[SyncGroupRequestAssignment]:
        subscriptions = {
            member.member_id: decode_subscription(member.metadata) for member in joined.members
        }
        wanted = sorted({topic for topics in subscriptions.values() for topic in topics})
        counts = {
            topic.name or "": len(topic.partitions)
            for topic in self._cluster.metadata(wanted).topics
            if not topic.error_code
        }
        return [
            SyncGroupRequestAssignment(member_id=member, assignment=encode_assignment(partitions))
            for member, partitions in assign_ranges(subscriptions, counts).items()
        ]

    def _heartbeat(self) -> None:
        request = HeartbeatRequest(
            group_id=self.group, generation_id=self._generation, member_id=self._member_id
        )
        connection = self._cluster.group_coordinator(self.group)
        self._check(connection.send(request, HeartbeatResponse).error_code)

    def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        topics: dict[str, OffsetCommitRequestTopic] = {}
        for where, offset in offsets.items():
            topic = topics.setdefault(where.topic, OffsetCommitRequestTopic(name=where.topic))
            topic.partitions.append(
                OffsetCommitRequestPartition(
                    partition_index=where.partition, committed_offset=offset
                )
            )
        request = OffsetCommitRequest(
            group_id=self.group,
            generation_id_or_member_epoch=self._generation,
            member_id=self._member_id,
            topics=list(topics.values()),
        )
        connection = self._cluster.group_coordinator(self.group)
        response = connection.send(request, OffsetCommitResponse)
        for answered in response.topics:
            for partition in answered.partitions:
                self._check(partition.error_code)

    def _check(self, error_code: int) -> None:
        if error_code in _REJOIN:
            if error_code == ErrorCode.UNKNOWN_MEMBER_ID:
                self._forget_membership()
            raise RebalanceNeededError
        check(error_code, f"group {self.group}")

    def _forget_membership(self) -> None:
        self._member_id = ""
        self._generation = -1
