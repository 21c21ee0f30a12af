"""Administration: one function for each thing that is asked of a cluster, whatever its release.

Rules: a function returns when the cluster says that it is done, retries what Kafka calls retriable,
and raises ``KafkaError`` for the rest. Where versions of an API differ in how they are asked, the
difference ends here. Kafka's counterpart is ``Admin`` of its clients.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from datacore._generated.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from datacore._generated.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from datacore._generated.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore._generated.metadata import MetadataResponseTopic
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition
from datacore.protocol.errors import KafkaError

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3

BROKER_RESOURCE: Final = 4
TOPIC_RESOURCE: Final = 2

_TIMEOUT_MS: Final = 30_000
_TOPIC_STATES_FROM: Final = 6
_OFFSET_FETCH_GROUPS_FROM: Final = 8
_OFFSET_FETCH_ALL_FROM: Final = 2
_MAX_TIMESTAMP_FROM: Final = 7
_LIST_ONE_OFFSET_FROM: Final = 1
_GROUP_ERRORS_FROM: Final = 6


class PartitionOffset(NamedTuple):
    """An offset of a partition; -1 where there is none of the kind that was asked for."""

    partition: int
    offset: int
    timestamp_ms: int
    """The record's, where it was found by time; else -1."""


def create_topic(
    cluster: Cluster,
    name: str,
    *,
    partitions: int = -1,
    replication_factor: int = -1,
    configs: Mapping[str, str] | None = None,
) -> None:
    """Creates a topic and waits until its partitions have leaders; -1 is the broker's default."""
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication_factor,
        configs=[CreatableTopicConfig(name=k, value=v) for k, v in (configs or {}).items()],
    )

    def attempt() -> None:
        request = CreateTopicsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)
        response = cluster.controller().send(request, CreateTopicsResponse)
        check(response.topics[0].error_code, response.topics[0].error_message)

    cluster.retrying(attempt)
    cluster.retrying(lambda: cluster.topic(name), expect_topic=True)


def delete_topic(cluster: Cluster, name: str) -> None:
    """Deletes a topic with everything in it."""

    def attempt() -> None:
        connection = cluster.controller()
        version = connection.version(DeleteTopicsRequest)
        request = DeleteTopicsRequest(timeout_ms=_TIMEOUT_MS)
        if version >= _TOPIC_STATES_FROM:
            request.topics = [DeleteTopicState(name=name)]
        else:
            request.topic_names = [name]
        (deleted,) = connection.send(request, DeleteTopicsResponse, version).responses
        check(deleted.error_code, deleted.error_message)

    cluster.retrying(attempt)


def create_partitions(cluster: Cluster, name: str, count: int) -> None:
    """Raises a topic's number of partitions to ``count``."""
    topic = CreatePartitionsTopic(name=name, count=count, assignments=None)

    def attempt() -> None:
        request = CreatePartitionsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)
        (result,) = cluster.controller().send(request, CreatePartitionsResponse).results
        check(result.error_code, result.error_message)

    cluster.retrying(attempt)


def list_topics(cluster: Cluster) -> list[MetadataResponseTopic]:
    """Every topic, by name; an error of one of them is in its ``error_code``."""
    topics = cluster.retrying(lambda: cluster.metadata(None)).topics
    return sorted(topics, key=lambda topic: topic.name or "")


def list_offsets(
    cluster: Cluster, topic: str, timestamp: int, partitions: Sequence[int] | None = None
) -> list[PartitionOffset]:
    """Offsets of a topic's partitions by time.

    Args:
        cluster: Where the topic lives.
        topic: Its name.
        timestamp: ``EARLIEST``, ``LATEST``, ``MAX_TIMESTAMP`` (KIP-734), or milliseconds: then the
            first offset whose record is not older.
        partitions: Which; None is all of them.

    Raises:
        UnsupportedRequestError: The broker's release does not know this timestamp.
    """

    def attempt() -> list[PartitionOffset]:
        wanted = partitions
        if wanted is None:
            wanted = [each.partition_index for each in cluster.topic(topic).partitions]
        by_leader: dict[int, list[int]] = defaultdict(list)
        for partition in wanted:
            by_leader[cluster.leader_id(topic, partition)].append(partition)
        found: list[PartitionOffset] = []
        for leader_id, led in by_leader.items():
            found += _list_offsets(cluster.broker(leader_id), topic, timestamp, led)
        return sorted(found)

    return cluster.retrying(attempt)


