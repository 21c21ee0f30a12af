"""Changes of configs as clients ask for them, and what a resource would say after them.

KIP-133 (AlterConfigs), KIP-339 (IncrementalAlterConfigs).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore.metadata.configs import ConfigType
from datacore.metadata.configs.rules import CONFIG_VALUE_BYTES_MAX
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datacore.metadata.configs import ConfigKey


class ConfigOperation(IntEnum):
    """What happens to one config, as IncrementalAlterConfigs numbers it."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One change of one config."""

    name: str
    operation: int
    value: str | None


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
    values: Mapping[str, str],
    changes: Sequence[ConfigChange],
    keys: Mapping[str, ConfigKey],
    effective: Callable[[str], str],
) -> dict[str, str]:
    """What a resource says after the changes; its names and values are not validated yet.

    Args:
        values: What it says before.
        changes: In the order in which they are made.
        keys: The configs that there are.
        effective: The value in effect of a list that is not set on the resource: items are added
            to that, or taken from it.

    Raises:
        KafkaError: INVALID_CONFIG, where something is not a list, or too long.
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
                _check_list(change, keys)
                before = values.get(change.name)
                items = _items(effective(change.name) if before is None else before)
                given = _items(text)
                if change.operation == ConfigOperation.APPEND:
                    items += [item for item in given if item not in items]
                else:
                    items = [item for item in items if item not in given]
                changed[change.name] = ",".join(items)
        if len(changed.get(change.name, "").encode()) > CONFIG_VALUE_BYTES_MAX:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"The value of {change.name} has more than {CONFIG_VALUE_BYTES_MAX} bytes",
            )
    return changed


def _check_list(change: ConfigChange, keys: Mapping[str, ConfigKey]) -> None:
    key = keys.get(change.name)
    if key is None:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown config name: {change.name}")
    if key.type is not ConfigType.LIST:
        operation = ConfigOperation(change.operation).name
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {operation} to key {change.name} because its type is not LIST.",
        )


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
