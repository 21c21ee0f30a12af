"""DeleteTopics (key 20).

v1      throttle time
v3      TOPIC_DELETION_DISABLED (KIP-322)
v4      flexible
v5      error messages (KIP-599)
v6      topics by id (KIP-516)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.delete_topics import DeletableTopicResult, DeleteTopicsResponse
from datacore._generated.errors import ErrorCode
from datacore.metadata.configs import broker_value
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from datacore._generated.delete_topics import DeleteTopicsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.metadata.image import TopicImage

NO_TOPIC_ID = bytes(16)


async def handle(
    broker: Broker, context: RequestContext, request: DeleteTopicsRequest
) -> DeleteTopicsResponse:
    """Deletes each topic, or says why not."""
    if broker_value("delete.topic.enable", broker.config_values) == "false":
        knows_why = context.api_version >= 3
        raise KafkaError(
            ErrorCode.TOPIC_DELETION_DISABLED if knows_why else ErrorCode.INVALID_REQUEST
        )
    response = DeleteTopicsResponse()
    charge = broker.quotas.mutations(context, is_strict=context.api_version >= 5)
    for (name, topic_id), times_asked in _counted(_asked(context, request)):
        result = DeletableTopicResult(name=name, topic_id=topic_id)
        try:
            if times_asked > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name or id.")
            topic = _find(broker, name, topic_id)
            charge(len(topic.partitions))
            await broker.delete_topic(topic)
            result.name, result.topic_id = topic.name, topic.topic_id
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        response.responses.append(result)
    response.throttle_time_ms = charge.throttle_ms
    return response


def _asked(context: RequestContext, request: DeleteTopicsRequest) -> list[tuple[str | None, bytes]]:
    if context.api_version < 6:
        return [(name, NO_TOPIC_ID) for name in request.topic_names]
    return [(topic.name, topic.topic_id) for topic in request.topics]


def _counted(asked: list[tuple[str | None, bytes]]) -> list[tuple[tuple[str | None, bytes], int]]:
    """Each topic and how often it is asked for; what names none is answered each time."""
    named = Counter(each for each in asked if (each[0] is None) != (each[1] == NO_TOPIC_ID))
    return [*((each, 1) for each in asked if each not in named), *named.items()]


def _find(broker: Broker, name: str | None, topic_id: bytes) -> TopicImage:
    if name is not None and topic_id != NO_TOPIC_ID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "You may not specify both topic name and id.")
    if name is not None:
        topic = broker.topics.by_name.get(TopicName(name))
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic
    if topic_id == NO_TOPIC_ID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
    topic = broker.topics.by_id.get(TopicId(topic_id))
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
    return topic


def error_response(
    context: RequestContext, request: DeleteTopicsRequest, error: KafkaError
) -> DeleteTopicsResponse:
    """The error on every topic."""
    return DeleteTopicsResponse(
        responses=[
            DeletableTopicResult(
                name=name, topic_id=topic_id, error_code=error.code, error_message=error.message
            )
            for name, topic_id in _asked(context, request)
        ]
    )
