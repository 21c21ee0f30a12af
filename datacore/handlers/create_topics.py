"""CreateTopics (key 19).

v1      validate_only, error messages
v2      throttle time
v4      -1 for the broker's default partitions and replicas (KIP-464)
v5      flexible; the topic's configs in the answer (KIP-525)
v6      THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
v7      the topic's id in the answer (KIP-516)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.create_topics import (
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.described_configs import topic_configs
from datacore.broker.topics import NewTopic
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: CreateTopicsRequest
) -> CreateTopicsResponse:
    """Makes each topic, or says why not."""
    response = CreateTopicsResponse()
    validate_only = request.validate_only and context.api_version >= 1
    times_named = Counter(topic.name for topic in request.topics)
    answered: set[str] = set()
    for topic in request.topics:
        result = CreatableTopicResult(name=topic.name, error_message=None)
        try:
            if times_named[topic.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            await _create(broker, topic, result, validate_only=validate_only)
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        if topic.name not in answered:
            answered.add(topic.name)
            response.topics.append(result)
    return response


async def _create(
    broker: Broker, topic: CreatableTopic, result: CreatableTopicResult, *, validate_only: bool
) -> None:
    assignments = {a.partition_index: a.broker_ids for a in topic.assignments}
    if len(assignments) < len(topic.assignments):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "A partition is assigned more than once."
        )
    configs: dict[str, str] = {}
    for config in topic.configs:
        if config.value is None:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"Null value not supported for topic config: {config.name}",
            )
        configs[config.name] = config.value
    new = NewTopic(
        TopicName(topic.name), topic.num_partitions, topic.replication_factor, assignments, configs
    )
    image = await broker.topics.create(new, validate_only=validate_only)
    if not validate_only:
        result.topic_id = image.topic_id
    result.num_partitions = len(image.partitions)
    result.replication_factor = 1
    result.configs = [
        CreatableTopicConfigs(name=config.name, value=config.value, config_source=config.source)
        for config in topic_configs(new.configs, broker.broker_configs)
    ]


def error_response(
    context: RequestContext, request: CreateTopicsRequest, error: KafkaError
) -> CreateTopicsResponse:
    """The error on every topic."""
    del context
    return CreateTopicsResponse(
        topics=[
            CreatableTopicResult(
                name=topic.name, error_code=error.code, error_message=error.message
            )
            for topic in request.topics
        ]
    )
