"""What the configs of one resource must be, each by itself and all together.

Each ``check_...`` takes all that a resource would say and returns it in the one way to write it.
Kafka's counterparts: ``LogConfig.validate``, ``GroupConfig.validate``,
``ClientMetricsConfigs.validate``, ``DynamicBrokerConfig.validate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.metadata.configs.broker import BROKER_CONFIGS
from datacore.metadata.configs.client_metrics import CLIENT_METRICS_CONFIGS
from datacore.metadata.configs.group import GROUP_CONFIGS
from datacore.metadata.configs.key import InvalidConfig, Update
from datacore.metadata.configs.topic import TOPIC_CONFIGS
from datacore.metadata.configs.values import broker_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datacore.metadata.configs.key import ConfigKey

CONFIG_VALUE_BYTES_MAX: Final = 32_767
"""What a record of the metadata log has room for; Kafka's limit, too."""

CLIENT_MATCHES: Final = frozenset(
    {
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)
"""What a subscription to clients' metrics may choose clients by."""

_PROGRAM_BYTES_MAX: Final = 1 << 20
"""That one pattern may take, compiled."""

PUSH_INTERVAL_MS_MIN: Final = 100
PUSH_INTERVAL_MS_MAX: Final = 3_600_000

_NOT_WHILE_RUNNING: Final = frozenset({"listeners", "listener.security.protocol.map"})
"""That Kafka changes while it runs and this broker does not."""

_AS_RETENTION: Final = -2
"""A local retention that says the same as the other."""

_FIXED_PREFIXES: Final = ("listener.name.", "datacore.")
"""Configs of single listeners, which there are none of, and what the broker notes for itself."""

_THREADS: Final = frozenset(
    {
        "num.io.threads",
        "num.network.threads",
        "num.replica.fetchers",
        "num.recovery.threads.per.data.dir",
        "background.threads",
        "log.cleaner.threads",
        "remote.log.manager.copier.thread.pool.size",
        "remote.log.manager.expiration.thread.pool.size",
        "remote.log.reader.threads",
    }
)
"""Counts that Kafka lets change by half or double at a time."""


class ReadOnlyConfig(InvalidConfig):
    """The config cannot be altered while the broker runs, or not so."""


def check_topic_configs(configs: Mapping[str, str]) -> dict[str, str]:
    """What a topic is created or altered with.

    Raises:
        InvalidConfig: An unknown name, an impossible value, or two that contradict each other.
    """
    checked = _checked(configs, TOPIC_CONFIGS, "topic")
    low = checked.get("min.compaction.lag.ms", TOPIC_CONFIGS["min.compaction.lag.ms"].default)
    high = checked.get("max.compaction.lag.ms", TOPIC_CONFIGS["max.compaction.lag.ms"].default)
    if int(low or 0) > int(high or 0):
        raise InvalidConfig(f"min.compaction.lag.ms={low} is above max.compaction.lag.ms={high}")
    return checked


def check_group_configs(
    configs: Mapping[str, str], broker_values: Mapping[str, str]
) -> dict[str, str]:
    """What a group is altered with; the broker's configs set bounds to it.

    Raises:
        InvalidConfig: An unknown name, or a value that is impossible or out of the bounds.
    """
    checked = _checked(configs, GROUP_CONFIGS, "group")
    for name, value in checked.items():
        kind, _, rest = name.partition(".")
        for word, is_beyond in (("min", int.__lt__), ("max", int.__gt__)):
            bound = f"group.{kind}.{word}.{rest.removeprefix('num.')}"
            key = BROKER_CONFIGS.get(bound)
            if key is not None:
                limit = broker_values.get(bound, key.default)
                assert limit is not None
                if is_beyond(int(value), int(limit)):
                    raise InvalidConfig(f"{name}={value} is beyond {bound}={limit}")
    session = checked.get("consumer.session.timeout.ms")
    heartbeat = checked.get("consumer.heartbeat.interval.ms")
    if session is not None and heartbeat is not None and int(heartbeat) >= int(session):
        raise InvalidConfig(f"heartbeats every {heartbeat} ms keep no session of {session} ms")
    return checked


def check_client_metrics_configs(configs: Mapping[str, str]) -> dict[str, str]:
    """What a subscription to clients' metrics is altered with.

    Raises:
        InvalidConfig: An impossible value or pattern.
        ReadOnlyConfig: An unknown name, or an interval out of bounds, where Kafka's code differs.
    """
    for name in configs:
        if name not in CLIENT_METRICS_CONFIGS:
            raise ReadOnlyConfig(f"Unknown client metrics configuration: {name}")
    checked = _checked(configs, CLIENT_METRICS_CONFIGS, "client metrics")
    interval_ms = int(checked.get("interval.ms", PUSH_INTERVAL_MS_MAX))
    if not PUSH_INTERVAL_MS_MIN <= interval_ms <= PUSH_INTERVAL_MS_MAX:
        raise ReadOnlyConfig(
            f"Invalid value {interval_ms} for interval.ms: it must lie between "
            f"{PUSH_INTERVAL_MS_MIN} and {PUSH_INTERVAL_MS_MAX}"
        )
    client_patterns(checked.get("match", ""))
    return checked


def client_patterns(match: str) -> dict[str, Callable[[str], object]]:
    """What chooses clients: by what it is about, a match of a whole text; a later one wins.

    Raises:
        InvalidConfig: One is no pattern.
    """
    if not match:
        return {}
    # Loaded with the first pattern. Whoever may alter configs must not be able to hold up the
    # event loop with one: RE2 takes linear time.
    import re2  # noqa: PLC0415

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PROGRAM_BYTES_MAX
    patterns: dict[str, Callable[[str], object]] = {}
    for item in (item.strip() for item in match.split(",")):
        name, *texts = (part.strip() for part in item.split("="))
        if name not in CLIENT_MATCHES or len(texts) != 1:
            raise InvalidConfig(f"Illegal client matching pattern: {item}")
        try:
            patterns[name] = re2.compile(texts[0], options).fullmatch
        except re2.error:
            raise InvalidConfig(f"Illegal client matching pattern: {item}") from None
    return patterns


def check_dynamic_broker_configs(
    configs: Mapping[str, str], before: Mapping[str, str], *, of_one_broker: bool
) -> dict[str, str]:
    """What a broker, or all of them, are altered with while they run.

    A name that Kafka does not know is taken, as Kafka does it for its plug-ins, and its value is a
    secret from then on.

    Args:
        configs: All that is altered and kept.
        before: The values in effect.
        of_one_broker: Whether it is about one broker, and not about all.

    Raises:
        InvalidConfig: A value is impossible.
        ReadOnlyConfig: A config is read-only, or is altered for one broker only.
    """
    fixed = sorted(
        name
        for name in configs
        if name in _NOT_WHILE_RUNNING
        or name.startswith(_FIXED_PREFIXES)
        or ((key := BROKER_CONFIGS.get(name)) is not None and key.update is Update.READ_ONLY)
    )
    if fixed:
        raise ReadOnlyConfig(f"Cannot update these configs dynamically: {', '.join(fixed)}")
    checked = {}
    for name, value in configs.items():
        key = BROKER_CONFIGS.get(name)
        if key is None:
            checked[name] = value
            continue
        if key.update is Update.PER_BROKER and not of_one_broker and not key.is_internal:
            raise ReadOnlyConfig(f"{name} is altered for one broker at a time: name it")
        checked[name] = key.check(value)
        if name in _THREADS:
            _check_threads(key, int(checked[name]), before)
    _check_local_retention({**before, **checked})
    return checked


def _check_local_retention(values: Mapping[str, str]) -> None:
    """What is kept near may not be more than what is kept at all (KIP-405)."""
    for unit in ("ms", "bytes"):
        kept = int(broker_value(f"log.retention.{unit}", values))
        near = int(broker_value(f"log.local.retention.{unit}", values))
        if near != _AS_RETENTION and kept >= 0 and not 0 <= near <= kept:
            raise InvalidConfig(f"log.local.retention.{unit}={near} is more than {kept}")


def _check_threads(key: ConfigKey, count: int, before: Mapping[str, str]) -> None:
    current = int(before.get(key.name) or key.default or 0)
    if not max(1, current // 2) <= count <= current * 2:
        raise InvalidConfig(f"{key.name}={count} is less than half or more than twice {current}")


def _checked(
    configs: Mapping[str, str], keys: Mapping[str, ConfigKey], kind: str
) -> dict[str, str]:
    checked = {}
    for name, value in configs.items():
        key = keys.get(name)
        if key is None:
            raise InvalidConfig(f"Unknown {kind} config name: {name}")
        checked[name] = key.check(value)
    return checked
