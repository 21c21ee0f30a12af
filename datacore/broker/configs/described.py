"""Configs as clients see them: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datacore.broker.configs.effective import ConfigSource
from datacore.broker.configs.logger_levels import logger_levels
from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    Effect,
    Update,
    group_value,
    topic_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from datacore.broker.configs.effective import BrokerConfigs
    from datacore.metadata.configs import ConfigKey

TYPE_UNKNOWN: Final = 0

_NO_EFFECT: Final = {
    Effect.YES: "",
    Effect.NO: " This broker accepts it, and it changes nothing here.",
    Effect.REFUSED: " This broker takes no other value than the default.",
}


@dataclass(frozen=True, slots=True)
class Synonym:
    """One place that a value may come from, the first that has one wins."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class DescribedConfig:
    """One config of one resource.

    Attributes:
        name: Its name.
        value: The value in effect; None where there is none, or where it is a secret.
        source: Where the value comes from.
        synonyms: Where it may come from, the first wins; empty where nothing of that name is set.
        type: Its ``ConfigType``; 0 where nobody knows it.
        is_read_only: Whether it is not altered while the broker runs.
        is_sensitive: Whether it is a secret.
        documentation: What it says.
    """

    name: str
    value: str | None
    source: ConfigSource
    synonyms: tuple[Synonym, ...] = field(default=())
    type: int = TYPE_UNKNOWN
    is_read_only: bool = False
    is_sensitive: bool = False
    documentation: str | None = None


def topic_configs(
    topic_values: Mapping[str, str], configs: BrokerConfigs
) -> Iterator[DescribedConfig]:
    """Every config of a topic."""
    for key in TOPIC_CONFIGS.values():
        if key.is_internal:
            continue
        synonyms = []
        if key.name in topic_values:
            synonyms.append(Synonym(key.name, topic_values[key.name], ConfigSource.TOPIC))
        if key.synonym is not None:
            synonyms += _broker_synonyms(BROKER_CONFIGS[key.synonym], configs)
        value = topic_value(key.name, topic_values, configs.values)
        yield _described(key, value, synonyms)


def broker_configs(configs: BrokerConfigs) -> Iterator[DescribedConfig]:
    """Every config of this broker."""
    for key in BROKER_CONFIGS.values():
        synonyms = _broker_synonyms(key, configs)
        if not key.is_internal or key.name in configs.values:
            value = synonyms[0].value if synonyms else None
            is_read_only = key.update is Update.READ_ONLY
            yield _described(key, value, synonyms, is_read_only=is_read_only)
    for source, values in configs.layers()[:2]:
        for name in sorted(values.keys() - BROKER_CONFIGS.keys()):
            yield _secret(name, source)


def cluster_default_configs(configs: BrokerConfigs) -> Iterator[DescribedConfig]:
    """What was altered for all brokers of the cluster."""
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER
    for name, value in sorted(configs.dynamic("").items()):
        key = BROKER_CONFIGS.get(name)
        yield (
            _secret(name, source)
            if key is None
            else _described(key, value, [Synonym(name, value, source)])
        )


def group_configs(
    group_values: Mapping[str, str], configs: BrokerConfigs
) -> Iterator[DescribedConfig]:
    """Every config of a group."""
    for key in GROUP_CONFIGS.values():
        value = group_value(key.name, group_values, configs.values)
        default = group_value(key.name, {}, configs.values)
        synonyms = [Synonym(key.name, default, ConfigSource.DEFAULT)]
        if key.name in group_values:
            synonyms = [Synonym(key.name, value, ConfigSource.GROUP)]
        yield _described(key, value, synonyms)


def client_metrics_configs(values: Mapping[str, str]) -> Iterator[DescribedConfig]:
    """Every config of a subscription to clients' metrics, whether or not there is such one."""
    for key in CLIENT_METRICS_CONFIGS.values():
        synonyms = []
        if key.name in values:
            synonyms.append(Synonym(key.name, values[key.name], ConfigSource.CLIENT_METRICS))
        yield _described(key, values.get(key.name, key.default), synonyms)


def logger_configs() -> Iterator[DescribedConfig]:
    """The level of every logger of this process that is the broker's, and of the root."""
    for name, level in logger_levels(logging.root.manager):
        yield DescribedConfig(name, level, ConfigSource.DYNAMIC_BROKER_LOGGER)


def _described(
    key: ConfigKey,
    value: str | None,
    synonyms: Sequence[Synonym],
    *,
    is_read_only: bool = False,
) -> DescribedConfig:
    if key.is_sensitive:
        value = None
        synonyms = [Synonym(each.name, None, each.source) for each in synonyms]
    return DescribedConfig(
        key.name,
        value,
        synonyms[0].source if synonyms else ConfigSource.DEFAULT,
        tuple(synonyms),
        key.type,
        is_read_only,
        key.is_sensitive,
        key.about + _NO_EFFECT[key.effect],
    )


def _secret(name: str, source: ConfigSource) -> DescribedConfig:
    """A config that nobody knows: its value may be a secret, so it is one."""
    synonyms = (Synonym(name, None, source),)
    return DescribedConfig(name, None, source, synonyms, is_read_only=True, is_sensitive=True)


def _broker_synonyms(key: ConfigKey, configs: BrokerConfigs) -> list[Synonym]:
    """Where a broker's value may come from, from the first of the config's own name on."""
    names = (key.name, *(name for name, _ in key.otherwise))
    found = [
        Synonym(name, values[name], source)
        for source, values in configs.layers()
        for name in names
        if name in values
    ]
    for name in names:
        default = BROKER_CONFIGS[name].default
        if default is not None:
            found.append(Synonym(name, default, ConfigSource.DEFAULT))
    while found and found[0].name != key.name:
        del found[0]
    return found
