"""Configs altered while the broker runs: durable first, then true for whatever obeys them.

Rules:

- A resource changes as a whole or not at all. What it would then say is validated, committed to the
  cluster's metadata under its lock, and only then obeyed: by the logs of a topic from the next
  append or the next pass of retention on, by all logs where a broker's config gives topics their
  default, by groups, clients' metrics and limits of connections from their next use on.
- Levels of loggers are the exception: the process keeps them, and a restart forgets them.
- What a resource says outlives it, if it is a group or a subscription: neither has to be there.

Kafka's counterparts: ``ConfigAdminManager``, ``ConfigurationControlManager``,
``DynamicConfigPublisher``. KIP-133, KIP-226, KIP-339, KIP-412, KIP-714, KIP-1142.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.records.config_record import ConfigRecord
from datacore.broker.configs.changes import (
    ConfigChange,
    ConfigOperation,
    changed_values,
    check_changes,
)
from datacore.broker.configs.effective import CLUSTER_ID_KEY, parsed_node_id
from datacore.broker.configs.logger_levels import check_levels, set_levels
from datacore.broker.topics import check_topic_name
from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    InvalidConfig,
    broker_value,
    check_topic_configs,
    group_value,
    topic_value,
)
from datacore.metadata.configs.rules import (
    ReadOnlyConfig,
    check_client_metrics_configs,
    check_dynamic_broker_configs,
    check_group_configs,
)
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
    from collections.abc import Iterator, Mapping, Sequence

    from datacore.broker.client_telemetry import ClientTelemetry
    from datacore.broker.cluster_metadata import ClusterMetadata
    from datacore.broker.configs.effective import BrokerConfigs
    from datacore.broker.partitions import Partitions
    from datacore.metadata.configs import ConfigKey
    from datacore.metadata.records import MetadataRecord

_KEYS: Mapping[int, Mapping[str, ConfigKey]] = {
    RESOURCE_TOPIC: TOPIC_CONFIGS,
    RESOURCE_BROKER: BROKER_CONFIGS,
    RESOURCE_CLIENT_METRICS: CLIENT_METRICS_CONFIGS,
    RESOURCE_GROUP: GROUP_CONFIGS,
}


class Configs:
    """The configs that a client may alter."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        partitions: Partitions,
        broker_id: int,
        broker_configs: BrokerConfigs,
        client_telemetry: ClientTelemetry,
    ) -> None:
        self._metadata = metadata
        self._partitions = partitions
        self._broker_id = broker_id
        self._broker_configs = broker_configs
        self._client_telemetry = client_telemetry

    async def alter(
        self,
        resource_type: int,
        resource_name: str,
        changes: Sequence[ConfigChange],
        *,
        validate_only: bool,
    ) -> None:
        """Makes changes to what a resource says, all or none (IncrementalAlterConfigs).

        Raises:
            KafkaError: Why it cannot be; nothing has changed.
        """
        check_changes(changes)
        if resource_type == RESOURCE_BROKER_LOGGER:
            self._check_node(resource_name)
            check_levels(changes, logging.root.manager)
            if not validate_only:
                set_levels(changes, logging.root.manager)
            return
        await self._change(
            resource_type, resource_name, changes, replaces=False, validate_only=validate_only
        )

    async def replace(
        self,
        resource_type: int,
        resource_name: str,
        values: Sequence[tuple[str, str | None]],
        *,
        validate_only: bool,
    ) -> None:
        """Makes these values all that is set on a resource (AlterConfigs).

        Raises:
            KafkaError: Why it cannot be; nothing has changed.
        """
        changes = [ConfigChange(name, ConfigOperation.SET, value) for name, value in values]
        check_changes(changes)
        await self._change(
            resource_type, resource_name, changes, replaces=True, validate_only=validate_only
        )

    async def _change(
        self,
        resource_type: int,
        resource_name: str,
        changes: Sequence[ConfigChange],
        *,
        replaces: bool,
        validate_only: bool,
    ) -> None:
        name = self._stored_name(resource_type, resource_name)
        image = self._metadata.image
        async with self._metadata.lock:
            before = dict(image.configs.get((resource_type, name), {}))
            before.pop(CLUSTER_ID_KEY, None)
            after = changed_values(
                {} if replaces else before,
                changes,
                _KEYS[resource_type],
                lambda config: self._default(resource_type, config),
            )
            # In Kafka's order: of two things that are wrong, this one is told.
            _check_name(resource_type, name)
            after = self._checked(resource_type, name, after)
            if resource_type == RESOURCE_TOPIC and TopicName(name) not in image.topics:
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist."
                )
            if validate_only or after == before:
                return
            await self._metadata.commit(_records(resource_type, name, before, after))
            self._obey(resource_type, name, after)

    def _stored_name(self, resource_type: int, name: str) -> str:
        """The resource's name in the metadata: that of this broker may be spelled 01.

        Raises:
            KafkaError: No resource is of that type, or it is another broker.
        """
        if resource_type not in _KEYS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")
        if resource_type == RESOURCE_BROKER and name:
            self._check_node(name)
            return str(self._broker_id)
        return name

    def _check_node(self, name: str) -> None:
        node_id = parsed_node_id(name)
        if node_id is None:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}"
            )
        if node_id != self._broker_id:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected broker id, expected {self._broker_id}, but received {name}",
            )

    def _default(self, resource_type: int, config: str) -> str:
        """What holds for a list that is not set on the resource."""
        values = self._broker_configs.values
        match resource_type:
            case _ if resource_type == RESOURCE_TOPIC:
                return topic_value(config, {}, values)
            case _ if resource_type == RESOURCE_BROKER:
                return broker_value(config, values)
            case _ if resource_type == RESOURCE_GROUP:
                return group_value(config, {}, values)
            case _:
                return ""

    def _checked(self, resource_type: int, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """The values in the one way to write them.

        Raises:
            KafkaError: They cannot be.
        """
        broker_values = self._broker_configs.values
        is_of_broker = resource_type == RESOURCE_BROKER
        try:
            if resource_type == RESOURCE_TOPIC:
                return check_topic_configs(values)
            if is_of_broker:
                return check_dynamic_broker_configs(values, broker_values, of_one_broker=name != "")
            if resource_type == RESOURCE_GROUP:
                return check_group_configs(values, broker_values)
            return check_client_metrics_configs(values)
        except ReadOnlyConfig as error:
            raise KafkaError(ErrorCode.INVALID_REQUEST, str(error)) from None
        except InvalidConfig as error:
            code = ErrorCode.INVALID_REQUEST if is_of_broker else ErrorCode.INVALID_CONFIG
            raise KafkaError(code, str(error)) from None

    def _obey(self, resource_type: int, name: str, values: Mapping[str, str]) -> None:
        if resource_type == RESOURCE_TOPIC:
            self._partitions.reconfigure(TopicName(name), values)
        elif resource_type == RESOURCE_CLIENT_METRICS:
            self._client_telemetry.refresh()
        elif resource_type == RESOURCE_BROKER:
            self._broker_configs.refresh()
            configs = self._metadata.image.configs
            for topic in self._metadata.image.topics:
                self._partitions.reconfigure(topic, configs.get((RESOURCE_TOPIC, topic), {}))

    def resources(self, resource_types: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Every resource of some types that has, or could have, configs (KIP-1142)."""
        configs = self._metadata.image.configs
        for resource_type in resource_types:
            if resource_type in (RESOURCE_BROKER, RESOURCE_BROKER_LOGGER):
                yield resource_type, str(self._broker_id)
            elif resource_type == RESOURCE_TOPIC:
                for topic in self._metadata.image.topics:
                    yield resource_type, topic
            else:
                for kind, name in configs:
                    if kind == resource_type:
                        yield resource_type, name


def _check_name(resource_type: int, name: str) -> None:
    """Refuses what cannot be the name of a resource.

    Raises:
        KafkaError: Why it cannot.
    """
    if not name and resource_type != RESOURCE_BROKER:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The resource has no name")
    if resource_type == RESOURCE_TOPIC:
        check_topic_name(name)


def _records(
    resource_type: int, name: str, before: Mapping[str, str], after: Mapping[str, str]
) -> list[MetadataRecord]:
    """What leads from the values before to those after."""
    return [
        ConfigRecord(
            resource_type=resource_type, resource_name=name, name=key, value=after.get(key)
        )
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
