"""All groups of one partition of __consumer_offsets, as one replicated state machine.

Life of a shard: ``apply`` every record of the log; ``load`` it; then requests, and ``expire``
whenever ``deadline`` is reached; at the end ``fail_all``. What the runtime owes to an outcome is
in outcome.py.

- ``apply`` is the only writer of durable state, in replay and live alike. A request decides by
  reading, emits records, and sees them in the state when the runtime has applied them.
- Nothing here waits, and nothing knows the time but from its caller.
- Requests that name several groups (DescribeGroups, DeleteGroups, OffsetFetch 8) come with this
  shard's groups alone; the caller splits them and joins the answers.

Kafka's counterpart is ``GroupCoordinatorShard``.
"""

from collections.abc import Collection

from datacore._generated.consumer_group_describe import ConsumerGroupDescribeRequest
from datacore._generated.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest
from datacore._generated.leave_group import LeaveGroupRequest
from datacore._generated.list_groups import ListGroupsRequest
from datacore._generated.offset_commit import OffsetCommitRequest
from datacore._generated.offset_delete import OffsetDeleteRequest
from datacore._generated.offset_fetch import OffsetFetchRequest
from datacore._generated.sync_group import SyncGroupRequest
from datacore._generated.txn_offset_commit import TxnOffsetCommitRequest
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group import (
    delete_groups,
    describe_groups,
    expiry,
    heartbeat,
    join_group,
    leave_group,
    offset_commit,
    offset_delete,
    offset_fetch,
    rebalance,
    sync_group,
    txn_offset_commit,
)
from datacore.coordinator.group.classic import ClassicGroup, group_of_image
from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.consumer import describe as consumer_describe
from datacore.coordinator.group.consumer import heartbeat as consumer_heartbeat
from datacore.coordinator.group.consumer import replay, timeouts
from datacore.coordinator.group.consumer.topics import ClusterView
from datacore.coordinator.group.records import GroupStored, OffsetCommitted, decode
from datacore.coordinator.group.state import MEMBER_TIMERS, ShardState, Timer, TimerKind, Turn
from datacore.coordinator.outcome import Outcome
from datacore.coordinator.shard import Shard
from datacore.protocol.names import TopicName
from datacore.wire.buffer import Buffer


