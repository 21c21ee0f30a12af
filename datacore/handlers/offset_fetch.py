"""OffsetFetch (key 9).

v2      null topics mean all; an error for the whole group
v5      leader epochs (KIP-320)
v6      flexible
v7      only stable offsets, if asked (KIP-447)
v8      several groups at once (KIP-709)
v9      members of the consumer protocol (KIP-848)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
)

if TYPE_CHECKING:
    from datacore._generated.offset_fetch import OffsetFetchRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError

_GROUP_ERROR_SINCE = 2
_SEVERAL_GROUPS_SINCE = 8


async def handle(
    broker: Broker, context: RequestContext, request: OffsetFetchRequest
) -> OffsetFetchResponse:
    """The offsets that each group has committed; -1 where there is none."""
    return await broker.group_offsets.fetch(context, request)


def error_response(
    context: RequestContext, request: OffsetFetchRequest, error: KafkaError
) -> OffsetFetchResponse:
    """The error for each group, or for the one, or for each partition of v0 and v1."""
    version = context.api_version
    if version >= _SEVERAL_GROUPS_SINCE:
        return OffsetFetchResponse(
            groups=[
                OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
                for group in request.groups
            ]
        )
    if version >= _GROUP_ERROR_SINCE:
        return OffsetFetchResponse(error_code=error.code)
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=index,
                        committed_offset=-1,
                        metadata="",
                        error_code=error.code,
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ]
    )