def _list_offsets(
    connection: Connection, topic: str, timestamp: int, partitions: Sequence[int]
) -> list[PartitionOffset]:
    version = connection.version(ListOffsetsRequest)
    needed = _MAX_TIMESTAMP_FROM if timestamp == MAX_TIMESTAMP else _LIST_ONE_OFFSET_FROM
    if version < needed:
        raise UnsupportedRequestError(
            f"the broker at {connection.address} serves ListOffsets up to {version}: "
            f"this lookup needs {needed}"
        )
    asked = [
        ListOffsetsPartition(partition_index=partition, timestamp=timestamp)
        for partition in partitions
    ]
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=asked)]
    )
    (answered,) = connection.send(request, ListOffsetsResponse, version).topics
    for partition in answered.partitions:
        check(partition.error_code, f"{topic}-{partition.partition_index}")
    return [
        PartitionOffset(partition.partition_index, partition.offset, partition.timestamp)
        for partition in answered.partitions
    ]


def list_groups(cluster: Cluster) -> list[ListedGroup]:
    """Every group that some broker coordinates, by id."""

    def attempt() -> list[ListedGroup]:
        groups: list[ListedGroup] = []
        for broker in cluster.metadata().brokers:
            response = cluster.broker(broker.node_id).send(ListGroupsRequest(), ListGroupsResponse)
            check(response.error_code)
            groups += response.groups
        return sorted(groups, key=lambda group: group.group_id)

    return cluster.retrying(attempt)


def describe_group(cluster: Cluster, group: str) -> DescribedGroup:
    """A group's state and members.

    Raises:
        KafkaError: GROUP_ID_NOT_FOUND where there is none, whatever the broker's release.
    """

    def attempt() -> DescribedGroup:
        connection = cluster.group_coordinator(group)
        version = connection.version(DescribeGroupsRequest)
        request = DescribeGroupsRequest(groups=[group])
        (described,) = connection.send(request, DescribeGroupsResponse, version).groups
        check(described.error_code, described.error_message)
        if version < _GROUP_ERRORS_FROM and described.group_state == "Dead":
            # Before KIP-1043 a group that does not exist is a dead one.
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group} not found.")
        return described

    return cluster.retrying(attempt)


def group_offsets(cluster: Cluster, group: str) -> dict[TopicPartition, int]:
    """What a group has committed: the next offset to read by topic and partition."""

    def attempt() -> dict[TopicPartition, int]:
        connection = cluster.group_coordinator(group)
        version = connection.version(OffsetFetchRequest)
        if version < _OFFSET_FETCH_ALL_FROM:
            raise UnsupportedRequestError("the broker cannot list all offsets of a group")
        if version >= _OFFSET_FETCH_GROUPS_FROM:
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


def describe_configs(
    cluster: Cluster, resource_type: int, name: str
) -> list[DescribeConfigsResourceResult]:
    """Every setting of a topic, or of the broker whose id is ``name``."""

    def attempt() -> list[DescribeConfigsResourceResult]:
        if resource_type == BROKER_RESOURCE:
            connection = cluster.broker(int(name))
        else:
            connection = cluster.any_broker()
        resource = DescribeConfigsResource(
            resource_type=resource_type, resource_name=name, configuration_keys=None
        )
        request = DescribeConfigsRequest(resources=[resource])
        (result,) = connection.send(request, DescribeConfigsResponse).results
        check(result.error_code, result.error_message)
        return sorted(result.configs, key=lambda config: config.name)

    return cluster.retrying(attempt)
