"""Topics: create, delete, give partitions, list, describe.

Rules, here and in every module of administration: a function returns when the cluster says that it
is done, retries what Kafka calls retriable, and raises ``KafkaError`` for the rest. Where versions
of an API differ in how they are asked, the difference ends here. Kafka's counterpart is ``Admin``
of its clients.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from datacore._generated.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from datacore._generated.create_topics import (
    CreatableReplicaAssignment,
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
from datacore._generated.metadata import MetadataResponseTopic
from datacore.client.cluster import Cluster
from datacore.client.errors import UnsupportedRequestError, check

ADMIN_TIMEOUT_MS: Final = 30_000
"""What a broker is given to do what it was asked for."""

_TOPIC_STATES_FROM: Final = 6


def create_topic(
    cluster: Cluster,
    name: str,
    *,
    partitions: int = -1,
    replication_factor: int = -1,
    assignment: Sequence[Sequence[int]] = (),
    configs: Mapping[str, str] | None = None,
    validate_only: bool = False,
) -> None:
    """Creates a topic and waits until its partitions have leaders.

    Args:
        cluster: Where to create it.
        name: Its name.
        partitions: Their number; -1 is the broker's default.
        replication_factor: Copies of each partition; -1 is the broker's default.
        assignment: By partition the brokers that get a copy, instead of the two numbers.
        configs: Its settings.
        validate_only: Create nothing, but raise what would stand in the way.
    """
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication_factor,
        assignments=[
            CreatableReplicaAssignment(partition_index=number, broker_ids=list(brokers))
            for number, brokers in enumerate(assignment)
        ],
        configs=[CreatableTopicConfig(name=k, value=v) for k, v in (configs or {}).items()],
    )

    def attempt() -> None:
        request = CreateTopicsRequest(
            topics=[topic], timeout_ms=ADMIN_TIMEOUT_MS, validate_only=validate_only
        )
        response = cluster.controller().send(request, CreateTopicsResponse)
        check(response.topics[0].error_code, response.topics[0].error_message)

    cluster.retrying(attempt)
    if not validate_only:
        cluster.retrying(lambda: cluster.topic(name), expect_topic=True)


def delete_topic(cluster: Cluster, name: str) -> None:
    """Deletes a topic with everything in it."""

    def attempt() -> None:
        connection = cluster.controller()
        version = connection.version(DeleteTopicsRequest)
        request = DeleteTopicsRequest(timeout_ms=ADMIN_TIMEOUT_MS)
        if version >= _TOPIC_STATES_FROM:
            request.topics = [DeleteTopicState(name=name)]
        else:
            request.topic_names = [name]
        (deleted,) = connection.send(request, DeleteTopicsResponse, version).responses
        check(deleted.error_code, deleted.error_message or f"topic {name}")

    cluster.retrying(attempt)


def delete_topic_by_id(cluster: Cluster, topic_id: uuid.UUID) -> None:
    """Deletes the topic that has this id, whatever is called its name by now (KIP-516)."""

    def attempt() -> None:
        connection = cluster.controller()
        version = connection.version(DeleteTopicsRequest)
        if version < _TOPIC_STATES_FROM:
            raise UnsupportedRequestError(
                f"the broker at {connection.address} cannot delete topics by id"
            )
        request = DeleteTopicsRequest(
            topics=[DeleteTopicState(name=None, topic_id=topic_id.bytes)],
            timeout_ms=ADMIN_TIMEOUT_MS,
        )
        (deleted,) = connection.send(request, DeleteTopicsResponse, version).responses
        check(deleted.error_code, deleted.error_message or f"topic id {topic_id}")

    cluster.retrying(attempt)


def create_partitions(
    cluster: Cluster,
    name: str,
    count: int,
    *,
    assignment: Sequence[Sequence[int]] | None = None,
    validate_only: bool = False,
) -> None:
    """Raises a topic's number of partitions to ``count``.

    Args:
        cluster: Where the topic lives.
        name: Its name.
        count: The new number.
        assignment: The brokers that get a copy, by new partition; None lets the cluster choose.
        validate_only: Change nothing, but raise what would stand in the way.
    """
    topic = CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=None
        if assignment is None
        else [CreatePartitionsAssignment(broker_ids=list(brokers)) for brokers in assignment],
    )

    def attempt() -> None:
        request = CreatePartitionsRequest(
            topics=[topic], timeout_ms=ADMIN_TIMEOUT_MS, validate_only=validate_only
        )
        (result,) = cluster.controller().send(request, CreatePartitionsResponse).results
        check(result.error_code, result.error_message)

    cluster.retrying(attempt)


def list_topics(cluster: Cluster) -> list[MetadataResponseTopic]:
    """Every topic, by name; an error of one of them is in its ``error_code``."""
    topics = cluster.retrying(lambda: cluster.metadata(None)).topics
    return sorted(topics, key=lambda topic: topic.name or "")


def describe_topics(cluster: Cluster, names: Sequence[str]) -> list[MetadataResponseTopic]:
    """The topics of these names, partitions in order.

    Raises:
        KafkaError: One of them does not exist, or is not ready.
    """

    def attempt() -> list[MetadataResponseTopic]:
        topics = cluster.metadata(names).topics
        for topic in topics:
            check(topic.error_code, f"topic {topic.name}")
            topic.partitions.sort(key=lambda partition: partition.partition_index)
        return sorted(topics, key=lambda topic: topic.name or "")

    return cluster.retrying(attempt)
