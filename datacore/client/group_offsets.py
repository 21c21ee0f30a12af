"""What groups have committed: read it, set it, delete it.

Kafka's counterparts: ``Admin.listConsumerGroupOffsets``, ``alterConsumerGroupOffsets`` and
``deleteConsumerGroupOffsets``.
"""

from collections.abc import Iterable, Mapping
from typing import Final

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
    OffsetFetchResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition, by_topic

_GROUPS_FROM: Final = 8
_ALL_FROM: Final = 2


def group_offsets(cluster: Cluster, group: str) -> dict[TopicPartition, int]:
    """What a group has committed: the next offset to read by topic and partition."""

    def attempt() -> dict[TopicPartition, int]:
        connection = cluster.group_coordinator(group)
        version = connection.version(OffsetFetchRequest)
        if version < _ALL_FROM:
            raise UnsupportedRequestError("the broker cannot list all offsets of a group")
        if version >= _GROUPS_FROM:
            request = OffsetFetchRequest(
                groups=[OffsetFetchRequestGroup(group_id=group, topics=None)]
            )
            response = connection.send(request, OffsetFetchResponse, version)
            (answered,) = response.groups
            check(answered.error_code)
            return {
                TopicPartition(topic.name, partition.partition_index): partition.committed_offset
                for topic in answered.topics
                for partition in topic.partitions
            }
        request = OffsetFetchRequest(group_id=group, topics=None)
        response = connection.send(request, OffsetFetchResponse, version)
        check(response.error_code)
        return {
            TopicPartition(topic.name, partition.partition_index): partition.committed_offset
            for topic in response.topics
            for partition in topic.partitions
        }

    committed = cluster.retrying(attempt)
    return {where: offset for where, offset in sorted(committed.items()) if offset >= 0}


def alter_group_offsets(
    cluster: Cluster, group: str, offsets: Mapping[TopicPartition, int]
) -> None:
    """Commits offsets from outside, which a group takes that has no members.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID where it has some.
    """
    request = OffsetCommitRequest(
        group_id=group,
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=number,
                        committed_offset=offsets[TopicPartition(topic, number)],
                    )
                    for number in numbers
                ],
            )
            for topic, numbers in by_topic(offsets).items()
        ],
    )

    def attempt() -> None:
        response = cluster.group_coordinator(group).send(request, OffsetCommitResponse)
        for topic in response.topics:
            for each in topic.partitions:
                check(each.error_code, f"group {group}, {topic.name}-{each.partition_index}")

    cluster.retrying(attempt)


def delete_group_offsets(
    cluster: Cluster, group: str, partitions: Iterable[TopicPartition]
) -> None:
    """Forgets what a group has committed for partitions (KIP-496).

    Raises:
        KafkaError: GROUP_SUBSCRIBED_TO_TOPIC where a member reads one of the topics.
    """
    request = OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(
                name=topic,
                partitions=[OffsetDeleteRequestPartition(partition_index=n) for n in numbers],
            )
            for topic, numbers in by_topic(partitions).items()
        ],
    )

    def attempt() -> None:
        response = cluster.group_coordinator(group).send(request, OffsetDeleteResponse)
        check(response.error_code, f"group {group}")
        for topic in response.topics:
            for each in topic.partitions:
                check(each.error_code, f"group {group}, {topic.name}-{each.partition_index}")

    cluster.retrying(attempt)
