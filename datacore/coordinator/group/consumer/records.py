"""Records of __consumer_offsets that consumer groups need, in Kafka's stored format.

As in Kafka 4.1: a group's epoch (type 3, with a hash of its topics), its target's epoch (6), and by
member what it subscribes to (5), its target (7) and what it has (8); by regular expression the
topics that it stands for (16). Type 4, the topics with their partitions, was written until 4.0: the
hash took its place, it is read past, and its end is written, since a log may have one.

Kafka's counterparts are ``GroupCoordinatorRecordHelpers`` and ``GroupCoordinatorRecordSerde``.
"""

import struct
from typing import ClassVar, Final, Protocol

from datacore._generated.records import consumer_group_current_member_assignment as current
from datacore._generated.records import consumer_group_target_assignment_member as target
from datacore._generated.records.consumer_group_member_metadata import (
    ClassicMemberMetadata,
    ClassicProtocol,
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
from datacore._generated.records.consumer_group_target_assignment_metadata import (
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)
from datacore.coordinator.group.consumer.group import ConsumerGroup, ResolvedRegex
from datacore.coordinator.group.consumer.member import ConsumerMember, Partitions
from datacore.coordinator.outcome import Record
from datacore.protocol.names import GroupId, MemberId

KEY_VERSION: Final = 0
VALUE_VERSION: Final = 0

_INT16 = struct.Struct(">h")
_VALUE_VERSION_BYTES = _INT16.pack(VALUE_VERSION)


class _Message(Protocol):
    def encode(self, version: int) -> bytes: ...


class _Key(_Message, Protocol):
    record_type: ClassVar[int]


def _record(key: _Key, value: _Message | None) -> Record:
    key_bytes = _INT16.pack(key.record_type) + key.encode(KEY_VERSION)
    if value is None:
        return Record(key_bytes, None)
    return Record(key_bytes, _VALUE_VERSION_BYTES + value.encode(VALUE_VERSION))


def epoch_record(group_id: GroupId, epoch: int, metadata_hash: int) -> Record:
    """A group's epoch."""
    value = ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return _record(ConsumerGroupMetadataKey(group_id=group_id), value)


def member_record(group_id: GroupId, member: ConsumerMember) -> Record:
    """A member as it described itself."""
    classic = None
    if member.classic is not None:
        classic = ClassicMemberMetadata(
            session_timeout_ms=member.classic.session_timeout_ms,
            supported_protocols=[
                ClassicProtocol(name=name, metadata=metadata)
                for name, metadata in member.classic.protocols
            ],
        )
    value = ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topic_names),
        subscribed_topic_regex=member.topic_regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.server_assignor,
        classic_member_metadata=classic,
    )
    return _record(
        ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id), value
    )


def target_epoch_record(group_id: GroupId, epoch: int) -> Record:
    """The epoch that a group's target is made for."""
    value = ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch)
    return _record(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def target_record(group_id: GroupId, member_id: MemberId, partitions: Partitions) -> Record:
    """What a member shall have."""
    value = target.ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            target.TopicPartition(topic_id=topic_id, partitions=sorted(indexes))
            for topic_id, indexes in partitions.items()
        ]
    )
    key = target.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    return _record(key, value)


def current_record(group_id: GroupId, member: ConsumerMember) -> Record:
    """What a member has, and how far it is."""
    value = current.ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_topic_partitions(member.assigned),
        partitions_pending_revocation=_topic_partitions(member.pending_revocation),
    )
    key = current.ConsumerGroupCurrentMemberAssignmentKey(
        group_id=group_id, member_id=member.member_id
    )
    return _record(key, value)


def regex_record(group_id: GroupId, regex: str, resolved: ResolvedRegex) -> Record:
    """What a regular expression stands for."""
    value = ConsumerGroupRegularExpressionValue(
        topics=sorted(resolved.topics), version=resolved.version, timestamp=resolved.timestamp_ms
    )
    return _record(
        ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex), value
    )


def regex_tombstone(group_id: GroupId, regex: str) -> Record:
    """Nobody subscribes by this regular expression any more."""
    key = ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex)
    return _record(key, None)


def member_tombstones(group_id: GroupId, member_id: MemberId) -> list[Record]:
    """The end of a member: first of what it has, last of itself."""
    return [
        _record(
            current.ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id),
            None,
        ),
        _record(
            target.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
            None,
        ),
        _record(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id), None),
    ]


def group_tombstones(group: ConsumerGroup) -> list[Record]:
    """The end of a group, its members included."""
    group_id = group.group_id
    records: list[Record] = []
    for member_id in group.members:
        records += member_tombstones(group_id, member_id)
    records += [regex_tombstone(group_id, regex) for regex in group.regexes]
    records.append(_record(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), None))
    records.append(_record(ConsumerGroupPartitionMetadataKey(group_id=group_id), None))
    records.append(_record(ConsumerGroupMetadataKey(group_id=group_id), None))
    return records


def _topic_partitions(partitions: Partitions) -> list[current.TopicPartitions]:
    return [
        current.TopicPartitions(topic_id=topic_id, partitions=sorted(indexes))
        for topic_id, indexes in partitions.items()
    ]
