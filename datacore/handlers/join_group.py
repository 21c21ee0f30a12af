"""JoinGroup (key 11).

v1      the rebalance timeout
v4      a new member is told its id and comes back with it (KIP-394)
v5      static members (KIP-345)
v6      flexible
v7      protocol type in the answer (KIP-559)
v8      the client's reason (KIP-800)
v9      a leader that need not assign (KIP-814)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.join_group import JoinGroupResponse

if TYPE_CHECKING:
    from datacore._generated.join_group import JoinGroupRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError
    from datacore.storage.pending import Pending

_PROTOCOL_NAME_NULLABLE_SINCE = 7


def handle(
    broker: Broker, context: RequestContext, request: JoinGroupRequest
) -> Pending[JoinGroupResponse]:
    """Enters the member into the group's next generation; answers when that one is complete."""
    return broker.groups.join(context, request)


def error_response(
    context: RequestContext, request: JoinGroupRequest, error: KafkaError
) -> JoinGroupResponse:
    """The error; the protocol's name is null where the version allows it."""
    is_nullable = context.api_version >= _PROTOCOL_NAME_NULLABLE_SINCE
    return JoinGroupResponse(
        error_code=error.code,
        member_id=request.member_id,
        protocol_name=None if is_nullable else "",
    )
