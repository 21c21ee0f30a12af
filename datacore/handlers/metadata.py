"""Metadata (key 3).

v0      an empty list of topics means all; from v1 on null does, and an empty list means none
v4      the client may forbid auto-creation (KIP-204)
v8      authorised operations (KIP-430)
v10     topic ids in the answer; v12 topics may be asked for by id (KIP-516)
v11     cluster operations moved to DescribeCluster (KIP-700)
v13     a top-level error (KIP-1102)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from datacore.broker.authorized_operations import (
    CLUSTER_OPERATIONS,
    NOT_ASKED,
    TOPIC_OPERATIONS,
)
from datacore.broker.topics import INTERNAL_TOPICS, NewTopic, check_topic_name
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from datacore._generated.metadata import MetadataRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.metadata.image import TopicImage
    from datacore.storage.pending import Pending

NO_TOPIC_ID = bytes(16)
TOPICS_BY_ID_SINCE = 12


def handle(
    broker: Broker, context: RequestContext, request: MetadataRequest
) -> MetadataResponse | Pending[MetadataResponse]:
    """Describes brokers and topics; makes missing topics first where both sides allow it."""
    if context.api_version < TOPICS_BY_ID_SINCE:
        for topic in request.topics or ():
            if topic.name is None or topic.topic_id != NO_TOPIC_ID:
                raise KafkaError(ErrorCode.INVALID_REQUEST)
    missing = _creatable(broker, context, request)
    if missing:
        return broker.eventually(_create_and_answer(broker, context, request, missing))
    return _answer(broker, context, request)


def _creatable(
    broker: Broker, context: RequestContext, request: MetadataRequest
) -> list[TopicName]:
    if not broker.auto_creates_topics or not request.topics:
        return []
    if context.api_version >= 4 and not request.allow_auto_topic_creation:
        return []
    missing = []
    for topic in request.topics:
        if topic.name is not None and topic.name not in broker.topics.by_name:
            try:
                check_topic_name(topic.name)
            except KafkaError:
                continue
            missing.append(TopicName(topic.name))
    return missing


async def _create_and_answer(
    broker: Broker, context: RequestContext, request: MetadataRequest, missing: list[TopicName]
) -> MetadataResponse:
    errors: dict[str, KafkaError] = {}
    for name in missing:
        try:
            if name in INTERNAL_TOPICS:
                await broker.groups.shards.create_topic_if_missing()
            else:
                await broker.create_topic_if_missing(NewTopic(name))
        except KafkaError as error:
            errors[name] = error
    response = _answer(broker, context, request)
    for topic in response.topics:
        if topic.name is not None and topic.name in errors:
            topic.error_code = errors[topic.name].code
    return response


def _answer(broker: Broker, context: RequestContext, request: MetadataRequest) -> MetadataResponse:
    endpoint = broker.endpoint_for(context.session)
    operations = TOPIC_OPERATIONS if request.include_topic_authorized_operations else NOT_ASKED
    asked = request.topics
    if asked is None or (context.api_version == 0 and not asked):
        topics = [_described(topic, operations) for topic in broker.topics.by_name.values()]
    else:
        # A topic that is asked for twice is told once.
        topics = [
            _by_name(broker, name or "", operations)
            if topic_id == NO_TOPIC_ID
            else _by_id(broker, topic_id, operations)
            for topic_id, name in dict.fromkeys((each.topic_id, each.name) for each in asked)
        ]
    return MetadataResponse(
        brokers=[
            MetadataResponseBroker(node_id=broker.broker_id, host=endpoint.host, port=endpoint.port)
        ],
        cluster_id=broker.cluster_id,
        controller_id=broker.broker_id,
        topics=topics,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def _by_id(broker: Broker, topic_id: bytes, operations: int) -> MetadataResponseTopic:
    topic = broker.topics.by_id.get(TopicId(topic_id))
    if topic is None:
        return MetadataResponseTopic(
            error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id
        )
    return _described(topic, operations)


def _by_name(broker: Broker, name: str, operations: int) -> MetadataResponseTopic:
    topic = broker.topics.by_name.get(TopicName(name))
    if topic is not None:
        return _described(topic, operations)
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        check_topic_name(name)
    except KafkaError as error:
        code = error.code
    return MetadataResponseTopic(error_code=code, name=name, topic_authorized_operations=operations)


def _described(topic: TopicImage, operations: int) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[
            MetadataResponsePartition(
                partition_index=partition.index,
                leader_id=partition.leader,
                leader_epoch=partition.leader_epoch,
                replica_nodes=partition.replicas,
                isr_nodes=partition.isr,
            )
            for partition in topic.partitions.values()
        ],
        topic_authorized_operations=operations,
    )


def error_response(
    context: RequestContext, request: MetadataRequest, error: KafkaError
) -> MetadataResponse:
    """The error on top from v13 on, on every topic asked for before."""
    no_name = None if context.api_version >= TOPICS_BY_ID_SINCE else ""
    return MetadataResponse(
        error_code=error.code,
        topics=[
            MetadataResponseTopic(
                error_code=error.code,
                name=no_name if topic.name is None else topic.name,
                topic_id=topic.topic_id,
            )
            for topic in request.topics or ()
        ],
    )
