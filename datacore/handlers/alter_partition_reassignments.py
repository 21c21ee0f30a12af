"""AlterPartitionReassignments (key 45, KIP-455): moves partitions to other brokers.

v1 may forbid that the number of replicas changes (KIP-860), which it never does here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.alter_partition_reassignments import (
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.alter_partition_reassignments import (
        AlterPartitionReassignmentsRequest,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    """For each partition whether it is where it shall be."""
    del context
    response = AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_message=None,
    )
    for topic in request.topics:
        result = ReassignableTopicResponse(name=topic.name)
        for asked in topic.partitions:
            partition = ReassignablePartitionResponse(
                partition_index=asked.partition_index, error_message=None
            )
            try:
                broker.replicas.reassign(
                    TopicName(topic.name), asked.partition_index, asked.replicas
                )
            except KafkaError as error:
                partition.error_code = error.code
                partition.error_message = error.message
            result.partitions.append(partition)
        response.responses.append(result)
    return response


def error_response(
    context: RequestContext, request: AlterPartitionReassignmentsRequest, error: KafkaError
) -> AlterPartitionReassignmentsResponse:
    """The error, and the error on every partition."""
    del context
    return AlterPartitionReassignmentsResponse(
        error_code=error.code,
        error_message=error.message,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[
                    ReassignablePartitionResponse(
                        partition_index=partition.partition_index,
                        error_code=error.code,
                        error_message=error.message,
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )
