"""Kafka's configs that this broker knows: name, type, default, and the broker's synonym.

Facts are Apache Kafka 4.1's (``TopicConfig``, ``ServerConfigs``). A topic config that is not set
takes the broker's value of its synonym, and that its default. Every config here is validated,
stored and shown; those with ``takes_effect`` change what this broker does today.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigType(IntEnum):
    """Types as DescribeConfigs v3 numbers them."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7


class InvalidConfig(ValueError):
    """A config's name or value is not acceptable; the message says why."""


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One config."""

    name: str
    type: ConfigType
    default: str | None
    synonym: str | None = None
    """The broker config that gives a topic config its default."""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    takes_effect: bool = False

    def check(self, value: str) -> None:
        """Raises InvalidConfig where ``value`` is not of this config's type or range."""
        match self.type:
            case ConfigType.BOOLEAN:
                if value.lower() not in {"true", "false"}:
                    self._refuse(value, "Expected value to be either true or false")
            case ConfigType.INT | ConfigType.SHORT | ConfigType.LONG | ConfigType.DOUBLE:
                self._check_number(value)
            case ConfigType.LIST:
                items = [item.strip() for item in value.split(",")] if value else []
                if self.choices and not all(item in self.choices for item in items):
                    self._refuse(value, f"each item is one of {', '.join(self.choices)}")
            case ConfigType.STRING:
                if self.choices and value not in self.choices:
                    self._refuse(value, f"String must be one of: {', '.join(self.choices)}")

    def _check_number(self, value: str) -> None:
        try:
            number = float(value) if self.type is ConfigType.DOUBLE else int(value)
        except ValueError:
            self._refuse(value, f"Not a number of type {self.type.name}")
            return
        low, high = _NUMBER_RANGES[self.type]
        low = low if self.minimum is None else self.minimum
        high = high if self.maximum is None else self.maximum
        if number < low:
            self._refuse(value, f"Value must be at least {low:.15g}")
        if number > high:
            self._refuse(value, f"Value must be no more than {high:.15g}")

    def _refuse(self, value: str, reason: str) -> None:
        raise InvalidConfig(f"Invalid value {value} for configuration {self.name}: {reason}")


_NUMBER_RANGES: Final[Mapping[ConfigType, tuple[float, float]]] = {
    ConfigType.SHORT: (-(2**15), 2**15 - 1),
    ConfigType.INT: (-(2**31), 2**31 - 1),
    ConfigType.LONG: (-(2**63), 2**63 - 1),
    ConfigType.DOUBLE: (float("-inf"), float("inf")),
}

_B, _S, _I, _L, _D, _LIST = (
    ConfigType.BOOLEAN,
    ConfigType.STRING,
    ConfigType.INT,
    ConfigType.LONG,
    ConfigType.DOUBLE,
    ConfigType.LIST,
)
_LONG_MAX: Final = "9223372036854775807"
_CODECS: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

