"""ListConfigResources (key 74).

v0      subscriptions to clients' metrics only (KIP-1000: ListClientMetricsResources)
v1      every kind of resource, some or all of them (KIP-1142)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore._generated.list_config_resources import ConfigResource, ListConfigResourcesResponse
from datacore.metadata.image import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
)
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.list_config_resources import ListConfigResourcesRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

_KINDS: Final = (
    RESOURCE_GROUP,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
)


def handle(
    broker: Broker, context: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    """Lists the resources of the kinds that are asked for; none asked for is all."""
    kinds = set(request.resource_types or _KINDS)
    if context.api_version == 0:
        kinds = {RESOURCE_CLIENT_METRICS}
    if not kinds <= set(_KINDS):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    listed = broker.configs.resources([kind for kind in _KINDS if kind in kinds])
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind) for kind, name in listed
        ]
    )
