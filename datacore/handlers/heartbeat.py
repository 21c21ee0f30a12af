"""Heartbeat (key 12). v3 knows static members (KIP-345), v4 is flexible."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending


def handle(
    broker: Broker, context: RequestContext, request: HeartbeatRequest
) -> Pending[HeartbeatResponse]:
    """Keeps the member alive and tells it when its group rebalances."""
    return broker.groups.heartbeat(context, request)
