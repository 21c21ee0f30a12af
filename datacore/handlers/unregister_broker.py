"""UnregisterBroker (key 64, KIP-631): takes a broker that is gone off the cluster's list.

The only broker is never gone. Kafka lets it be unregistered all the same, and then has a cluster
without brokers; that is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.unregister_broker import (
        UnregisterBrokerRequest,
        UnregisterBrokerResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: UnregisterBrokerRequest
) -> UnregisterBrokerResponse:
    """Refuses: nobody else is registered, and the only broker stays."""
    del context
    if request.broker_id == broker.broker_id:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Broker {request.broker_id} is the only one of the cluster and runs.",
        )
    raise KafkaError(
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        f"There is no broker {request.broker_id}.",
    )
