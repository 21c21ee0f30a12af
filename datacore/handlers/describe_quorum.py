"""DescribeQuorum (key 55, KIP-595): the voters of the cluster's metadata.

v1      when each voter fetched last and was caught up (KIP-836)
v2      messages, directory ids, and where the voters are reached (KIP-853)

The log of the cluster's metadata is the only partition with a quorum, and asked for alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_quorum import (
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    Listener,
    Node,
    ReplicaState,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.quorum import METADATA_PARTITION, METADATA_TOPIC

if TYPE_CHECKING:
    from datacore._generated.describe_quorum import DescribeQuorumRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: DescribeQuorumRequest
) -> DescribeQuorumResponse:
    """The one voter, which leads."""
    asked = [
        (topic.topic_name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]
    if asked != [(METADATA_TOPIC, METADATA_PARTITION)] or len(request.topics) > 1:
        return _refused(request)
    state = broker.quorum.state()
    voter = ReplicaState(
        replica_id=state.leader_id,
        log_end_offset=state.log_end_offset,
        last_fetch_timestamp=state.now_ms,
        last_caught_up_timestamp=state.now_ms,
    )
    partition = DescribeQuorumResponsePartitionData(
        partition_index=METADATA_PARTITION,
        leader_id=state.leader_id,
        leader_epoch=state.leader_epoch,
        high_watermark=state.high_watermark,
        current_voters=[voter],
    )
    response = DescribeQuorumResponse(
        topics=[DescribeQuorumResponseTopicData(topic_name=METADATA_TOPIC, partitions=[partition])]
    )
    if context.api_version >= 2:
        session = context.session
        endpoint = broker.endpoint_for(session)
        listener = Listener(name=session.listener_name, host=endpoint.host, port=endpoint.port)
        response.nodes = [Node(node_id=state.leader_id, listeners=[listener])]
    return response


def _refused(request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """Partitions have no quorum, or are too many."""
    return DescribeQuorumResponse(
        topics=[
            DescribeQuorumResponseTopicData(
                topic_name=topic.topic_name,
                partitions=[
                    DescribeQuorumResponsePartitionData(
                        partition_index=partition.partition_index,
                        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        error_message="It is not the partition of the cluster's metadata alone.",
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
