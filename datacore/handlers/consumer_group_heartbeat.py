"""ConsumerGroupHeartbeat (key 68; KIP-848).

v1      members make their own ids (KIP-1082), subscriptions by regular expression
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.consumer_group_heartbeat import (
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending


def handle(
    broker: Broker, context: RequestContext, request: ConsumerGroupHeartbeatRequest
) -> Pending[ConsumerGroupHeartbeatResponse]:
    """Takes a member one step on in its group.

    Raises:
        KafkaError: UNSUPPORTED_VERSION: an operator has turned the protocol off.
    """
    broker.check_consumer_protocol()
    return broker.groups.consumer_heartbeat(context, request)