# One line a config, in the order in which they are shown.
# fmt: off
_TOPIC: Final = (
    ConfigKey("cleanup.policy", _LIST, "delete", "log.cleanup.policy",
              choices=("compact", "delete"), takes_effect=True),
    ConfigKey("compression.gzip.level", _I, "-1", "compression.gzip.level", -1, 9),
    ConfigKey("compression.lz4.level", _I, "9", "compression.lz4.level", 1, 17),
    ConfigKey("compression.type", _S, "producer", "compression.type", choices=_CODECS),
    ConfigKey("compression.zstd.level", _I, "3", "compression.zstd.level", -131072, 22),
    ConfigKey("delete.retention.ms", _L, "86400000", "log.cleaner.delete.retention.ms", 0),
    ConfigKey("file.delete.delay.ms", _L, "60000", "log.segment.delete.delay.ms", 0),
    ConfigKey("flush.messages", _L, _LONG_MAX, "log.flush.interval.messages", 1),
    ConfigKey("flush.ms", _L, _LONG_MAX, "log.flush.interval.ms", 0),
    ConfigKey("follower.replication.throttled.replicas", _LIST, ""),
    ConfigKey("index.interval.bytes", _I, "4096", "log.index.interval.bytes", 0),
    ConfigKey("leader.replication.throttled.replicas", _LIST, ""),
    ConfigKey("local.retention.bytes", _L, "-2", "log.local.retention.bytes", -2),
    ConfigKey("local.retention.ms", _L, "-2", "log.local.retention.ms", -2),
    ConfigKey("max.compaction.lag.ms", _L, _LONG_MAX, "log.cleaner.max.compaction.lag.ms", 1),
    ConfigKey("max.message.bytes", _I, "1048588", "message.max.bytes", 0, takes_effect=True),
    ConfigKey("message.timestamp.after.max.ms", _L, "3600000",
              "log.message.timestamp.after.max.ms", 0, takes_effect=True),
    ConfigKey("message.timestamp.before.max.ms", _L, _LONG_MAX,
              "log.message.timestamp.before.max.ms", 0, takes_effect=True),
    ConfigKey("message.timestamp.type", _S, "CreateTime", "log.message.timestamp.type",
              choices=("CreateTime", "LogAppendTime"), takes_effect=True),
    ConfigKey("min.cleanable.dirty.ratio", _D, "0.5", "log.cleaner.min.cleanable.ratio", 0, 1),
    ConfigKey("min.compaction.lag.ms", _L, "0", "log.cleaner.min.compaction.lag.ms", 0),
    ConfigKey("min.insync.replicas", _I, "1", "min.insync.replicas", 1),
    ConfigKey("preallocate", _B, "false", "log.preallocate"),
    ConfigKey("remote.log.copy.disable", _B, "false"),
    ConfigKey("remote.log.delete.on.disable", _B, "false"),
    ConfigKey("remote.storage.enable", _B, "false"),
    ConfigKey("retention.bytes", _L, "-1", "log.retention.bytes", takes_effect=True),
    ConfigKey("retention.ms", _L, "604800000", "log.retention.ms", -1, takes_effect=True),
    ConfigKey("segment.bytes", _I, "1073741824", "log.segment.bytes", 1048576, takes_effect=True),
    ConfigKey("segment.index.bytes", _I, "10485760", "log.index.size.max.bytes", 4),
    ConfigKey("segment.jitter.ms", _L, "0", "log.roll.jitter.ms", 0, takes_effect=True),
    ConfigKey("segment.ms", _L, "604800000", "log.roll.ms", 1, takes_effect=True),
    ConfigKey("unclean.leader.election.enable", _B, "false", "unclean.leader.election.enable"),
)

