"""DescribeConfigs (key 32).

v0      says only whether a value is the default
v1      sources and synonyms (KIP-226)
v3      types and documentation (KIP-569)
v4      flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_configs import (
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.described_configs import (
    ConfigSource,
    DescribedConfig,
    effective_broker_configs,
    effective_topic_configs,
)
from datacore.broker.topics import check_topic_name
from datacore.metadata.image import RESOURCE_BROKER, RESOURCE_TOPIC
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore._generated.describe_configs import (
        DescribeConfigsRequest,
        DescribeConfigsResource,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: DescribeConfigsRequest
) -> DescribeConfigsResponse:
    """Describes each resource's configs, all or those asked for."""
    response = DescribeConfigsResponse()
    for resource in request.resources:
        result = DescribeConfigsResult(
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
            error_message="",
        )
        try:
            described = _describe(broker, resource)
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
        else:
            keys = resource.configuration_keys
            is_broker = resource.resource_type == RESOURCE_BROKER
            result.configs = [
                _result(config, context, request, is_broker=is_broker)
                for config in described
                if keys is None or config.key.name in keys
            ]
        response.results.append(result)
    return response


def _describe(broker: Broker, resource: DescribeConfigsResource) -> Iterable[DescribedConfig]:
    name = resource.resource_name
    if resource.resource_type == RESOURCE_TOPIC:
        check_topic_name(name)
        if TopicName(name) not in broker.topics.by_name:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        values = broker.metadata.image.configs.get((RESOURCE_TOPIC, name), {})
        return effective_topic_configs(values, broker.config_values)
    if resource.resource_type == RESOURCE_BROKER:
        if name == "":
            return ()  # no dynamic default of the cluster is set
        if name != str(broker.broker_id):
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected broker id, expected {broker.broker_id} or empty string, "
                f"but received {name}",
            )
        return effective_broker_configs(broker.config_values)
    raise KafkaError(
        ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.resource_type}"
    )


def _result(
    config: DescribedConfig,
    context: RequestContext,
    request: DescribeConfigsRequest,
    *,
    is_broker: bool,
) -> DescribeConfigsResourceResult:
    result = DescribeConfigsResourceResult(
        name=config.key.name,
        value=config.value,
        read_only=is_broker,
        config_type=config.key.type,
        documentation=None,
    )
    if context.api_version == 0:
        result.is_default = config.source is not ConfigSource.TOPIC
    else:
        result.config_source = config.source
    if request.include_synonyms:
        result.synonyms = [
            DescribeConfigsSynonym(name=synonym.name, value=synonym.value, source=synonym.source)
            for synonym in config.synonyms
        ]
    return result


def error_response(
    context: RequestContext, request: DescribeConfigsRequest, error: KafkaError
) -> DescribeConfigsResponse:
    """The error on every resource."""
    del context
    return DescribeConfigsResponse(
        results=[
            DescribeConfigsResult(
                error_code=error.code,
                error_message=error.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )
