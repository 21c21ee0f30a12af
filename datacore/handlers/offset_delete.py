"""OffsetDelete (key 47, KIP-496): forgets offsets of topics that the group no longer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: OffsetDeleteRequest
) -> OffsetDeleteResponse:
    """Forgets the offsets, or says which are still in use."""
    return await broker.group_offsets.delete(context, request)