class GroupShard(Shard[Turn]):
    """Groups and offsets of one partition of __consumer_offsets.

    Attributes:
        state: What the shard knows; for reading.
    """

    def __init__(self, config: GroupConfig, cluster: ClusterView) -> None:
        super().__init__()
        self.state = ShardState(config, cluster)

    # Life.

    def apply(self, key: Buffer, value: Buffer | None, producer_id: int | None = None) -> None:
        """Takes one record of the log into the durable state.

        Args:
            key: Of the record.
            value: Of the record.
            producer_id: Whose open transaction the record is of; None: of none.

        Raises:
            DecodeError: The record's type is known and the record does not parse.
        """
        self._applies_one()
        match decode(key, value):
            case GroupStored() as stored:
                self._apply_group(stored)
            case OffsetCommitted() as committed:
                self._apply_offset(committed, producer_id)
            case None:
                if not replay.apply(self.state, key, value):
                    self.skipped_records += 1

    def apply_marker(self, producer_id: int, *, is_commit: bool) -> None:
        """Takes in how a producer's transaction ended: its offsets count, or are nothing."""
        ended = self.state.pending.end(producer_id, self.state.offsets, is_commit=is_commit)
        for group_id in ended:
            self.state.drop_group_if_void(group_id)

    def load(self, now_ms: int) -> Outcome:
        """Begins to lead: the log is applied to its end. Members have a session to show up in."""
        turn = self._begin_to_lead(now_ms)
        groups = self.state.groups
        for group_id, image in self.state.images.items():
            groups[group_id] = group_of_image(group_id, image)
        for group_id in (*self.state.offsets.group_ids(), *self.state.pending.group_ids()):
            if group_id not in self.state.consumer_groups:
                groups.setdefault(group_id, ClassicGroup(group_id=group_id))
        for consumer_group in self.state.consumer_groups.values():
            timeouts.expect_members(turn, consumer_group)
        for group in list(groups.values()):
            for member in group.members.values():
                rebalance.renew_session(turn, group, member)
            if len(group.members) > turn.config.group_max_size:
                reason = f"more than {turn.config.group_max_size} members"
                rebalance.prepare_rebalance(turn, group, reason)
        expiry.start_sweeping(turn)
        return self._end(turn)

    def deadline(self) -> int | None:
        """When ``expire`` is due, in ms of the caller's clock; None before ``load``."""
        return self.state.timers.deadline()

    def may_be_due_before(self, ms: int) -> bool:
        """Whether ``deadline`` may lie before ``ms``: a quick look after each call."""
        return self.state.timers.may_be_due_before(ms)

    def expire(self, now_ms: int) -> Outcome:
        """Does what is due, or its beginning: what is left over is still due then."""
        turn = self._begin(now_ms)
        while (timer := self.state.timers.pop_due(now_ms)) is not None:
            if timer.kind in MEMBER_TIMERS:
                timeouts.member_expired(turn, timer)
                # The group is read again only when what was written is true of it.
                break
            self._fire(turn, timer)
        return self._end(turn)

    def fail_all(self, error_code: ErrorCode) -> Outcome:
        """Answers every parked request with an error: the shard is given up, whatever its state."""
        turn = self._give_up()
        for group in self.state.groups.values():
            for member in group.members.values():
                rebalance.answer_join(turn, group, member, error_code, member.member_id)
                rebalance.answer_sync(turn, member, error_code)
        return turn.outcome

    def partitions_deleted(
        self, partitions: Collection[tuple[TopicName, int]], now_ms: int
    ) -> Outcome:
        """Drops all groups' offsets of partitions that are no more."""
        turn = self._begin(now_ms)
        expiry.drop_partitions(turn, frozenset(partitions))
        return self._end(turn)

    # Requests.

    def join_group(
        self, request: JoinGroupRequest, context: RequestContext, fresh_id: str
    ) -> Outcome:
        """JoinGroup 0-9. ``fresh_id``: a new UUID as text; a new member's id ends with it."""
        turn = self._begin(context.now_ms)
        join_group.join_group(turn, request, context, fresh_id)
        return self._end(turn)

    def sync_group(self, request: SyncGroupRequest, context: RequestContext) -> Outcome:
        """SyncGroup 0-5."""
        return self._handle(sync_group.sync_group, request, context)

    def heartbeat(self, request: HeartbeatRequest, context: RequestContext) -> Outcome:
        """Heartbeat 0-4."""
        return self._handle(heartbeat.heartbeat, request, context)

    def leave_group(self, request: LeaveGroupRequest, context: RequestContext) -> Outcome:
        """LeaveGroup 0-5."""
        return self._handle(leave_group.leave_group, request, context)

    def offset_commit(self, request: OffsetCommitRequest, context: RequestContext) -> Outcome:
        """OffsetCommit 0-9."""
        return self._handle(offset_commit.offset_commit, request, context)

    def txn_offset_commit(
        self, request: TxnOffsetCommitRequest, context: RequestContext
    ) -> Outcome:
        """TxnOffsetCommit 0-5."""
        return self._handle(txn_offset_commit.txn_offset_commit, request, context)

    def offset_fetch(self, request: OffsetFetchRequest, context: RequestContext) -> Outcome:
        """OffsetFetch 0-9."""
        return self._handle(offset_fetch.offset_fetch, request, context)

    def offset_delete(self, request: OffsetDeleteRequest, context: RequestContext) -> Outcome:
        """OffsetDelete 0."""
        return self._handle(offset_delete.offset_delete, request, context)

    def consumer_group_heartbeat(
        self, request: ConsumerGroupHeartbeatRequest, context: RequestContext, fresh_id: str
    ) -> Outcome:
        """ConsumerGroupHeartbeat 0-1. ``fresh_id``: a new UUID, for a member without an id."""
        turn = self._begin(context.now_ms)
        consumer_heartbeat.consumer_group_heartbeat(turn, request, context, fresh_id)
        return self._end(turn)

    def consumer_group_describe(
        self, request: ConsumerGroupDescribeRequest, context: RequestContext
    ) -> Outcome:
        """ConsumerGroupDescribe 0-1."""
        return self._handle(consumer_describe.consumer_group_describe, request, context)

    def describe_groups(self, request: DescribeGroupsRequest, context: RequestContext) -> Outcome:
        """DescribeGroups 0-6."""
        return self._handle(describe_groups.describe_groups, request, context)

    def list_groups(self, request: ListGroupsRequest, context: RequestContext) -> Outcome:
        """ListGroups 0-5."""
        return self._handle(describe_groups.list_groups, request, context)

    def delete_groups(self, request: DeleteGroupsRequest, context: RequestContext) -> Outcome:
        """DeleteGroups 0-2."""
        return self._handle(delete_groups.delete_groups, request, context)

    # How a call goes.

    def _turn(self, now_ms: int) -> Turn:
        return Turn(self.state, now_ms)

    def _fire(self, turn: Turn, timer: Timer) -> None:
        if timer.kind is TimerKind.SWEEP:
            expiry.sweep(turn)
            return
        group = self.state.groups[timer.group_id]
        match timer.kind:
            case TimerKind.SESSION:
                rebalance.session_expired(turn, group, timer.member_id)
            case TimerKind.JOIN:
                rebalance.join_expired(turn, group)
            case TimerKind.SYNC:
                rebalance.sync_expired(turn, group)

    def _apply_group(self, stored: GroupStored) -> None:
        group_id, image = stored.group_id, stored.image
        if image is None:
            self.state.images.pop(group_id, None)
            self.state.drop_group(group_id)
            return
        self.state.images[group_id] = image
        if self._is_live:
            group = self.state.groups.get(group_id)
            if group is None:
                self.state.groups[group_id] = group_of_image(group_id, image)
            else:
                group.adopt_assignments(image)

    def _apply_offset(self, stored: OffsetCommitted, producer_id: int | None) -> None:
        group_id, topic, partition, committed = (
            stored.group_id,
            stored.topic,
            stored.partition,
            stored.committed,
        )
        offsets, pending = self.state.offsets, self.state.pending
        if committed is None:
            offsets.remove(group_id, topic, partition)
            pending.remove(group_id, topic, partition)
            self.state.drop_group_if_void(group_id)
            return
        if producer_id is None:
            offsets.put(group_id, topic, partition, committed)
            pending.was_committed(group_id, topic, partition)
        else:
            pending.put(producer_id, group_id, topic, partition, committed)
        is_known = group_id in self.state.groups or group_id in self.state.consumer_groups
        if self._is_live and not is_known:
            self.state.groups[group_id] = ClassicGroup(group_id=group_id)
