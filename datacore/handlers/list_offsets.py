"""ListOffsets (key 2).

v0      answers with a list of offsets, for brokers before KIP-79
v1      one offset and its timestamp, by time exactly (KIP-79)
v2      isolation levels (KIP-98)
v4      leader epochs (KIP-320)
v7      the record with the largest timestamp (KIP-734)
v8      the earliest local offset (KIP-405); v9 the latest tiered one (KIP-1005)
v10     the client's time limit for tiered lookups (KIP-1075)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from datacore.log.lookup import (
    TimestampedOffset,
    offset_for_timestamp,
    offset_of_max_timestamp,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.isolation_level import (
    ISOLATION_LEVELS,
    READ_COMMITTED,
    unknown_isolation_level,
)
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.list_offsets import ListOffsetsPartition, ListOffsetsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.log.partition_log import PartitionLog

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5

_SINCE_VERSION = {
    LATEST: 0,
    EARLIEST: 0,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
}
_NEVER = 99
ONCE_EACH_SINCE = 1
_NOTHING = TimestampedOffset(-1, -1)


async def handle(
    broker: Broker, context: RequestContext, request: ListOffsetsRequest
) -> ListOffsetsResponse:
    """Looks up one offset for each partition."""
    if request.isolation_level not in ISOLATION_LEVELS:
        raise unknown_isolation_level(request.isolation_level)
    if context.api_version < ONCE_EACH_SINCE:
        return await _look_up_each(broker, context, request)
    times_named = Counter(
        (topic.name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    )
    by_topic: dict[str, ListOffsetsTopicResponse] = {}
    for topic in request.topics:
        for partition in topic.partitions:
            times = times_named.pop((topic.name, partition.partition_index), 0)
            if times == 0:
                continue  # it is answered
            told = by_topic.setdefault(topic.name, ListOffsetsTopicResponse(name=topic.name))
            if times > 1:
                result = ListOffsetsPartitionResponse(
                    partition_index=partition.partition_index, error_code=ErrorCode.INVALID_REQUEST
                )
            else:
                result = await _look_up(broker, context, request, TopicName(topic.name), partition)
            told.partitions.append(result)
    return ListOffsetsResponse(topics=list(by_topic.values()))


async def _look_up_each(
    broker: Broker, context: RequestContext, request: ListOffsetsRequest
) -> ListOffsetsResponse:
    """What v0 is answered: as it asks, also of what it names twice or without partitions."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    await _look_up(broker, context, request, TopicName(topic.name), partition)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


async def _look_up(
    broker: Broker,
    context: RequestContext,
    request: ListOffsetsRequest,
    topic: TopicName,
    partition: ListOffsetsPartition,
) -> ListOffsetsPartitionResponse:
    result = ListOffsetsPartitionResponse(partition_index=partition.partition_index)
    version = context.api_version
    if partition.timestamp < 0 and version < _SINCE_VERSION.get(partition.timestamp, _NEVER):
        result.error_code = ErrorCode.UNSUPPORTED_VERSION
        return result
    try:
        log = broker.partitions.log(topic, partition.partition_index)
        log.check_leader_epoch(partition.current_leader_epoch)
        end_offset = (
            log.last_stable_offset
            if request.isolation_level == READ_COMMITTED
            else log.high_watermark
        )
        found = await _find(log, partition.timestamp, end_offset)
    except KafkaError as error:
        result.error_code = error.code
        return result
    if version == 0:
        result.old_style_offsets = _old_style(log, partition, found)
        return result
    result.offset, result.timestamp = found.offset, found.timestamp_ms
    if found.offset >= 0 and version >= 4:  # KIP-320
        result.leader_epoch = log.leader_epochs.epoch_of(found.offset)
    return result


async def _find(log: PartitionLog, timestamp: int, end_offset: int) -> TimestampedOffset:
    match timestamp:
        case -1:
            return TimestampedOffset(end_offset, -1)
        case -2 | -4:
            return TimestampedOffset(log.log_start_offset, -1)
        case -3:
            return await offset_of_max_timestamp(log) or _NOTHING
        case -5:
            return _NOTHING
        case _:
            found = await offset_for_timestamp(log, timestamp)
            return found if found is not None and found.offset < end_offset else _NOTHING


def _old_style(
    log: PartitionLog, partition: ListOffsetsPartition, found: TimestampedOffset
) -> list[int]:
    """v0 wants offsets in falling order, at most so many: the one found and what lies before."""
    offsets = [found.offset] if found.offset >= 0 else []
    if log.log_start_offset not in offsets:
        offsets.append(log.log_start_offset)
    return offsets[: max(partition.max_num_offsets, 0)]


def error_response(
    context: RequestContext, request: ListOffsetsRequest, error: KafkaError
) -> ListOffsetsResponse:
    """The error on every partition asked for."""
    del context
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    ListOffsetsPartitionResponse(
                        partition_index=partition.partition_index, error_code=error.code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
