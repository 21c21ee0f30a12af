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
    from collections.abc import Callable

    from datacore._generated.write_txn_markers import WritableTxnMarker
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse:
    """Writes each marker; answers when all are durable."""
    del context
    response = WriteTxnMarkersResponse()
    for asked in request.markers:
        control_type = ControlType.COMMIT if asked.transaction_result else ControlType.ABORT
        if asked.producer_id < 0 or asked.producer_epoch < 0:
            # Nobody's marker cannot be written; Kafka fails on it, too.
            response.markers.append(_result(asked, lambda _: ErrorCode.UNKNOWN_SERVER_ERROR))
            continue
        error_codes = await broker.transaction_markers.write(
            Producer(asked.producer_id, asked.producer_epoch),
            EndTransactionMarker(control_type, asked.coordinator_epoch),
            [
                TopicPartition(TopicName(topic.name), index)
                for topic in asked.topics
                for index in topic.partition_indexes
            ],
        )
        response.markers.append(_result(asked, error_codes.__getitem__))
    return response


def _result(
    asked: WritableTxnMarker, error_code: Callable[[TopicPartition], ErrorCode]
) -> WritableTxnMarkerResult:
    return WritableTxnMarkerResult(
        producer_id=asked.producer_id,
        topics=[
            WritableTxnMarkerTopicResult(
                name=topic.name,
                partitions=[
                    WritableTxnMarkerPartitionResult(
                        partition_index=index,
                        error_code=error_code(TopicPartition(TopicName(topic.name), index)),
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in asked.topics
        ],
    )


def error_response(
    context: RequestContext, request: WriteTxnMarkersRequest, error: KafkaError
) -> WriteTxnMarkersResponse:
    """The error on every partition."""
    del context
    return WriteTxnMarkersResponse(
        markers=[_result(asked, lambda _: error.code) for asked in request.markers]
    )
