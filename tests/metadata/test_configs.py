from __future__ import annotations

import pytest

from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    InvalidConfig,
    broker_value,
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
        ("retention.ms", " +7 "),
        ("min.cleanable.dirty.ratio", ".5e0f"),
        ("compression.gzip.level", "-1"),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:1"),
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
        ("retention.ms", "1_000"),
        ("retention.ms", ""),
        ("compression.gzip.level", "0"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("leader.replication.throttled.replicas", "0-1"),
        ("remote.storage.enable", "true"),
        ("message.timestamp.difference.max.ms", "1"),
    ],
)
def test_another_value_or_name_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        check_topic_configs({name: value})


ALL = [
    *BROKER_CONFIGS.values(),
    *TOPIC_CONFIGS.values(),
    *GROUP_CONFIGS.values(),
    *CLIENT_METRICS_CONFIGS.values(),
]


def test_every_default_passes_its_own_check() -> None:
    for key in ALL:
        if key.default is not None:
            key.check(key.default)


def test_every_config_says_what_it_is_in_a_sentence() -> None:
    assert [key.name for key in ALL if not key.about.endswith(".")] == []


def test_every_name_that_a_config_refers_to_is_a_brokers_config() -> None:
    named = {key.synonym for key in ALL if key.synonym is not None}
    named |= {name for key in ALL for name, _ in key.otherwise}
    assert named <= BROKER_CONFIGS.keys()


def test_what_this_broker_does_not_have_is_not_configured() -> None:
    with pytest.raises(InvalidConfig, match=r"authorizer\.class\.name"):
        BROKER_CONFIGS["authorizer.class.name"].check("org.example.Authorizer")


def test_nobody_is_told_a_secret() -> None:
    with pytest.raises(InvalidConfig) as refused:
        BROKER_CONFIGS["ssl.key.password"].check("sesame")
    assert "sesame" not in str(refused.value)


def test_a_topic_takes_its_own_value_then_the_brokers_then_the_default() -> None:
    broker = {"log.retention.ms": "2"}
    assert topic_value("retention.ms", {"retention.ms": "1"}, broker) == "1"
    assert topic_value("retention.ms", {}, broker) == "2"
    assert topic_value("retention.ms", {}, {}) == "604800000"


def test_the_finest_unit_that_is_set_wins() -> None:
    hours = {"log.retention.hours": "2"}
    assert broker_value("log.retention.ms", hours) == "7200000"
    assert broker_value("log.retention.ms", hours | {"log.retention.minutes": "3"}) == "180000"
    assert broker_value("log.retention.ms", hours | {"log.retention.ms": "4"}) == "4"
    assert broker_value("log.retention.ms", {"log.retention.hours": "-1"}) == "-1"
    assert broker_value("log.flush.interval.ms", {}) == "9223372036854775807"


def test_the_classic_protocol_cannot_be_turned_off() -> None:
    protocols = BROKER_CONFIGS["group.coordinator.rebalance.protocols"]
    with pytest.raises(InvalidConfig, match="classic must be among them"):
        protocols.check("consumer")
    assert protocols.check("consumer, classic") == "consumer,classic"
