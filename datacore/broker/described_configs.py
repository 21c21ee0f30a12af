"""Configs as clients see them: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from datacore.metadata.configs import BROKER_CONFIGS, TOPIC_CONFIGS, topic_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datacore.metadata.configs import ConfigKey


class ConfigSource(IntEnum):
    """Where a value comes from, as DescribeConfigs v1 numbers it (KIP-226)."""

    TOPIC = 1
    STATIC_BROKER = 4
    DEFAULT = 5


@dataclass(frozen=True, slots=True)
class Synonym:
    """One place that a value may come from, the first that has one wins."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class DescribedConfig:
    """One config of one resource."""

    key: ConfigKey
    value: str | None
    """The value in effect."""
    synonyms: tuple[Synonym, ...] = field(default=())
    """Where it may come from, the first wins; empty where nothing of that name is set."""

    @property
    def source(self) -> ConfigSource:
        """Where the value comes from."""
        return self.synonyms[0].source if self.synonyms else ConfigSource.DEFAULT


def effective_topic_configs(
    topic_values: Mapping[str, str], broker_values: Mapping[str, str]
) -> Iterator[DescribedConfig]:
    """Every topic config with its value for a topic."""
    for key in TOPIC_CONFIGS.values():
        if key.is_internal:
            continue
        synonyms = []
        if key.name in topic_values:
            synonyms.append(Synonym(key.name, topic_values[key.name], ConfigSource.TOPIC))
        if key.synonym is not None:
            synonyms += _broker_synonyms(BROKER_CONFIGS[key.synonym], broker_values)
        yield DescribedConfig(
            key, topic_value(key.name, topic_values, broker_values), tuple(synonyms)
        )


def effective_broker_configs(broker_values: Mapping[str, str]) -> Iterator[DescribedConfig]:
    """Every broker config with its value."""
    for key in BROKER_CONFIGS.values():
        if not key.is_internal:
            synonyms = tuple(_broker_synonyms(key, broker_values))
            yield DescribedConfig(key, synonyms[0].value if synonyms else None, synonyms)


def _broker_synonyms(key: ConfigKey, broker_values: Mapping[str, str]) -> Iterator[Synonym]:
    if key.name in broker_values:
        yield Synonym(key.name, broker_values[key.name], ConfigSource.STATIC_BROKER)
    if key.default is not None:
        yield Synonym(key.name, key.default, ConfigSource.DEFAULT)
