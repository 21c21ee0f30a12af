"""OffsetForLeaderEpoch (key 23): where an epoch ended, so that readers notice truncation.

v1      the epoch itself in the answer (KIP-279)
v2      the client's own epoch is checked (KIP-320)
v3      the replica's id
v4      flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.offset_for_leader_epoch import (
        OffsetForLeaderEpochRequest,
        OffsetForLeaderPartition,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    """Looks up each partition's epoch."""
    del context
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    _end_of_epoch(broker, TopicName(topic.topic), partition)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _end_of_epoch(
    broker: Broker, topic: TopicName, partition: OffsetForLeaderPartition
) -> EpochEndOffset:
    result = EpochEndOffset(partition=partition.partition)
    try:
        log = broker.partitions.log(topic, partition.partition)
        log.check_leader_epoch(partition.current_leader_epoch)
    except KafkaError as error:
        result.error_code = error.code
        return result
    result.leader_epoch, result.end_offset = log.leader_epochs.end_offset_for(
        partition.leader_epoch, log.high_watermark
    )
    return result


def error_response(
    context: RequestContext, request: OffsetForLeaderEpochRequest, error: KafkaError
) -> OffsetForLeaderEpochResponse:
    """The error on every partition asked for."""
    del context
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    EpochEndOffset(partition=partition.partition, error_code=error.code)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
