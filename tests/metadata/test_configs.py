from __future__ import annotations

import pytest

from datacore.metadata.configs import (
    BROKER_CONFIGS,
    TOPIC_CONFIGS,
    ConfigKey,
    InvalidConfig,
    check_topic_configs,
    topic_value,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "-1"),
        ("cleanup.policy", "compact,delete"),
        ("compression.type", "zstd"),
        ("min.cleanable.dirty.ratio", "0.25"),
        ("preallocate", "TRUE"),
    ],
)
def test_a_value_of_the_right_type_and_range_is_taken(name: str, value: str) -> None:
    check_topic_configs({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("max.message.bytes", str(2**31)),
        ("cleanup.policy", "shred"),
        ("compression.type", "brotli"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("preallocate", "perhaps"),
        ("message.timestamp.difference.max.ms", "1"),
    ],
)
def test_another_value_or_name_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        check_topic_configs({name: value})


@pytest.mark.parametrize(
    "key", [*TOPIC_CONFIGS.values(), *BROKER_CONFIGS.values()], ids=lambda key: key.name
)
def test_every_default_passes_its_own_check(key: ConfigKey) -> None:
    if key.default is not None:
        key.check(key.default)


def test_a_topic_takes_its_own_value_then_the_brokers_then_the_default() -> None:
    broker = {"log.retention.ms": "2"}
    assert topic_value("retention.ms", {"retention.ms": "1"}, broker) == "1"
    assert topic_value("retention.ms", {}, broker) == "2"
    assert topic_value("retention.ms", {}, {}) == "604800000"
