"""ElectLeaders (key 43, KIP-183).

v1      the type of election (KIP-460), and an error for the whole of it
v2      flexible

Asked for all partitions, Kafka tells those whose leader changed or could not: none here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.elect_leaders import ElectLeadersRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

PREFERRED, UNCLEAN = 0, 1


def handle(
    broker: Broker, context: RequestContext, request: ElectLeadersRequest
) -> ElectLeadersResponse:
    """For each partition why its leader stays."""
    del context
    if request.topic_partitions == []:
        return ElectLeadersResponse()
    if request.election_type not in {PREFERRED, UNCLEAN}:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"There is no election type {request.election_type}."
        )
    response = ElectLeadersResponse()
    if request.topic_partitions is None:
        response.replica_election_results = [
            ReplicaElectionResult(topic=name) for name in broker.topics.by_name
        ]
        return response
    for topic in request.topic_partitions:
        result = ReplicaElectionResult(topic=topic.topic)
        for index in topic.partitions:
            partition = PartitionResult(partition_id=index, error_message=None)
            try:
                broker.replicas.elect(TopicName(topic.topic), index)
            except KafkaError as error:
                partition.error_code = error.code
                partition.error_message = error.message
            result.partition_result.append(partition)
        response.replica_election_results.append(result)
    return response


def error_response(
    context: RequestContext, request: ElectLeadersRequest, error: KafkaError
) -> ElectLeadersResponse:
    """The error, where the version has a place for it, and the error on every partition."""
    return ElectLeadersResponse(
        error_code=error.code if context.api_version >= 1 else ErrorCode.NONE,
        replica_election_results=[
            ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[
                    PartitionResult(
                        partition_id=index, error_code=error.code, error_message=error.message
                    )
                    for index in topic.partitions
                ],
            )
            for topic in request.topic_partitions or ()
        ],
    )
