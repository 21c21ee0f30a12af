"""OffsetCommit (key 8).

v0      knows no members (kept in ZooKeeper once; here as any other)
v1      members and generations, a timestamp for each partition
v2      one retention time for all, until v4
v6      leader epochs (KIP-320)
v7      static members (KIP-345)
v8      flexible
v9      members of the consumer protocol (KIP-848)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from datacore._generated.offset_commit import OffsetCommitRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: OffsetCommitRequest
) -> OffsetCommitResponse:
    """Remembers the offsets; answers when they are durable."""
    return await broker.group_offsets.commit(context, request)


def error_response(
    context: RequestContext, request: OffsetCommitRequest, error: KafkaError
) -> OffsetCommitResponse:
    """The error on every partition."""
    del context
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=error.code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
