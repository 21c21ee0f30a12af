"""ConsumerGroupHeartbeat (key 68; KIP-848).

v1      members make their own ids (KIP-1082), subscriptions by regular expression
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.consumer_group_heartbeat import (
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.storage.pending import Pending


FEATURE: Final = "group.version"


def handle(
    broker: Broker, context: RequestContext, request: ConsumerGroupHeartbeatRequest
) -> Pending[ConsumerGroupHeartbeatResponse]:
    """Takes a member one step on in its group.

    Raises:
        KafkaError: UNSUPPORTED_VERSION: an operator has turned the protocol off.
    """
    if broker.features.level(FEATURE) < 1:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    return broker.groups.consumer_heartbeat(context, request)
