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
from datacore.broker.configs.described import topic_configs
from datacore.broker.topics import NewTopic
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.broker.quotas import MutationCharge


async def handle(
    broker: Broker, context: RequestContext, request: CreateTopicsRequest
) -> CreateTopicsResponse:
    """Makes each topic, or says why not."""
    response = CreateTopicsResponse()
    validate_only = request.validate_only and context.api_version >= 1
    charge = broker.quotas.mutations(context, is_strict=context.api_version >= 6)
    times_named = Counter(topic.name for topic in request.topics)
    asked = {topic.name: _new_topic(topic) for topic in request.topics}
    broker.topics.check_total(new for name, new in asked.items() if times_named[name] == 1)
    for name, new in asked.items():
        result = CreatableTopicResult(name=name, error_message=None)
        try:
            if times_named[name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            await _create(broker, new, result, charge, validate_only=validate_only)
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        response.topics.append(result)
    response.throttle_time_ms = charge.throttle_ms
    return response


def _new_topic(topic: CreatableTopic) -> NewTopic:
    return NewTopic(
        TopicName(topic.name),
        topic.num_partitions,
        topic.replication_factor,
        [(each.partition_index, each.broker_ids) for each in topic.assignments],
        {config.name: config.value for config in topic.configs if config.value is not None},
        [config.name for config in topic.configs if config.value is None],
    )


async def _create(
    broker: Broker,
    new: NewTopic,
    result: CreatableTopicResult,
    charge: MutationCharge,
    *,
    validate_only: bool,
) -> None:
    image = await broker.topics.create(new, validate_only=validate_only, charge=charge)
    # Of a topic that was only validated, too, as Kafka does: an id that nobody will have.
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
