"""DescribeConfigs (key 32).

v0      says only whether a value is the default
v1      sources and synonyms (KIP-226)
v3      types and documentation (KIP-569)
v4      flexible

Topics and brokers from the beginning, levels of loggers since KIP-412, subscriptions to clients'
metrics since KIP-714, groups since KIP-848. A secret has no value in any answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.describe_configs import (
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.configs.described import (
    DescribedConfig,
    broker_configs,
    client_metrics_configs,
    cluster_default_configs,
    group_configs,
    logger_configs,
    topic_configs,
)
from datacore.broker.configs.effective import ConfigSource, parsed_node_id
from datacore.broker.topics import check_topic_name
from datacore.metadata.image import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
)
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

_SET: Final = frozenset({ConfigSource.TOPIC, ConfigSource.DYNAMIC_BROKER, ConfigSource.GROUP})
"""Sources of what somebody set for the resource itself."""


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
            result.configs = [
                _result(config, context, request)
                for config in described
                if not keys or config.name in keys
            ]
        response.results.append(result)
    return response


def _describe(broker: Broker, resource: DescribeConfigsResource) -> Iterable[DescribedConfig]:
    kind, name = resource.resource_type, resource.resource_name
    values = broker.metadata.image.configs.get((kind, name), {})
    match kind:
        case _ if kind == RESOURCE_TOPIC:
            check_topic_name(name)
            if TopicName(name) not in broker.topics.by_name:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return topic_configs(values, broker.broker_configs)
        case _ if kind == RESOURCE_BROKER:
            if name == "":
                return cluster_default_configs(broker.broker_configs)
            _check_broker_id(broker, name)
            return broker_configs(broker.broker_configs)
        case _ if kind == RESOURCE_BROKER_LOGGER:
            _check_broker_id(broker, name)
            return logger_configs()
        case _ if kind == RESOURCE_CLIENT_METRICS:
            _check_not_empty(name, "subscription")
            return client_metrics_configs(values)
        case _ if kind == RESOURCE_GROUP:
            _check_not_empty(name, "group")
            return group_configs(values, broker.broker_configs)
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {kind}")


def _check_broker_id(broker: Broker, name: str) -> None:
    if parsed_node_id(name) != broker.broker_id:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {broker.broker_id}, but received {name}",
        )


def _check_not_empty(name: str, what: str) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"A {what} must have a name")


def _result(
    config: DescribedConfig, context: RequestContext, request: DescribeConfigsRequest
) -> DescribeConfigsResourceResult:
    result = DescribeConfigsResourceResult(
        name=config.name,
        value=config.value,
        read_only=config.is_read_only,
        is_sensitive=config.is_sensitive,
        config_type=config.type,
        documentation=config.documentation if request.include_documentation else None,
    )
    if context.api_version == 0:
        result.is_default = config.source not in _SET
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
