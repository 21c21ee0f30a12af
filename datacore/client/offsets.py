"""Offsets of partitions by time, and the deletion of records before an offset.

Kafka's counterparts: ``Admin.listOffsets`` and ``Admin.deleteRecords``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from datacore._generated.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition, by_topic
from datacore.client.topics import ADMIN_TIMEOUT_MS

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5

HIGH_WATERMARK: Final = -1
"""``delete_records`` up to here deletes all there is."""

_VERSION_FROM: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}
_LIST_ONE_OFFSET_FROM: Final = 1
_ISOLATION_FROM: Final = 2


class PartitionOffset(NamedTuple):
    """An offset of a partition; -1 where there is none of the kind that was asked for."""

    partition: int
    offset: int
    timestamp_ms: int
    """The record's, where it was found by time; else -1."""


def list_offsets(
    cluster: Cluster, topic: str, timestamp: int, partitions: Sequence[int] | None = None
) -> list[PartitionOffset]:
    """Offsets of a topic's partitions by time.

    Args:
        cluster: Where the topic lives.
        topic: Its name.
        timestamp: As for ``find_offsets``.
        partitions: Which; None is all of them.

    Raises:
        UnsupportedRequestError: The broker's release does not know this timestamp.
    """
    wanted = partitions
    if wanted is None:
        found = cluster.retrying(lambda: cluster.topic(topic))
        wanted = [each.partition_index for each in found.partitions]
    offsets = find_offsets(cluster, [TopicPartition(topic, n) for n in wanted], timestamp)
    return sorted(offsets.values())


def find_offsets(
    cluster: Cluster,
    partitions: Iterable[TopicPartition],
    timestamp: int,
    *,
    read_committed: bool = False,
) -> dict[TopicPartition, PartitionOffset]:
    """Offsets of partitions of any number of topics by time, one request a leader.

    Args:
        cluster: Where the topics live.
        partitions: Which.
        timestamp: ``EARLIEST``, ``LATEST``, ``MAX_TIMESTAMP`` (KIP-734), ``EARLIEST_LOCAL`` and
            ``LATEST_TIERED`` (KIP-405, KIP-1005), or milliseconds: then the first offset whose
            record is not older.
        read_committed: Whether the latest offset is where the first open transaction begins.

    Raises:
        UnsupportedRequestError: The broker's release does not know this timestamp.
    """
    wanted = sorted(set(partitions))

    def attempt() -> dict[TopicPartition, PartitionOffset]:
        found: dict[TopicPartition, PartitionOffset] = {}
        for leader_id, led in cluster.by_leader(wanted).items():
            connection = cluster.broker(leader_id)
            found |= _find_offsets(connection, led, timestamp, read_committed=read_committed)
        return found

    return cluster.retrying(attempt)


def _find_offsets(
    connection: Connection,
    partitions: Iterable[TopicPartition],
    timestamp: int,
    *,
    read_committed: bool,
) -> dict[TopicPartition, PartitionOffset]:
    version = connection.version(ListOffsetsRequest)
    needed = _VERSION_FROM.get(timestamp, _LIST_ONE_OFFSET_FROM)
    needed = max(needed, _ISOLATION_FROM) if read_committed else needed
    if version < needed:
        raise UnsupportedRequestError(
            f"the broker at {connection.address} serves ListOffsets up to {version}: "
            f"this lookup needs {needed}"
        )
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=int(read_committed),
        topics=[
            ListOffsetsTopic(
                name=topic,
                partitions=[
                    ListOffsetsPartition(partition_index=number, timestamp=timestamp)
                    for number in numbers
                ],
            )
            for topic, numbers in by_topic(partitions).items()
        ],
    )
    found: dict[TopicPartition, PartitionOffset] = {}
    for topic in connection.send(request, ListOffsetsResponse, version).topics:
        for each in topic.partitions:
            check(each.error_code, f"{topic.name}-{each.partition_index}")
            found[TopicPartition(topic.name, each.partition_index)] = PartitionOffset(
                each.partition_index, each.offset, each.timestamp
            )
    return found


def delete_records(
    cluster: Cluster, before: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Deletes what lies before an offset of each partition; returns where each begins now.

    Args:
        cluster: Where the topics live.
        before: The offset by partition; ``HIGH_WATERMARK`` is all there is.
    """

    def attempt() -> dict[TopicPartition, int]:
        low_watermarks: dict[TopicPartition, int] = {}
        for leader_id, led in cluster.by_leader(before).items():
            request = DeleteRecordsRequest(
                topics=[
                    DeleteRecordsTopic(
                        name=topic,
                        partitions=[
                            DeleteRecordsPartition(
                                partition_index=number,
                                offset=before[TopicPartition(topic, number)],
                            )
                            for number in numbers
                        ],
                    )
                    for topic, numbers in by_topic(led).items()
                ],
                timeout_ms=ADMIN_TIMEOUT_MS,
            )
            for topic in cluster.broker(leader_id).send(request, DeleteRecordsResponse).topics:
                for each in topic.partitions:
                    check(each.error_code, f"{topic.name}-{each.partition_index}")
                    where = TopicPartition(topic.name, each.partition_index)
                    low_watermarks[where] = each.low_watermark
        return low_watermarks

    return cluster.retrying(attempt)
