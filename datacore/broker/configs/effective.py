"""This broker's configs in effect: what it was started with, beneath what was altered since.

Rules: of the values of one name, the broker's own dynamic one wins, then the cluster's default,
then what the start said. ``values`` is one dictionary for the life of the broker, changed in place,
so whoever reads it when it needs a value obeys an alteration at once; whoever keeps something made
of values asks to be told (``when_changed``).

Kafka's counterpart: ``DynamicBrokerConfig`` (KIP-226).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from datacore.metadata.configs import BROKER_CONFIGS, InvalidConfig
from datacore.metadata.image import RESOURCE_BROKER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datacore.config import Config
    from datacore.metadata.image import ClusterImage

CLUSTER_ID_KEY: Final = "datacore.cluster.id"
"""The cluster's id stands in the metadata log as a config record of no broker in particular."""

_DIGITS_MAX: Final = 10


class ConfigSource(IntEnum):
    """Where a value comes from, as DescribeConfigs v1 numbers it (KIP-226)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    DYNAMIC_BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


class BrokerConfigs:
    """The values, and where they come from."""

    def __init__(self, static: Mapping[str, str], image: ClusterImage, broker_id: int) -> None:
        self.values: dict[str, str] = dict(static)
        """What is set, whoever set it, by name; what is not set has its default."""
        self._static = static
        self._image = image
        self._name = str(broker_id)
        self._watchers: list[Callable[[], None]] = []

    def when_changed(self, act: Callable[[], None]) -> None:
        """Calls ``act`` after each change."""
        self._watchers.append(act)

    def refresh(self) -> None:
        """Takes over what the cluster's metadata says by now."""
        self.values.clear()
        for _, values in reversed(self.layers()):
            self.values.update(values)
        for act in self._watchers:
            act()

    def layers(self) -> tuple[tuple[ConfigSource, Mapping[str, str]], ...]:
        """What is set where, the first wins."""
        return (
            (ConfigSource.DYNAMIC_BROKER, self.dynamic(self._name)),
            (ConfigSource.DYNAMIC_DEFAULT_BROKER, self.dynamic("")),
            (ConfigSource.STATIC_BROKER, self._static),
        )

    def dynamic(self, name: str) -> dict[str, str]:
        """What was altered for a broker, or for all of them where the name is empty."""
        values = dict(self._image.configs.get((RESOURCE_BROKER, name), {}))
        values.pop(CLUSTER_ID_KEY, None)
        return values


def static_broker_configs(config: Config) -> dict[str, str]:
    """The broker configs that were set at the start, by their Kafka names, checked.

    Raises:
        InvalidConfig: An unknown name or an impossible value.
    """
    broker = config.broker
    values = {
        "auto.create.topics.enable": str(broker.auto_create_topics).lower(),
        "broker.id": str(broker.broker_id),
        "listeners": ",".join(
            f"{listener.name}://{listener.host}:{listener.port}"
            for listener in broker.resolved_listeners()
        ),
        "log.dirs": broker.data_dir,
        "node.id": str(broker.broker_id),
        "num.partitions": str(broker.num_partitions),
    }
    for name in ("auto.create.topics.enable", "num.partitions"):
        if values[name] == BROKER_CONFIGS[name].default:
            del values[name]  # as good as not said
    if broker.advertised_listeners:
        values["advertised.listeners"] = ",".join(broker.advertised_listeners)
    for name, value in config.kafka.items():
        key = BROKER_CONFIGS.get(name)
        if key is None:
            raise InvalidConfig(f"Unknown broker config name: {name}")
        values[name] = key.check(str(value).lower() if isinstance(value, bool) else str(value))
    return values


def parsed_node_id(name: str) -> int | None:
    """The number that a resource's name spells; None where it spells none."""
    digits = name[1:] if name[:1] in {"+", "-"} else name
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MAX
    return int(name) if is_number else None
