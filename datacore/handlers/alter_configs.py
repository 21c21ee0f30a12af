"""AlterConfigs (key 33, KIP-133). v2 is flexible.

What is not named goes back to its default; KIP-339 has replaced this API for that reason.
A resource that is named twice is refused each time; Apache Kafka 4.1.1 leaves that unanswered.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.alter_configs import (
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.alter_configs import AlterConfigsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: AlterConfigsRequest
) -> AlterConfigsResponse:
    """Replaces what is set on each resource, or says why not."""
    del context
    response = AlterConfigsResponse()
    times_named = Counter(
        (resource.resource_type, resource.resource_name) for resource in request.resources
    )
    for resource in request.resources:
        result = AlterConfigsResourceResponse(
            error_message=None,
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
        )
        try:
            if times_named[resource.resource_type, resource.resource_name] > 1:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            await broker.configs.replace(
                resource.resource_type,
                resource.resource_name,
                [(config.name, config.value) for config in resource.configs],
                validate_only=request.validate_only,
            )
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        response.responses.append(result)
    return response


def error_response(
    context: RequestContext, request: AlterConfigsRequest, error: KafkaError
) -> AlterConfigsResponse:
    """The error on every resource."""
    del context
    return AlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(
                error_code=error.code,
                error_message=error.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )
