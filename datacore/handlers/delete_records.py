"""DeleteRecords (key 21, KIP-107). v2 is flexible.

The last offset counts where a partition is named more than once, as on Apache Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.topics import INTERNAL_TOPICS
from datacore.log.deletion import delete_records_before
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.delete_records import DeleteRecordsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

NO_LOW_WATERMARK = -1


async def handle(
    broker: Broker, context: RequestContext, request: DeleteRecordsRequest
) -> DeleteRecordsResponse:
    """Deletes what lies before each offset, or says why not."""
    del context
    response = DeleteRecordsResponse()
    for name, offsets in _asked(request).items():
        result = DeleteRecordsTopicResult(name=name)
        for index, offset in offsets.items():
            partition = DeleteRecordsPartitionResult(
                partition_index=index, low_watermark=NO_LOW_WATERMARK
            )
            try:
                log = broker.partitions.log(name, index)
                if name in INTERNAL_TOPICS:
                    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
                partition.low_watermark = await delete_records_before(log, offset)
            except KafkaError as error:
                partition.error_code = error.code
            result.partitions.append(partition)
        response.topics.append(result)
    return response


def _asked(request: DeleteRecordsRequest) -> dict[TopicName, dict[int, int]]:
    """Offsets by topic and partition."""
    asked: dict[TopicName, dict[int, int]] = {}
    for topic in request.topics:
        for partition in topic.partitions:
            offsets = asked.setdefault(TopicName(topic.name), {})
            offsets[partition.partition_index] = partition.offset
    return asked


def error_response(
    context: RequestContext, request: DeleteRecordsRequest, error: KafkaError
) -> DeleteRecordsResponse:
    """The error on every partition."""
    del context
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=name,
                partitions=[
                    DeleteRecordsPartitionResult(
                        partition_index=index,
                        low_watermark=NO_LOW_WATERMARK,
                        error_code=error.code,
                    )
                    for index in offsets
                ],
            )
            for name, offsets in _asked(request).items()
        ]
    )
