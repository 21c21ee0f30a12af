"""WriteTxnMarkers (key 27): a transaction coordinator, or an operator, ends transactions here.

v1      flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.write_txn_markers import (
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from datacore.coordinator.outcome import Producer
from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.protocol.names import TopicName
from datacore.record.control import ControlType, EndTransactionMarker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore._generated.write_txn_markers import WritableTxnMarker
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse:
    """Writes each marker; answers when all are durable."""
    del context
    results = _Results()
    for asked in request.markers:
        control_type = ControlType.COMMIT if asked.transaction_result else ControlType.ABORT
        if asked.producer_id < 0 or asked.producer_epoch < 0:
            # Nobody's marker cannot be written; Kafka fails on it, too.
            refused = dict.fromkeys(_partitions(asked), ErrorCode.UNKNOWN_SERVER_ERROR)
            results.add(asked.producer_id, refused)
            continue
        error_codes = await broker.transaction_markers.write(
            Producer(asked.producer_id, asked.producer_epoch),
            EndTransactionMarker(control_type, asked.coordinator_epoch),
            _partitions(asked),
        )
        results.add(asked.producer_id, error_codes)
    return results.response()


def _partitions(asked: WritableTxnMarker) -> list[TopicPartition]:
    return [
        TopicPartition(TopicName(topic.name), index)
        for topic in asked.topics
        for index in topic.partition_indexes
    ]


class _Results:
    """What became of each producer's markers: each partition is told once, as last said."""

    __slots__ = ("_by_producer",)

    def __init__(self) -> None:
        self._by_producer: dict[int, dict[TopicPartition, ErrorCode]] = {}

    def add(self, producer_id: int, error_codes: Mapping[TopicPartition, ErrorCode]) -> None:
        if error_codes:
            self._by_producer.setdefault(producer_id, {}).update(error_codes)

    def response(self) -> WriteTxnMarkersResponse:
        return WriteTxnMarkersResponse(
            markers=[
                WritableTxnMarkerResult(producer_id=producer_id, topics=_topics(error_codes))
                for producer_id, error_codes in self._by_producer.items()
            ]
        )


def _topics(
    error_codes: Mapping[TopicPartition, ErrorCode],
) -> list[WritableTxnMarkerTopicResult]:
    topics: dict[TopicName, WritableTxnMarkerTopicResult] = {}
    for partition, error_code in error_codes.items():
        topic = topics.setdefault(
            partition.topic, WritableTxnMarkerTopicResult(name=partition.topic)
        )
        topic.partitions.append(
            WritableTxnMarkerPartitionResult(
                partition_index=partition.partition, error_code=error_code
            )
        )
    return list(topics.values())


def error_response(
    context: RequestContext, request: WriteTxnMarkersRequest, error: KafkaError
) -> WriteTxnMarkersResponse:
    """The error on every partition."""
    del context
    results = _Results()
    for asked in request.markers:
        results.add(asked.producer_id, dict.fromkeys(_partitions(asked), error.code))
    return results.response()
