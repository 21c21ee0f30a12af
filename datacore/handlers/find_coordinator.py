"""FindCoordinator (key 10).

v1      key types: groups and transactions (KIP-98)
v3      flexible
v4      several keys at once (KIP-699)
v6      share partitions (KIP-932)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import Coordinator, FindCoordinatorResponse
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.find_coordinator import FindCoordinatorRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

GROUP = 0
TRANSACTION = 1
_SEVERAL_KEYS_SINCE = 4


async def handle(
    broker: Broker, context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    """Names this broker for every group and every transactional id."""
    several = context.api_version >= _SEVERAL_KEYS_SINCE
    keys = request.coordinator_keys if several else [request.key]
    endpoint = broker.endpoint_for(context.session)
    response = FindCoordinatorResponse()
    for key in keys:
        found = Coordinator(key=key, node_id=-1, host="", port=-1, error_message=None)
        try:
            await _check(broker, request.key_type)
        except KafkaError as error:
            found.error_code, found.error_message = error.code, error.message
        else:
            found.node_id, found.host, found.port = broker.broker_id, endpoint.host, endpoint.port
        if several:
            response.coordinators.append(found)
        else:
            response.error_code, response.error_message = found.error_code, found.error_message
            response.node_id, response.host, response.port = found.node_id, found.host, found.port
    return response


async def _check(broker: Broker, key_type: int) -> None:
    if key_type == GROUP:
        await broker.groups.shards.create_topic_if_missing()
    elif key_type == TRANSACTION:
        await broker.transactions.shards.create_topic_if_missing()
    else:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"This broker coordinates groups (key type {GROUP}) and transactions "
            f"({TRANSACTION}), not key type {key_type}.",
        )


def error_response(
    context: RequestContext, request: FindCoordinatorRequest, error: KafkaError
) -> FindCoordinatorResponse:
    """The error, for each key where there are several."""
    if context.api_version >= _SEVERAL_KEYS_SINCE:
        return FindCoordinatorResponse(
            coordinators=[
                Coordinator(
                    key=key,
                    node_id=-1,
                    port=-1,
                    error_code=error.code,
                    error_message=error.message,
                )
                for key in request.coordinator_keys
            ]
        )
    return FindCoordinatorResponse(
        error_code=error.code, error_message=error.message, node_id=-1, port=-1
    )
