"""What members of a consumer group tell each other through JoinGroup and SyncGroup.

Both blobs are a 16-bit version and a message of that version (``ConsumerProtocol`` of Kafka's
clients); readers take versions that they do not know for the newest that they do. The assignor is
Kafka's ``RangeAssignor``: topic by topic, members in order of their ids, the first ones taking one
partition more where the division leaves a rest.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from datacore._generated.consumer_protocol_assignment import ConsumerProtocolAssignment
from datacore._generated.consumer_protocol_assignment import TopicPartition as AssignedTopic
from datacore._generated.consumer_protocol_subscription import ConsumerProtocolSubscription
from datacore.wire.errors import DecodeError
from datacore.wire.message import WireMessage

MessageT = TypeVar("MessageT", bound=WireMessage)

RANGE: Final = "range"
"""The assignor's name in JoinGroup."""

_VERSION: Final = struct.Struct(">h")
_WRITTEN_VERSION: Final = 0
"""Later versions add owned partitions, generation and rack, which the range assignor ignores."""


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """The numbers of partitions by their topic, both in order."""
    numbers: dict[str, list[int]] = {}
    for topic, partition in sorted(partitions):
        numbers.setdefault(topic, []).append(partition)
    return numbers


def encode_subscription(topics: Sequence[str]) -> bytes:
    """The subscription of a member that wants these topics."""
    message = ConsumerProtocolSubscription(topics=sorted(topics))
    return _VERSION.pack(_WRITTEN_VERSION) + message.encode(_WRITTEN_VERSION)


def decode_subscription(data: bytes) -> list[str]:
    """The topics that a member wants.

    Raises:
        DecodeError: The bytes are no subscription.
    """
    return _decode(ConsumerProtocolSubscription, data).topics


def encode_assignment(partitions: Sequence[TopicPartition]) -> bytes:
    """The assignment of a member that gets these partitions."""
    message = ConsumerProtocolAssignment(
        assigned_partitions=[
            AssignedTopic(topic=topic, partitions=numbers)
            for topic, numbers in by_topic(partitions).items()
        ]
    )
    return _VERSION.pack(_WRITTEN_VERSION) + message.encode(_WRITTEN_VERSION)


def decode_assignment(data: bytes) -> list[TopicPartition]:
    """The partitions that a member got; none where the bytes are empty.

    Raises:
        DecodeError: The bytes are no assignment.
    """
    if not data:
        return []
    return [
        TopicPartition(assigned.topic, partition)
        for assigned in _decode(ConsumerProtocolAssignment, data).assigned_partitions
        for partition in assigned.partitions
    ]


def assign_ranges(
    subscriptions: Mapping[str, Sequence[str]], partition_counts: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Gives every partition to one of the members that want its topic.

    Args:
        subscriptions: Topics by member id.
        partition_counts: Number of partitions by topic; a topic that is missing has none.
    """
    assignments: dict[str, list[TopicPartition]] = {member: [] for member in subscriptions}
    for topic, count in sorted(partition_counts.items()):
        members = sorted(member for member, topics in subscriptions.items() if topic in topics)
        if not members:
            continue
        each, rest = divmod(count, len(members))
        start = 0
        for place, member in enumerate(members):
            end = start + each + (place < rest)
            assignments[member] += [TopicPartition(topic, n) for n in range(start, end)]
            start = end
    return assignments


def _decode(message_type: type[MessageT], data: bytes) -> MessageT:
    if len(data) < _VERSION.size:
        raise DecodeError(f"{message_type.__name__}: {len(data)} bytes have no version")
    (version,) = _VERSION.unpack_from(data)
    if version < 0:
        raise DecodeError(f"{message_type.__name__} has no version {version}")
    message, _ = message_type.decode(data, min(version, message_type.max_version), _VERSION.size)
    return message
