"""Which brokers hold a partition, and which of them leads it.

Kafka's counterparts: ``Admin.alterPartitionReassignments``, ``listPartitionReassignments``
(KIP-455) and ``electLeaders`` (KIP-460).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from datacore._generated.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignableTopic,
)
from datacore._generated.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitions,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import check
from datacore.client.subscription import TopicPartition, by_topic
from datacore.client.topics import ADMIN_TIMEOUT_MS
from datacore.protocol.errors import KafkaError


class ElectionType(IntEnum):
    """Who may be elected: the first replica, or any that is alive, with loss of records."""

    PREFERRED = 0
    UNCLEAN = 1


class Reassignment(NamedTuple):
    """A partition on its way from some brokers to others."""

    where: TopicPartition
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


def alter_reassignments(
    cluster: Cluster, replicas: Mapping[TopicPartition, Sequence[int] | None]
) -> dict[TopicPartition, KafkaError | None]:
    """Begins to move partitions to the brokers given; None cancels a move. Returns refusals."""
    topics = [
        ReassignableTopic(
            name=topic,
            partitions=[
                ReassignablePartition(
                    partition_index=number,
                    replicas=_list_or_none(replicas[TopicPartition(topic, number)]),
                )
                for number in numbers
            ],
        )
        for topic, numbers in by_topic(replicas).items()
    ]

    def attempt() -> dict[TopicPartition, KafkaError | None]:
        request = AlterPartitionReassignmentsRequest(timeout_ms=ADMIN_TIMEOUT_MS, topics=topics)
        response = cluster.controller().send(request, AlterPartitionReassignmentsResponse)
        check(response.error_code, response.error_message)
        return {
            TopicPartition(topic.name, each.partition_index): _refusal(
                each.error_code, each.error_message
            )
            for topic in response.responses
            for each in topic.partitions
        }

    return cluster.retrying(attempt)


def list_reassignments(cluster: Cluster) -> list[Reassignment]:
    """Every partition that is on its way."""

    def attempt() -> list[Reassignment]:
        request = ListPartitionReassignmentsRequest(timeout_ms=ADMIN_TIMEOUT_MS, topics=None)
        response = cluster.controller().send(request, ListPartitionReassignmentsResponse)
        check(response.error_code, response.error_message)
        return sorted(
            Reassignment(
                TopicPartition(topic.name, each.partition_index),
                tuple(each.replicas),
                tuple(each.adding_replicas),
                tuple(each.removing_replicas),
            )
            for topic in response.topics
            for each in topic.partitions
        )

    return cluster.retrying(attempt)


def elect_leaders(
    cluster: Cluster, election_type: ElectionType, partitions: Iterable[TopicPartition] | None
) -> dict[TopicPartition, KafkaError | None]:
    """Elects leaders of partitions, or of all; returns refusals by partition.

    Where all are asked for, those that have the right leader already are not in the answer.
    """
    wanted = (
        None
        if partitions is None
        else [
            TopicPartitions(topic=topic, partitions=numbers)
            for topic, numbers in by_topic(partitions).items()
        ]
    )

    def attempt() -> dict[TopicPartition, KafkaError | None]:
        request = ElectLeadersRequest(
            election_type=election_type, topic_partitions=wanted, timeout_ms=ADMIN_TIMEOUT_MS
        )
        response = cluster.controller().send(request, ElectLeadersResponse)
        check(response.error_code)
        return {
            TopicPartition(topic.topic, each.partition_id): _refusal(
                each.error_code, each.error_message
            )
            for topic in response.replica_election_results
            for each in topic.partition_result
        }

    return cluster.retrying(attempt)


def is_election_not_needed(error: KafkaError) -> bool:
    """Whether the partition has the leader that was to be elected."""
    return error.code == ErrorCode.ELECTION_NOT_NEEDED


def _refusal(error_code: int, message: str | None) -> KafkaError | None:
    try:
        check(error_code, message)
    except KafkaError as error:
        return error
    return None


def _list_or_none(replicas: Sequence[int] | None) -> list[int] | None:
    return None if replicas is None else list(replicas)
