"""Configs as clients see them: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from datacore.metadata.configs import BROKER_CONFIGS, TOPIC_CONFIGS

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
    synonyms: tuple[Synonym, ...] = field(default=())

    @property
    def value(self) -> str | None:
        """The value in effect."""
        return self.synonyms[0].value

    @property
    def source(self) -> ConfigSource:
        """Where it comes from."""
        return self.synonyms[0].source


def effective_topic_configs(
    topic_values: Mapping[str, str], broker_values: Mapping[str, str]
) -> Iterator[DescribedConfig]:
    """Every topic config with its value for a topic."""
    for key in TOPIC_CONFIGS.values():
        synonyms = []
        if key.name in topic_values:
            synonyms.append(Synonym(key.name, topic_values[key.name], ConfigSource.TOPIC))
        if key.synonym is not None and key.synonym in broker_values:
            synonyms.append(
                Synonym(key.synonym, broker_values[key.synonym], ConfigSource.STATIC_BROKER)
            )
        synonyms.append(Synonym(key.synonym or key.name, key.default, ConfigSource.DEFAULT))
        yield DescribedConfig(key, tuple(synonyms))


def effective_broker_configs(broker_values: Mapping[str, str]) -> Iterator[DescribedConfig]:
    """Every broker config with its value."""
    for key in BROKER_CONFIGS.values():
        synonyms = [Synonym(key.name, key.default, ConfigSource.DEFAULT)]
        if key.name in broker_values:
            synonyms.insert(
                0, Synonym(key.name, broker_values[key.name], ConfigSource.STATIC_BROKER)
            )
        yield DescribedConfig(key, tuple(synonyms))
