"""PushTelemetry (key 72, KIP-714)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.push_telemetry import PushTelemetryResponse

if TYPE_CHECKING:
    from datacore._generated.push_telemetry import PushTelemetryRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: PushTelemetryRequest
) -> PushTelemetryResponse:
    """Takes a client's metrics."""
    broker.client_telemetry.push(
        context,
        bytes(request.client_instance_id),
        request.subscription_id,
        request.compression_type,
        bytes(request.metrics),
        is_terminating=request.terminating,
    )
    return PushTelemetryResponse()
