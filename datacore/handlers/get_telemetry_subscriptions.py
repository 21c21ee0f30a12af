"""GetTelemetrySubscriptions (key 71, KIP-714)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.get_telemetry_subscriptions import GetTelemetrySubscriptionsResponse
from datacore.broker.client_telemetry import COMPRESSIONS

if TYPE_CHECKING:
    from datacore._generated.get_telemetry_subscriptions import GetTelemetrySubscriptionsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: GetTelemetrySubscriptionsRequest
) -> GetTelemetrySubscriptionsResponse:
    """Tells a client which metrics to push, and how often."""
    instance_id, subscription = broker.client_telemetry.subscribe(
        context, bytes(request.client_instance_id)
    )
    return GetTelemetrySubscriptionsResponse(
        client_instance_id=instance_id,
        subscription_id=subscription.subscription_id,
        accepted_compression_types=list(COMPRESSIONS),
        push_interval_ms=subscription.push_interval_ms,
        telemetry_max_bytes=broker.client_telemetry.pushed_bytes_max,
        delta_temporality=True,
        requested_metrics=list(subscription.metrics),
    )
