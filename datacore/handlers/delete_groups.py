"""DeleteGroups (key 42). v2 is flexible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.delete_groups import DeletableGroupResult, DeleteGroupsResponse

if TYPE_CHECKING:
    from datacore._generated.delete_groups import DeleteGroupsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: DeleteGroupsRequest
) -> DeleteGroupsResponse:
    """Deletes groups without members, with their offsets."""
    return await broker.groups.delete(context, request)


def error_response(
    context: RequestContext, request: DeleteGroupsRequest, error: KafkaError
) -> DeleteGroupsResponse:
    """The error for each group."""
    del context
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=group_id, error_code=error.code)
            for group_id in request.groups_names
        ]
    )
