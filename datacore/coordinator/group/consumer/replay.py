"""Replay of a consumer group's records: the only writer of consumer groups.

Compaction keeps the last record of each key, so records may come without those that stood before
them: whatever says something makes the group and the member that it speaks of, and the end of what
is not there is no news. Kafka's counterparts are the ``replay`` methods of its
``GroupMetadataManager``.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, TypeVar

from datacore._generated.records.consumer_group_current_member_assignment import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
)
from datacore._generated.records.consumer_group_member_metadata import (
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
)
from datacore._generated.records.consumer_group_metadata import (
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
)
from datacore._generated.records.consumer_group_partition_metadata import (
    ConsumerGroupPartitionMetadataKey,
)
from datacore._generated.records.consumer_group_regular_expression import (
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
)
from datacore._generated.records.consumer_group_target_assignment_member import (
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
)
from datacore._generated.records.consumer_group_target_assignment_metadata import (
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)
from datacore.coordinator.group.consumer.group import ConsumerGroup, ResolvedRegex
from datacore.coordinator.group.consumer.member import (
    ClassicProtocols,
    ConsumerMember,
    MemberState,
    Partitions,
)
from datacore.coordinator.group.consumer.records import KEY_VERSION
from datacore.coordinator.group.state import ShardState
from datacore.protocol.names import GroupId, MemberId, TopicId, TopicName
from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError

_INT16: Final = struct.Struct(">h")
_MEMBER_STATES: Final = frozenset(MemberState)

NO_TARGET_EPOCH: Final = -1
"""Of a group whose target was dropped, which is on its way out."""


class GroupRecord(NamedTuple):
    """A decoded record of a consumer group.

    Attributes:
        group_id: Whose it is.
        is_end: Whether it is a tombstone: never makes a group.
        ends_group: Whether it is the one that ends the group.
        apply: What it does to the group.
    """

    group_id: GroupId
    is_end: bool
    ends_group: bool
    apply: Callable[[ConsumerGroup], None]


def apply(state: ShardState, key: Buffer, value: Buffer | None) -> bool:
    """Takes one record into a shard's state; tells whether it was one of a consumer group.

    Raises:
        DecodeError: A record of a known type does not parse.
    """
    record = decode(key, value)
    if record is None:
        return False
    group = state.consumer_groups.get(record.group_id)
    if group is None:
        if record.is_end:
            return True
        group = state.consumer_groups[record.group_id] = ConsumerGroup(record.group_id)
        # Commits alone make a classic group, which is nothing but a name.
        state.drop_group_of_commits(record.group_id)
    if record.ends_group:
        state.drop_consumer_group(record.group_id)
    else:
        record.apply(group)
    return True


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")
MessageT_co = TypeVar("MessageT_co", covariant=True)


class _Decodable(Protocol[MessageT_co]):
    max_version: int

    def decode(self, data: Buffer, version: int, at: int = 0) -> tuple[MessageT_co, int]: ...


def decode(key: Buffer, value: Buffer | None) -> GroupRecord | None:
    """Reads one record; None for a type that is no consumer group's, or that says nothing new.

    Raises:
        DecodeError: A record of a known type does not parse.
    """
    if len(key) < _INT16.size:
        return None
    match _INT16.unpack_from(key)[0]:
        case 3:
            return _group(*_read(ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, key, value))
        case 4:
            old_key, _ = ConsumerGroupPartitionMetadataKey.decode(key, KEY_VERSION, _INT16.size)
            group_id = GroupId(old_key.group_id)
            return GroupRecord(group_id, is_end=True, ends_group=False, apply=_read_past)
        case 5:
            return _member(
                *_read(ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, key, value)
            )
        case 6:
            return _target_epoch(
                *_read(
                    ConsumerGroupTargetAssignmentMetadataKey,
                    ConsumerGroupTargetAssignmentMetadataValue,
                    key,
                    value,
                )
            )
        case 7:
            return _target(
                *_read(
                    ConsumerGroupTargetAssignmentMemberKey,
                    ConsumerGroupTargetAssignmentMemberValue,
                    key,
                    value,
                )
            )
        case 8:
            return _current(
                *_read(
                    ConsumerGroupCurrentMemberAssignmentKey,
                    ConsumerGroupCurrentMemberAssignmentValue,
                    key,
                    value,
                )
            )
        case 16:
            return _regex(
                *_read(
                    ConsumerGroupRegularExpressionKey,
                    ConsumerGroupRegularExpressionValue,
                    key,
                    value,
                )
            )
        case _:
            return None


def _read(
    key_type: _Decodable[KeyT],
    value_type: _Decodable[ValueT],
    key: Buffer,
    value: Buffer | None,
) -> tuple[KeyT, ValueT | None]:
    decoded_key, _ = key_type.decode(key, KEY_VERSION, _INT16.size)
    if value is None:
        return decoded_key, None
    if len(value) < _INT16.size:
        raise DecodeError("a coordinator record is shorter than its version")
    version = _INT16.unpack_from(value)[0]
    if not 0 <= version <= value_type.max_version:
        raise DecodeError(f"a coordinator record has value version {version}, which is not known")
    decoded_value, _ = value_type.decode(value, version, _INT16.size)
    return decoded_key, decoded_value


def _read_past(group: ConsumerGroup) -> None:
    """Says nothing that is of use here."""
    del group


def _group(key: ConsumerGroupMetadataKey, value: ConsumerGroupMetadataValue | None) -> GroupRecord:
    def apply(group: ConsumerGroup) -> None:
        if value is not None:
            group.epoch = value.epoch
            group.metadata_hash = value.metadata_hash

    is_end = value is None
    return GroupRecord(GroupId(key.group_id), is_end, is_end, apply)


def _member(
    key: ConsumerGroupMemberMetadataKey, value: ConsumerGroupMemberMetadataValue | None
) -> GroupRecord:
    member_id = MemberId(key.member_id)

    def apply(group: ConsumerGroup) -> None:
        if value is None:
            group.remove_member(member_id)
            return
        stored = value.classic_member_metadata
        classic = None
        if stored is not None:
            protocols = tuple((p.name, bytes(p.metadata)) for p in stored.supported_protocols)
            classic = ClassicProtocols(stored.session_timeout_ms, protocols)
        group.put_member(
            replace(
                group.members.get(member_id) or ConsumerMember(member_id=member_id),
                instance_id=value.instance_id,
                rack_id=value.rack_id,
                client_id=value.client_id,
                client_host=value.client_host,
                rebalance_timeout_ms=value.rebalance_timeout_ms,
                topic_names=frozenset(value.subscribed_topic_names),
                topic_regex=value.subscribed_topic_regex or "",
                server_assignor=value.server_assignor,
                classic=classic,
            )
        )

    return GroupRecord(GroupId(key.group_id), value is None, ends_group=False, apply=apply)


def _target_epoch(
    key: ConsumerGroupTargetAssignmentMetadataKey,
    value: ConsumerGroupTargetAssignmentMetadataValue | None,
) -> GroupRecord:
    def apply(group: ConsumerGroup) -> None:
        group.target_epoch = NO_TARGET_EPOCH if value is None else value.assignment_epoch

    return GroupRecord(GroupId(key.group_id), value is None, ends_group=False, apply=apply)


def _target(
    key: ConsumerGroupTargetAssignmentMemberKey,
    value: ConsumerGroupTargetAssignmentMemberValue | None,
) -> GroupRecord:
    member_id = MemberId(key.member_id)

    def apply(group: ConsumerGroup) -> None:
        if value is None:
            group.targets.pop(member_id, None)
        else:
            group.targets[member_id] = _partitions(value.topic_partitions)

    return GroupRecord(GroupId(key.group_id), value is None, ends_group=False, apply=apply)


def _current(
    key: ConsumerGroupCurrentMemberAssignmentKey,
    value: ConsumerGroupCurrentMemberAssignmentValue | None,
) -> GroupRecord:
    member_id = MemberId(key.member_id)

    def apply(group: ConsumerGroup) -> None:
        if value is None:
            group.strip_member(member_id)
            return
        state = value.state
        group.put_member(
            replace(
                group.members.get(member_id) or ConsumerMember(member_id=member_id),
                epoch=value.member_epoch,
                previous_epoch=value.previous_member_epoch,
                state=MemberState(state if state in _MEMBER_STATES else MemberState.UNKNOWN),
                assigned=_partitions(value.assigned_partitions),
                pending_revocation=_partitions(value.partitions_pending_revocation),
            )
        )

    return GroupRecord(GroupId(key.group_id), value is None, ends_group=False, apply=apply)


def _regex(
    key: ConsumerGroupRegularExpressionKey, value: ConsumerGroupRegularExpressionValue | None
) -> GroupRecord:
    def apply(group: ConsumerGroup) -> None:
        if value is None:
            group.regexes.pop(key.regular_expression, None)
        else:
            group.regexes[key.regular_expression] = ResolvedRegex(
                frozenset(TopicName(topic) for topic in value.topics),
                value.version,
                value.timestamp,
            )

    return GroupRecord(GroupId(key.group_id), value is None, ends_group=False, apply=apply)


class _TopicPartitions(Protocol):
    topic_id: bytes
    partitions: list[int]


def _partitions(stored: Iterable[_TopicPartitions]) -> Partitions:
    return {TopicId(bytes(each.topic_id)): frozenset(each.partitions) for each in stored}
