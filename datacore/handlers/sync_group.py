"""SyncGroup (key 14). v3 knows static members (KIP-345), v5 the protocol (KIP-559)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.sync_group import SyncGroupRequest, SyncGroupResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending


def handle(
    broker: Broker, context: RequestContext, request: SyncGroupRequest
) -> Pending[SyncGroupResponse]:
    """Hands the member its assignment as soon as the leader has sent all of them."""
    return broker.groups.sync(context, request)
