"""CreatePartitions (key 37). v2 is flexible, v3 may answer THROTTLING_QUOTA_EXCEEDED (KIP-599)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.create_partitions import (
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)
from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.create_partitions import CreatePartitionsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    """Widens each topic, or says why not."""
    response = CreatePartitionsResponse()
    charge = broker.quotas.mutations(context, is_strict=context.api_version >= 3)
    times_named = Counter(topic.name for topic in request.topics)
    answered: set[str] = set()
    for topic in request.topics:
        result = CreatePartitionsTopicResult(name=topic.name)
        try:
            if times_named[topic.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            assignments = (
                None
                if topic.assignments is None
                else [assignment.broker_ids for assignment in topic.assignments]
            )
            await broker.topics.create_partitions(
                TopicName(topic.name),
                topic.count,
                assignments,
                validate_only=request.validate_only,
                charge=charge,
            )
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        if topic.name not in answered:
            answered.add(topic.name)
            response.results.append(result)
    response.throttle_time_ms = charge.throttle_ms
    return response


def error_response(
    context: RequestContext, request: CreatePartitionsRequest, error: KafkaError
) -> CreatePartitionsResponse:
    """The error on every topic."""
    del context
    return CreatePartitionsResponse(
        results=[
            CreatePartitionsTopicResult(
                name=topic.name, error_code=error.code, error_message=error.message
            )
            for topic in request.topics
        ]
    )
