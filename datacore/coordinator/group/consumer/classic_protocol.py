"""The consumers' own messages inside the classic protocol: subscriptions and assignments.

They are bytes to a classic group, whose members understand each other; in a consumer group the
coordinator assigns, so it speaks for the leader. Kafka's counterpart is ``ConsumerProtocol``.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from datacore._generated import consumer_protocol_assignment as assignment
from datacore._generated.consumer_protocol_subscription import ConsumerProtocolSubscription
from datacore.coordinator.group.consumer.member import Partitions
from datacore.coordinator.group.consumer.topics import ClusterView
from datacore.protocol.names import TopicId, TopicName
from datacore.wire.errors import DecodeError

_INT16 = struct.Struct(">h")


class Subscription(NamedTuple):
    """What a consumer says when it joins.

    Attributes:
        topics: Names.
        owned: What it has not given up, as far as those topics exist.
        rack_id: Where it runs.
    """

    topics: frozenset[str]
    owned: Partitions
    rack_id: str | None


def read_subscription(metadata: bytes, cluster: ClusterView) -> Subscription:
    """Reads the metadata of a protocol of type "consumer"; versions only add at the end.

    Raises:
        DecodeError: It is something else.
    """
    version = min(_version(metadata), ConsumerProtocolSubscription.max_version)
    read, _ = ConsumerProtocolSubscription.decode(metadata, version, _INT16.size)
    owned = ((each.topic, each.partitions) for each in read.owned_partitions)
    return Subscription(frozenset(read.topics), _by_id(owned, cluster), read.rack_id)


def read_assignment(assigned: bytes, cluster: ClusterView) -> Partitions:
    """Reads what a leader gave to a member; nothing, where it gave nothing.

    Raises:
        DecodeError: It is something else.
    """
    if not assigned:
        return {}
    message = assignment.ConsumerProtocolAssignment
    version = min(_version(assigned), message.max_version)
    read, _ = message.decode(assigned, version, _INT16.size)
    return _by_id(((each.topic, each.partitions) for each in read.assigned_partitions), cluster)


def write_assignment(partitions: Partitions, metadata: bytes, cluster: ClusterView) -> bytes:
    """What a leader would have given to a member that subscribed with this metadata."""
    message = assignment.ConsumerProtocolAssignment
    version = min(_version(metadata), message.max_version)
    written = message(
        assigned_partitions=[
            assignment.TopicPartition(topic=topic.name, partitions=sorted(indexes))
            for topic_id, indexes in partitions.items()
            if (topic := cluster.topics_by_id.get(topic_id)) is not None
        ]
    )
    return _INT16.pack(version) + written.encode(version)


def _version(message: bytes) -> int:
    if len(message) < _INT16.size:
        raise DecodeError("a consumer's message is shorter than its version")
    version: int = _INT16.unpack_from(message)[0]
    if version < 0:
        raise DecodeError(f"a consumer's message has version {version}")
    return version


def _by_id(partitions: Iterable[tuple[str, list[int]]], cluster: ClusterView) -> Partitions:
    """The same by the topics' ids; a topic may stand there more than once."""
    found: dict[TopicId, frozenset[int]] = {}
    for name, indexes in partitions:
        topic = cluster.topics.get(TopicName(name))
        if topic is not None and indexes:
            found[topic.topic_id] = found.get(topic.topic_id, frozenset()) | frozenset(indexes)
    return found
