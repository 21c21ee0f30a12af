"""DescribeCluster (key 60, KIP-700). v1 tells controllers (KIP-919), v2 fenced ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_cluster import DescribeClusterBroker, DescribeClusterResponse
from datacore._generated.errors import ErrorCode
from datacore.broker.authorized_operations import CLUSTER_OPERATIONS, NOT_ASKED
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.describe_cluster import DescribeClusterRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

BROKER_ENDPOINTS, CONTROLLER_ENDPOINTS = 1, 2


def handle(
    broker: Broker, context: RequestContext, request: DescribeClusterRequest
) -> DescribeClusterResponse:
    """The cluster's id, its controller and its brokers."""
    if request.endpoint_type not in {BROKER_ENDPOINTS, CONTROLLER_ENDPOINTS}:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            f"Unsupported endpoint type {request.endpoint_type}",
        )
    if request.endpoint_type == CONTROLLER_ENDPOINTS:
        raise KafkaError(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of "
            "type CONTROLLER",
        )
    endpoint = broker.endpoint_for(context.session)
    return DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.broker_id,
        brokers=[
            DescribeClusterBroker(
                broker_id=broker.broker_id, host=endpoint.host, port=endpoint.port
            )
        ],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )
