"""IncrementalAlterConfigs (key 44, KIP-339). v1 is flexible.

A resource that is named twice is refused each time, as Apache Kafka does it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
)
from datacore.broker.configs.changes import ConfigChange
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.incremental_alter_configs import IncrementalAlterConfigsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    """Alters each resource, or says why not."""
    del context
    response = IncrementalAlterConfigsResponse()
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
            await broker.configs.alter(
                resource.resource_type,
                resource.resource_name,
                [
                    ConfigChange(config.name, config.config_operation, config.value)
                    for config in resource.configs
                ],
                validate_only=request.validate_only,
            )
        except KafkaError as error:
            result.error_code = error.code
            result.error_message = error.message
        response.responses.append(result)
    return response


def error_response(
    context: RequestContext, request: IncrementalAlterConfigsRequest, error: KafkaError
) -> IncrementalAlterConfigsResponse:
    """The error on every resource."""
    del context
    return IncrementalAlterConfigsResponse(
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
