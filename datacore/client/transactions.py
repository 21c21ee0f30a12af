"""Transactions as their coordinators know them, producers as partitions know them, and an abort.

Kafka's counterparts: ``Admin.listTransactions``, ``describeTransactions``, ``describeProducers``,
``abortTransaction`` (KIP-664) and ``fenceProducers``.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from datacore._generated.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.list_transactions import ListTransactionsRequest, ListTransactionsResponse
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import ClientError, UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition, by_topic

_FENCE_TIMEOUT_MS: Final = 1
"""What Kafka's Admin asks for: the id is taken from its producer and not used."""

_DURATION_FROM: Final = 1
_PATTERN_FROM: Final = 2


class ListedTransaction(NamedTuple):
    """A transactional id and its state."""

    transactional_id: str
    coordinator: int
    producer_id: int
    state: str


class Transaction(NamedTuple):
    """What the coordinator knows of a transactional id."""

    transactional_id: str
    coordinator: str
    """The address of the broker that coordinates it."""
    producer_id: int
    producer_epoch: int
    state: str
    timeout_ms: int
    start_ms: int | None
    """When the open or the last transaction began; None where none has."""
    partitions: tuple[TopicPartition, ...]


class ProducerState(NamedTuple):
    """What a partition remembers of a producer; None where there is no such thing."""

    where: TopicPartition
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    transaction_start_offset: int | None


def list_transactions(
    cluster: Cluster,
    *,
    states: Sequence[str] = (),
    producer_ids: Sequence[int] = (),
    duration_ms: int = -1,
    pattern: str | None = None,
) -> list[ListedTransaction]:
    """Transactional ids of all coordinators, by id.

    Args:
        cluster: Where to look.
        states: Those in one of these states; none means all.
        producer_ids: Those of one of these producers; none means all.
        duration_ms: Those whose transaction is open for longer (KIP-994); -1 means all.
        pattern: Those whose id matches this regular expression of RE2 (KIP-1152).

    Raises:
        UnsupportedRequestError: A broker's release does not know a filter.
    """

    def attempt() -> list[ListedTransaction]:
        found: list[ListedTransaction] = []
        for broker in cluster.metadata().brokers:
            connection = cluster.broker(broker.node_id)
            request = ListTransactionsRequest(
                state_filters=list(states), producer_id_filters=list(producer_ids)
            )
            version = connection.version(ListTransactionsRequest)
            if duration_ms >= 0:
                _need(connection, version, _DURATION_FROM)
                request.duration_filter = duration_ms
            if pattern is not None:
                _need(connection, version, _PATTERN_FROM)
                request.transactional_id_pattern = pattern
            response = connection.send(request, ListTransactionsResponse, version)
            check(response.error_code)
            if response.unknown_state_filters:
                unknown = ", ".join(response.unknown_state_filters)
                raise ClientError(f"the broker at {connection.address} knows no state {unknown}")
            found += (
                ListedTransaction(
                    each.transactional_id,
                    broker.node_id,
                    each.producer_id,
                    each.transaction_state,
                )
                for each in response.transaction_states
            )
        return sorted(found)

    return cluster.retrying(attempt)


def _need(connection: Connection, version: int, needed: int) -> None:
    if version < needed:
        raise UnsupportedRequestError(
            f"the broker at {connection.address} serves ListTransactions up to {version}: "
            f"this filter needs {needed}"
        )


def describe_transaction(cluster: Cluster, transactional_id: str) -> Transaction:
    """What its coordinator knows of a transactional id.

    Raises:
        KafkaError: TRANSACTIONAL_ID_NOT_FOUND where it knows nothing.
    """

    def attempt() -> Transaction:
        connection = cluster.transaction_coordinator(transactional_id)
        request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
        (found,) = connection.send(request, DescribeTransactionsResponse).transaction_states
        check(found.error_code, f"transactional id {transactional_id}")
        partitions = (
            TopicPartition(each.topic, n) for each in found.topics for n in each.partitions
        )
        return Transaction(
            found.transactional_id,
            connection.address,
            found.producer_id,
            found.producer_epoch,
            found.transaction_state,
            found.transaction_timeout_ms,
            found.transaction_start_time_ms if found.transaction_start_time_ms >= 0 else None,
            tuple(sorted(partitions)),
        )

    return cluster.retrying(attempt)


def describe_producers(
    cluster: Cluster, partitions: Iterable[TopicPartition], *, broker: int | None = None
) -> list[ProducerState]:
    """The producers that partitions remember: their leaders, or their replicas on ``broker``."""
    wanted = sorted(set(partitions))

    def attempt() -> list[ProducerState]:
        asked = cluster.by_leader(wanted) if broker is None else {broker: wanted}
        found: list[ProducerState] = []
        for broker_id, held in asked.items():
            request = DescribeProducersRequest(
                topics=[
                    TopicRequest(name=topic, partition_indexes=numbers)
                    for topic, numbers in by_topic(held).items()
                ]
            )
            response = cluster.broker(broker_id).send(request, DescribeProducersResponse)
            for topic in response.topics:
                for each in topic.partitions:
                    where = TopicPartition(topic.name, each.partition_index)
                    check(each.error_code, each.error_message or f"{topic.name}-{where.partition}")
                    found += (
                        ProducerState(
                            where,
                            producer.producer_id,
                            producer.producer_epoch,
                            producer.coordinator_epoch,
                            producer.last_sequence,
                            producer.last_timestamp,
                            start if (start := producer.current_txn_start_offset) >= 0 else None,
                        )
                        for producer in each.active_producers
                    )
        return sorted(found, key=lambda each: (each.where, each.producer_id))

    return cluster.retrying(attempt)


def abort_transaction(
    cluster: Cluster,
    where: TopicPartition,
    *,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
) -> None:
    """Writes an abort marker into one partition, past the coordinator: for hanging transactions."""
    marker = WritableTxnMarker(
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        coordinator_epoch=coordinator_epoch,
        transaction_result=False,
        topics=[WritableTxnMarkerTopic(name=where.topic, partition_indexes=[where.partition])],
    )

    def attempt() -> None:
        connection = cluster.leader(where.topic, where.partition)
        response = connection.send(
            WriteTxnMarkersRequest(markers=[marker]), WriteTxnMarkersResponse
        )
        result = response.markers[0].topics[0].partitions[0]
        check(result.error_code, f"{where.topic}-{where.partition}")

    cluster.retrying(attempt)


def fence_producer(cluster: Cluster, transactional_id: str) -> tuple[int, int]:
    """Takes an id from its producer, whose open transaction is aborted.

    Returns:
        The producer's id and its new epoch.
    """
    request = InitProducerIdRequest(
        transactional_id=transactional_id, transaction_timeout_ms=_FENCE_TIMEOUT_MS
    )

    def attempt() -> tuple[int, int]:
        connection = cluster.transaction_coordinator(transactional_id)
        response = connection.send(request, InitProducerIdResponse)
        check(response.error_code, f"transactional id {transactional_id}")
        return response.producer_id, response.producer_epoch

    return cluster.retrying(attempt)
