"""DescribeTopicPartitions (key 75, KIP-966): topics in order of name, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.describe_topic_partitions import (
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.authorized_operations import TOPIC_OPERATIONS
from datacore.broker.topics import INTERNAL_TOPICS, check_topic_name
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

# Request and response each have a cursor of the same shape.
from datacore._generated.describe_topic_partitions import (  # isort: skip
    DescribeTopicPartitionsResponseCursor,
)

if TYPE_CHECKING:
    from datacore._generated.describe_topic_partitions import DescribeTopicPartitionsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

PARTITIONS_PER_PAGE_MAX: Final = 2000
"""The default of Kafka's max.request.partition.size.limit."""


def handle(
    broker: Broker, context: RequestContext, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """One page of topics and partitions, from the cursor on."""
    del context
    # A page holds one partition at least, whatever was asked: readers get ahead.
    left = max(1, min(request.response_partition_limit, PARTITIONS_PER_PAGE_MAX))
    names = {topic.name for topic in request.topics}
    cursor = request.cursor
    if cursor is not None and cursor.partition_index < 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The cursor's partition is below 0.")
    if cursor is not None and names and cursor.topic_name not in names:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The cursor's topic was not asked for.")
    response = DescribeTopicPartitionsResponse()
    for name in sorted(names or broker.topics.by_name):
        if cursor is not None and name < cursor.topic_name:
            continue
        first = cursor.partition_index if cursor and name == cursor.topic_name else 0
        if left == 0:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(
                topic_name=name, partition_index=first
            )
            break
        result, after = _describe(broker, name, first, left)
        response.topics.append(result)
        left -= len(result.partitions)
        if after is not None:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(
                topic_name=name, partition_index=after
            )
            break
    return response


def _describe(
    broker: Broker, name: str, first: int, limit: int
) -> tuple[DescribeTopicPartitionsResponseTopic, int | None]:
    """A topic's partitions from ``first`` on, and where the next page starts, if there is one."""
    topic = broker.topics.by_name.get(TopicName(name))
    if topic is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        try:
            check_topic_name(name)
        except KafkaError as error:
            code = error.code
        unknown = DescribeTopicPartitionsResponseTopic(
            error_code=code, name=name, topic_authorized_operations=TOPIC_OPERATIONS
        )
        return unknown, None
    indexes = [index for index in sorted(topic.partitions) if index >= first]
    result = DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        topic_authorized_operations=TOPIC_OPERATIONS,
    )
    for index in indexes[:limit]:
        partition = topic.partitions[index]
        result.partitions.append(
            DescribeTopicPartitionsResponsePartition(
                partition_index=index,
                leader_id=partition.leader,
                leader_epoch=partition.leader_epoch,
                replica_nodes=partition.replicas,
                isr_nodes=partition.isr,
                # The Java client fails on null (KIP-966 allows it).
                eligible_leader_replicas=[],
                last_known_elr=[],
            )
        )
    return result, indexes[limit] if len(indexes) > limit else None


def error_response(
    context: RequestContext, request: DescribeTopicPartitionsRequest, error: KafkaError
) -> DescribeTopicPartitionsResponse:
    """The error on every topic asked for; an empty page otherwise."""
    del context
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error_code=error.code, name=topic.name)
            for topic in request.topics
        ]
    )
