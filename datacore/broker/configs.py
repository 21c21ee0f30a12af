"""Configs of topics, altered while the broker runs: durable first, then true for every log.

Rules:

- A resource changes as a whole or not at all. What it would then say is validated, committed to the
  cluster's metadata under its lock, and only then handed to the topic's logs, which obey it from
  the next append or the next pass of retention on.
- A broker's configs are read at its start and are read-only here; taking a change back that was
  never made is fine, as it is on Apache Kafka.

Kafka's counterparts: ``ConfigurationControlManager``, ``DynamicConfigPublisher``. KIP-339.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.records.config_record import ConfigRecord
from datacore.broker.topics import check_topic_name
from datacore.metadata.configs import (
    TOPIC_CONFIGS,
    ConfigType,
    InvalidConfig,
    check_topic_configs,
    topic_value,
)
from datacore.metadata.image import RESOURCE_BROKER, RESOURCE_TOPIC
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datacore.broker.cluster_metadata import ClusterMetadata
    from datacore.broker.partitions import Partitions
    from datacore.metadata.records import MetadataRecord


class ConfigOperation(IntEnum):
    """What happens to one config, as IncrementalAlterConfigs numbers it."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One change of one config, as a client asks for it."""

    name: str
    operation: int
    value: str | None


class Configs:
    """The configs that a client may alter."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        partitions: Partitions,
        broker_id: int,
        broker_values: Mapping[str, str],
    ) -> None:
        self._metadata = metadata
        self._partitions = partitions
        self._broker_id = broker_id
        self._broker_values = broker_values

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
        await self._change(
            resource_type,
            resource_name,
            {change.name for change in changes if change.operation != ConfigOperation.DELETE},
            lambda values: changed_values(values, changes, self._broker_values),
            validate_only=validate_only,
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
            resource_type,
            resource_name,
            {name for name, _ in values},
            lambda _: changed_values({}, changes, self._broker_values),
            validate_only=validate_only,
        )

    async def _change(
        self,
        resource_type: int,
        resource_name: str,
        names: set[str],
        change: Callable[[Mapping[str, str]], dict[str, str]],
        *,
        validate_only: bool,
    ) -> None:
        match resource_type:
            case _ if resource_type == RESOURCE_TOPIC:
                check_topic_name(resource_name)
                await self._change_topic(
                    TopicName(resource_name), change, validate_only=validate_only
                )
            case _ if resource_type == RESOURCE_BROKER:
                self._check_broker(resource_name, names)
            case _:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}"
                )

    async def _change_topic(
        self,
        name: TopicName,
        change: Callable[[Mapping[str, str]], dict[str, str]],
        *,
        validate_only: bool,
    ) -> None:
        image = self._metadata.image
        async with self._metadata.lock:
            if name not in image.topics:
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist."
                )
            before = image.configs.get((RESOURCE_TOPIC, name), {})
            after = change(before)
            try:
                check_topic_configs(after)
            except InvalidConfig as error:
                raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
            if validate_only or after == before:
                return
            await self._metadata.commit(_records(name, before, after))
            self._partitions.reconfigure(name, after)

    def _check_broker(self, resource_name: str, names: set[str]) -> None:
        if resource_name and not resource_name.isdecimal():
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {resource_name}"
            )
        if resource_name and int(resource_name) != self._broker_id:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected broker id, expected {self._broker_id}, but received {resource_name}",
            )
        if names:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Cannot update these configs dynamically: {', '.join(sorted(names))}",
            )


def check_changes(changes: Sequence[ConfigChange]) -> None:
    """Refuses what is no sentence, whatever it is about.

    Raises:
        KafkaError: A config is named twice, or an operation lacks its value or is not known.
    """
    if len({change.name for change in changes}) < len(changes):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    for change in changes:
        if change.operation not in ConfigOperation.__members__.values():
            # Apache Kafka's answer, too: it fails to find the operation.
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, None)
        if change.value is None and change.operation != ConfigOperation.DELETE:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Null value not supported for : {change.name}"
            )


def changed_values(
    values: Mapping[str, str], changes: Sequence[ConfigChange], broker_values: Mapping[str, str]
) -> dict[str, str]:
    """What a topic says after the changes; its names and values are not validated yet.

    A list that is not set on the topic is added to, or taken from, in its effective value.

    Raises:
        KafkaError: INVALID_CONFIG, where something is not a list.
    """
    changed = dict(values)
    for change in changes:
        text = (change.value or "").strip()
        match change.operation:
            case ConfigOperation.SET:
                changed[change.name] = text
            case ConfigOperation.DELETE:
                changed.pop(change.name, None)
            case _:
                items = _items(change, values, broker_values)
                given = [item.strip() for item in text.split(",") if item.strip()]
                if change.operation == ConfigOperation.APPEND:
                    items += [item for item in given if item not in items]
                else:
                    items = [item for item in items if item not in given]
                changed[change.name] = ",".join(items)
    return changed


def _items(
    change: ConfigChange, values: Mapping[str, str], broker_values: Mapping[str, str]
) -> list[str]:
    """The items of a list before a change."""
    key = TOPIC_CONFIGS.get(change.name)
    if key is None:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown topic config name: {change.name}")
    if key.type is not ConfigType.LIST:
        operation = ConfigOperation(change.operation).name
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {operation} to key {change.name} because its type is not LIST.",
        )
    effective = topic_value(change.name, values, broker_values)
    return [item.strip() for item in effective.split(",") if item.strip()]


def _records(
    name: TopicName, before: Mapping[str, str], after: Mapping[str, str]
) -> list[MetadataRecord]:
    """What leads from the values before to those after."""
    return [
        ConfigRecord(
            resource_type=RESOURCE_TOPIC, resource_name=name, name=key, value=after.get(key)
        )
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
