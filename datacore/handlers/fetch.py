"""Fetch (key 1).

v0-v3   answers with message sets of magic 0 (v0-v1) and 1 (v2-v3)
v4      magic 2, isolation levels (KIP-98)
v7      fetch sessions (KIP-227)
v9      leader epochs (KIP-320)
v12     flexible; diverging epochs (KIP-595)
v13     topics by id (KIP-516)
v15     the replica's state as a tagged field (KIP-903)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchableTopicResponse, FetchResponse
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.fetch import FetchRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending

TOP_LEVEL_ERROR_SINCE = 7
TOPIC_IDS_SINCE = 13
REPLICA_STATE_SINCE = 15
_OF_SESSIONS = frozenset(
    {
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
    }
)


def handle(
    broker: Broker, context: RequestContext, request: FetchRequest
) -> FetchResponse | Pending[FetchResponse]:
    """Reads now, or when there is enough to read."""
    in_state = context.api_version >= REPLICA_STATE_SINCE
    replica_id = request.replica_state.replica_id if in_state else request.replica_id
    if replica_id >= 0:
        raise KafkaError(
            ErrorCode.NOT_LEADER_OR_FOLLOWER, f"Broker {replica_id} is no replica of this cluster."
        )
    return broker.fetching.fetch(context, request)


def error_response(
    context: RequestContext, request: FetchRequest, error: KafkaError
) -> FetchResponse:
    """The error on top, and on every partition until topics had ids; of a session on top alone."""
    is_told_on_top = context.api_version >= TOP_LEVEL_ERROR_SINCE
    if is_told_on_top and error.code in _OF_SESSIONS:
        return FetchResponse(error_code=error.code)
    if context.api_version >= TOPIC_IDS_SINCE:
        return FetchResponse(error_code=error.code, session_id=request.session_id)
    return FetchResponse(
        error_code=error.code if is_told_on_top else ErrorCode.NONE,
        session_id=request.session_id if is_told_on_top else 0,
        responses=[
            FetchableTopicResponse(
                topic=topic.topic,
                partitions=[
                    FetchedPartition(
                        partition_index=partition.partition,
                        error_code=error.code,
                        high_watermark=-1,
                        records=b"",
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )
