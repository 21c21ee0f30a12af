"""The end of offsets and of empty groups (KIP-211).

An offset lives for ``offsets.retention.minutes``: in a group without a type since its commit; in an
empty group since the group became empty; in a Stable group of consumers since its commit, and there
only if no member reads its topic, as in a group of KIP-848. Other groups' offsets do not end. An
empty group without offsets ends with the next look.

Kafka's counterparts are ``cleanupExpiredOffsets`` and ``cleanupGroupMetadata``.
"""

from collections.abc import Collection

from datacore.coordinator.group.classic import CONSUMER_PROTOCOL_TYPE, ClassicGroup, GroupState
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.records import group_tombstones
from datacore.coordinator.group.records import group_metadata_tombstone, offset_commit_tombstone
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.names import GroupId, TopicName

SWEEP = Timer(TimerKind.SWEEP, GroupId(""))

SWEEP_MAX_RECORDS = 10_000
"""Tombstones of one look; what is left over is dropped a little later."""

SWEEP_AGAIN_MS = 1_000


def start_sweeping(turn: Turn) -> None:
    """Plans the next look at all offsets."""
    turn.start_timer(SWEEP, turn.config.offsets_retention_check_interval_ms)


def sweep(turn: Turn) -> None:
    """Drops what is expired, and plans the next look."""
    groups: list[ClassicGroup | ConsumerGroup] = [*turn.state.groups.values()]
    groups += turn.state.consumer_groups.values()
    for group in groups:
        if len(turn.outcome.records) < SWEEP_MAX_RECORDS:
            _sweep_group(turn, group)
    if len(turn.outcome.records) < SWEEP_MAX_RECORDS:
        start_sweeping(turn)
    else:
        turn.start_timer(SWEEP, SWEEP_AGAIN_MS)


def drop_partitions(turn: Turn, partitions: Collection[tuple[TopicName, int]]) -> None:
    """Drops the offsets of partitions that were deleted."""
    for group_id in turn.state.offsets.group_ids():
        for topic, partition, _ in turn.state.offsets.each_of(group_id):
            if (topic, partition) in partitions:
                turn.outcome.append(offset_commit_tombstone(group_id, topic, partition))
    for group_id in turn.state.pending.group_ids():
        for topic, partition in turn.state.pending.partitions_of(group_id) & set(partitions):
            turn.outcome.append(offset_commit_tombstone(group_id, topic, partition))
    turn.outcome.is_only_records = True


def _sweep_group(turn: Turn, group: ClassicGroup | ConsumerGroup) -> None:
    group_id = group.group_id
    kept = expired = 0
    pending = turn.state.pending.partitions_of(group_id)
    for topic, partition, committed in turn.state.offsets.each_of(group_id):
        base_ms = _retention_base_ms(group)
        if (
            _can_expire(group, topic)
            and (topic, partition) not in pending
            and len(turn.outcome.records) < SWEEP_MAX_RECORDS
            and committed.is_expired(turn.now_ms, turn.config.offsets_retention_ms, base_ms)
        ):
            turn.outcome.append(offset_commit_tombstone(group_id, topic, partition))
            expired += 1
        else:
            kept += 1
    if expired:
        turn.outcome.say(f"{expired} offsets of group {group_id!r} expired")
    if kept == 0 and group.is_void and group_id not in turn.state.pending:
        if isinstance(group, ConsumerGroup):
            turn.outcome.records += group_tombstones(group)
        else:
            turn.outcome.append(group_metadata_tombstone(group_id))
        turn.outcome.say(f"group {group_id!r} is gone: it has no members and no offsets")


def _can_expire(group: ClassicGroup | ConsumerGroup, topic: TopicName) -> bool:
    if isinstance(group, ConsumerGroup):
        return not group.is_subscribed(topic)
    if group.protocol_type is None:
        return True
    if group.state is GroupState.EMPTY:
        return not group.is_subscribed(topic)
    return (
        group.state is GroupState.STABLE
        and group.protocol_type == CONSUMER_PROTOCOL_TYPE
        and group.subscribed_topics is not None
        and topic not in group.subscribed_topics
    )


def _retention_base_ms(group: ClassicGroup | ConsumerGroup) -> int | None:
    """Since when all offsets of a group age; None where each ages since its commit."""
    if isinstance(group, ConsumerGroup):
        return None
    if group.protocol_type is not None and group.state is GroupState.EMPTY:
        return group.state_timestamp_ms
    return None
