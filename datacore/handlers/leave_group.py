"""LeaveGroup (key 13). v3 takes several members (KIP-345), v5 their reasons (KIP-800)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.leave_group import LeaveGroupRequest, LeaveGroupResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending


def handle(
    broker: Broker, context: RequestContext, request: LeaveGroupRequest
) -> Pending[LeaveGroupResponse]:
    """Takes the members out; the others rebalance."""
    return broker.groups.leave(context, request)
