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
from datacore.broker.broker_configs import CLUSTER_ID_KEY
from datacore.broker.config_changes import (
    ConfigChange,
    ConfigOperation,
    changed_values,
    check_changes,
)
from datacore.broker.logger_levels import check_levels, set_levels
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

    from datacore.broker.broker_configs import BrokerConfigs
    from datacore.broker.cluster_metadata import ClusterMetadata
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
    ) -> None:
        self._metadata = metadata
        self._partitions = partitions
        self._broker_id = broker_id
        self._broker_configs = broker_configs

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
        name = self._checked_name(resource_type, resource_name)
        image = self._metadata.image
        async with self._metadata.lock:
            if resource_type == RESOURCE_TOPIC and TopicName(name) not in image.topics:
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist."
                )
            before = dict(image.configs.get((resource_type, name), {}))
            before.pop(CLUSTER_ID_KEY, None)
            after = changed_values(
                {} if replaces else before,
                changes,
                _KEYS[resource_type],
                lambda config: self._default(resource_type, config),
            )
            try:
                after = self._checked(resource_type, name, after)
            except ReadOnlyConfig as error:
                raise KafkaError(ErrorCode.INVALID_REQUEST, str(error)) from None
            except InvalidConfig as error:
                is_of_broker = resource_type == RESOURCE_BROKER
                code = ErrorCode.INVALID_REQUEST if is_of_broker else ErrorCode.INVALID_CONFIG
                raise KafkaError(code, str(error)) from None
            if validate_only or after == before:
                return
            await self._metadata.commit(_records(resource_type, name, before, after))
            self._obey(resource_type, name, after)

    def _checked_name(self, resource_type: int, name: str) -> str:
        """The resource's name as it is stored.

        Raises:
            KafkaError: No resource can be called so.
        """
        match resource_type:
            case _ if resource_type == RESOURCE_TOPIC:
                check_topic_name(name)
            case _ if resource_type == RESOURCE_BROKER:
                if name:
                    self._check_node(name)
                    return str(self._broker_id)
            case _ if resource_type == RESOURCE_CLIENT_METRICS:
                if not name:
                    raise KafkaError(ErrorCode.INVALID_REQUEST, "A subscription must have a name")
            case _ if resource_type == RESOURCE_GROUP:
                if not name:
                    raise KafkaError(
                        ErrorCode.INVALID_REQUEST, "There are no configs of all groups together"
                    )
            case _:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}"
                )
        return name

    def _check_node(self, name: str) -> None:
        digits = name[1:] if name[:1] in {"+", "-"} else name
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10):
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}"
            )
        if int(name) != self._broker_id:
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
        match resource_type:
            case _ if resource_type == RESOURCE_TOPIC:
                return check_topic_configs(values)
            case _ if resource_type == RESOURCE_BROKER:
                return check_dynamic_broker_configs(
                    values, self._broker_configs.values, of_one_broker=name != ""
                )
            case _ if resource_type == RESOURCE_GROUP:
                return check_group_configs(values, self._broker_configs.values)
            case _:
                return check_client_metrics_configs(values)

    def _obey(self, resource_type: int, name: str, values: Mapping[str, str]) -> None:
        if resource_type == RESOURCE_TOPIC:
            self._partitions.reconfigure(TopicName(name), values)
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
