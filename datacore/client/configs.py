"""Settings of topics, brokers, groups, client metrics and loggers: describe, alter, list.

Kafka's counterparts: ``Admin.describeConfigs``, ``incrementalAlterConfigs`` (KIP-339) and
``listConfigResources``.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from datacore._generated.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from datacore._generated.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import UnsupportedRequestError, check

_SYNONYMS_FROM: Final = 1
_DOCUMENTATION_FROM: Final = 3
_ALL_TYPES_FROM: Final = 1


class ResourceType(IntEnum):
    """What settings belong to."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


TOPIC_RESOURCE: Final = ResourceType.TOPIC
BROKER_RESOURCE: Final = ResourceType.BROKER

CLUSTER_DEFAULT: Final = ""
"""As a broker's name: all brokers of the cluster."""


class Operation(IntEnum):
    """What is done to a setting."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class Alteration(NamedTuple):
    """One change of one setting."""

    name: str
    operation: Operation
    value: str | None = None


def describe_configs(
    cluster: Cluster, resource_type: int, name: str, *, documentation: bool = False
) -> list[DescribeConfigsResourceResult]:
    """Every setting of a resource, by name.

    Args:
        cluster: Where it lives.
        resource_type: A ``ResourceType``.
        name: Its name, or a broker's id; ``CLUSTER_DEFAULT`` is all brokers.
        documentation: Whether to ask for texts, too; brokers before 2.6 have none.
    """

    def attempt() -> list[DescribeConfigsResourceResult]:
        connection = _broker_of(cluster, resource_type, name)
        version = connection.version(DescribeConfigsRequest)
        resource = DescribeConfigsResource(
            resource_type=resource_type, resource_name=name, configuration_keys=None
        )
        request = DescribeConfigsRequest(
            resources=[resource],
            include_synonyms=version >= _SYNONYMS_FROM,
            include_documentation=documentation and version >= _DOCUMENTATION_FROM,
        )
        (result,) = connection.send(request, DescribeConfigsResponse, version).results
        check(result.error_code, result.error_message)
        return sorted(result.configs, key=lambda config: config.name)

    return cluster.retrying(attempt)


def alter_configs(
    cluster: Cluster,
    resource_type: int,
    name: str,
    alterations: Sequence[Alteration],
    *,
    validate_only: bool = False,
) -> None:
    """Changes settings of a resource, all of them or none.

    Args:
        cluster: Where it lives.
        resource_type: A ``ResourceType``.
        name: Its name, or a broker's id; ``CLUSTER_DEFAULT`` is all brokers.
        alterations: What to change.
        validate_only: Change nothing, but raise what would stand in the way.
    """
    resource = AlterConfigsResource(
        resource_type=resource_type,
        resource_name=name,
        configs=[
            AlterableConfig(name=each.name, config_operation=each.operation, value=each.value)
            for each in alterations
        ],
    )

    def attempt() -> None:
        connection = _broker_of(cluster, resource_type, name)
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
        (result,) = connection.send(request, IncrementalAlterConfigsResponse).responses
        check(result.error_code, result.error_message)

    cluster.retrying(attempt)


def list_config_resources(
    cluster: Cluster, types: Sequence[int] = ()
) -> list[tuple[ResourceType, str]]:
    """What has settings, by type and name; before Kafka 4.1 client metrics only (KIP-1142).

    Raises:
        UnsupportedRequestError: Another type was asked for than the broker's release tells.
    """

    def attempt() -> list[tuple[ResourceType, str]]:
        connection = cluster.any_broker()
        version = connection.version(ListConfigResourcesRequest)
        if version < _ALL_TYPES_FROM and {*types} - {ResourceType.CLIENT_METRICS}:
            raise UnsupportedRequestError(
                f"the broker at {connection.address} lists client metrics only"
            )
        request = ListConfigResourcesRequest(
            resource_types=list(types) if version >= _ALL_TYPES_FROM else []
        )
        response = connection.send(request, ListConfigResourcesResponse, version)
        check(response.error_code)
        known = {*ResourceType}
        return sorted(
            (ResourceType(each.resource_type), each.resource_name)
            for each in response.config_resources
            if each.resource_type in known
        )

    return cluster.retrying(attempt)


def _broker_of(cluster: Cluster, resource_type: int, name: str) -> Connection:
    """Only a broker itself knows its own settings; any of them the others'."""
    is_one_broker = resource_type in {ResourceType.BROKER, ResourceType.BROKER_LOGGER}
    if is_one_broker and name != CLUSTER_DEFAULT:
        return cluster.broker(int(name))
    return cluster.any_broker()
