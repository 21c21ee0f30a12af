"""ListGroups (key 16). v4 filters by state (KIP-518), v5 by type (KIP-848)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.list_groups import ListGroupsRequest, ListGroupsResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: ListGroupsRequest
) -> ListGroupsResponse:
    """Every group that this broker coordinates and the filters let through."""
    return await broker.groups.list_all(context, request)
