"""The value in effect of a config: the resource's own, the broker's, or the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.metadata.configs.broker import BROKER_CONFIGS
from datacore.metadata.configs.group import GROUP_CONFIGS
from datacore.metadata.configs.topic import TOPIC_CONFIGS

if TYPE_CHECKING:
    from collections.abc import Mapping


def topic_value(
    name: str, topic_values: Mapping[str, str], broker_values: Mapping[str, str]
) -> str:
    """The effective value of a topic config that has one."""
    key = TOPIC_CONFIGS[name]
    if name in topic_values:
        return topic_values[name]
    if key.synonym is not None:
        return broker_value(key.synonym, broker_values)
    assert key.default is not None
    return key.default


def group_value(
    name: str, group_values: Mapping[str, str], broker_values: Mapping[str, str]
) -> str:
    """The effective value of a group config."""
    key = GROUP_CONFIGS[name]
    if name in group_values:
        return group_values[name]
    if key.synonym is not None:
        return broker_value(key.synonym, broker_values)
    assert key.default is not None
    return key.default


def broker_value(name: str, broker_values: Mapping[str, str]) -> str:
    """The effective value of a broker config that has one."""
    if name in broker_values:
        return broker_values[name]
    key = BROKER_CONFIGS[name]
    for other, unit in key.otherwise:
        if other in broker_values:
            return _converted(broker_values[other], unit)
    value = key.default
    if value is None:
        other, unit = key.otherwise[-1]
        value = BROKER_CONFIGS[other].default
        assert value is not None
        return _converted(value, unit)
    return value


def broker_int(name: str, broker_values: Mapping[str, str]) -> int:
    """The effective value of a broker config that is a whole number."""
    return int(broker_value(name, broker_values))


def _converted(value: str, unit: int) -> str:
    """A number of a larger unit in the smaller one; what is negative means "never" in both."""
    number = int(value)
    return str(number * unit if number >= 0 else number)