_BROKER_ONLY: Final = (
    ConfigKey("auto.create.topics.enable", _B, "true", takes_effect=True),
    ConfigKey("connections.max.idle.ms", _L, "600000", takes_effect=True),
    ConfigKey("default.replication.factor", _I, "1", minimum=1),
    ConfigKey("fetch.max.bytes", _I, "57671680", minimum=1024, takes_effect=True),
    ConfigKey("group.consumer.assignors", _LIST, "uniform,range", choices=("uniform", "range"),
              takes_effect=True),
    ConfigKey("group.consumer.heartbeat.interval.ms", _I, "5000", minimum=1, takes_effect=True),
    ConfigKey("group.consumer.max.heartbeat.interval.ms", _I, "15000", minimum=1,
              takes_effect=True),
    ConfigKey("group.consumer.max.session.timeout.ms", _I, "60000", minimum=1, takes_effect=True),
    ConfigKey("group.consumer.max.size", _I, "2147483647", minimum=1, takes_effect=True),
    ConfigKey("group.consumer.migration.policy", _S, "bidirectional", takes_effect=True,
              choices=("bidirectional", "upgrade", "downgrade", "disabled")),
    ConfigKey("group.consumer.min.heartbeat.interval.ms", _I, "5000", minimum=1,
              takes_effect=True),
    ConfigKey("group.consumer.min.session.timeout.ms", _I, "45000", minimum=1, takes_effect=True),
    ConfigKey("group.consumer.session.timeout.ms", _I, "45000", minimum=1, takes_effect=True),
    ConfigKey("group.initial.rebalance.delay.ms", _I, "0", minimum=0, takes_effect=True),
    ConfigKey("group.max.session.timeout.ms", _I, "1800000", takes_effect=True),
    ConfigKey("group.max.size", _I, "2147483647", minimum=1, takes_effect=True),
    ConfigKey("group.min.session.timeout.ms", _I, "6000", takes_effect=True),
    ConfigKey("log.retention.check.interval.ms", _L, "300000", minimum=1, takes_effect=True),
    ConfigKey("max.connections", _I, "2147483647", minimum=0, takes_effect=True),
    ConfigKey("max.connections.per.ip", _I, "2147483647", minimum=0, takes_effect=True),
    ConfigKey("max.incremental.fetch.session.cache.slots", _I, "1000", minimum=0,
              takes_effect=True),
    ConfigKey("num.partitions", _I, "1", minimum=1, takes_effect=True),
    ConfigKey("offset.metadata.max.bytes", _I, "4096", takes_effect=True),
    ConfigKey("offsets.retention.check.interval.ms", _L, "600000", minimum=1,
              takes_effect=True),
    ConfigKey("offsets.retention.minutes", _I, "10080", minimum=1, takes_effect=True),
    ConfigKey("offsets.topic.num.partitions", _I, "50", minimum=1, takes_effect=True),
    ConfigKey("offsets.topic.replication.factor", _S, "1"),
    ConfigKey("producer.id.expiration.ms", _I, "86400000", minimum=1),
    ConfigKey("queued.max.requests", _I, "500", minimum=1),
    ConfigKey("socket.request.max.bytes", _I, "104857600", minimum=1, takes_effect=True),
)
# fmt: on

TOPIC_CONFIGS: Final[Mapping[str, ConfigKey]] = {key.name: key for key in _TOPIC}

BROKER_CONFIGS: Final[Mapping[str, ConfigKey]] = {
    key.name: key
    for key in sorted(
        (
            *_BROKER_ONLY,
            *(
                ConfigKey(
                    key.synonym,
                    key.type,
                    key.default,
                    minimum=key.minimum,
                    maximum=key.maximum,
                    choices=key.choices,
                    takes_effect=key.takes_effect,
                )
                for key in _TOPIC
                if key.synonym is not None
            ),
        ),
        key=lambda key: key.name,
    )
}


def check_topic_configs(configs: Mapping[str, str]) -> None:
    """Validates what a topic is created or altered with.

    Raises:
        InvalidConfig: An unknown name or an impossible value.
    """
    for name, value in configs.items():
        key = TOPIC_CONFIGS.get(name)
        if key is None:
            raise InvalidConfig(f"Unknown topic config name: {name}")
        key.check(value)


def topic_value(
    name: str, topic_values: Mapping[str, str], broker_values: Mapping[str, str]
) -> str:
    """The effective value of a topic config that has one."""
    key = TOPIC_CONFIGS[name]
    if name in topic_values:
        return topic_values[name]
    if key.synonym is not None and key.synonym in broker_values:
        return broker_values[key.synonym]
    assert key.default is not None
    return key.default


def broker_value(name: str, broker_values: Mapping[str, str]) -> str:
    """The effective value of a broker config that has one."""
    value = broker_values.get(name, BROKER_CONFIGS[name].default)
    assert value is not None
    return value


def broker_int(name: str, broker_values: Mapping[str, str]) -> int:
    """The effective value of a broker config that is a whole number."""
    return int(broker_value(name, broker_values))
