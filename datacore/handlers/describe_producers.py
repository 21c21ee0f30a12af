"""DescribeProducers (key 61; KIP-664): who has written to a partition lately, and who still is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_producers import (
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from datacore.broker.topics import check_topic_name
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.describe_producers import DescribeProducersRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

_NO_SEQUENCE = -1


def handle(
    broker: Broker, context: RequestContext, request: DescribeProducersRequest
) -> DescribeProducersResponse:
    """The producers of each partition."""
    del context
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    _partition(broker, topic.name, index) for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _partition(broker: Broker, topic: str, index: int) -> PartitionResponse:
    try:
        check_topic_name(topic)
        log = broker.partitions.log(TopicName(topic), index)
    except KafkaError as error:
        return PartitionResponse(
            partition_index=index, error_code=error.code, error_message=error.message
        )
    return PartitionResponse(
        partition_index=index,
        error_message=None,
        active_producers=[
            ProducerState(
                producer_id=producer_id,
                producer_epoch=state.epoch,
                last_sequence=state.batches[-1].last_sequence if state.batches else _NO_SEQUENCE,
                last_timestamp=state.last_seen_ms,
                coordinator_epoch=state.coordinator_epoch,
                current_txn_start_offset=state.transaction_first_offset,
            )
            for producer_id, state in log.producers.by_id.items()
        ],
    )


def error_response(
    context: RequestContext, request: DescribeProducersRequest, error: KafkaError
) -> DescribeProducersResponse:
    """The error on every partition."""
    del context
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=error.code)
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )
