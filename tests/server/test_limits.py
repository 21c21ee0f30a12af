"""Limits by Kafka's names."""

from __future__ import annotations

import pytest

from datacore.server.limits import ConnectionLimits


def test_limits_are_apache_kafkas_unless_set() -> None:
    limits = ConnectionLimits.from_kafka_configs({})

    assert limits == ConnectionLimits()
    assert limits.request_bytes_max == 104857600
    assert limits.idle_max_ms == 600000


def test_limits_are_taken_from_kafkas_configs() -> None:
    limits = ConnectionLimits.from_kafka_configs(
        {
            "socket.request.max.bytes": "1000",
            "connections.max.idle.ms": 2000,
            "max.connections": 30,
            "max.connections.per.ip": "4",
            "max.connections.per.ip.overrides": "10.0.0.1:5, [::1]:6",
            "log.retention.ms": 5,
        }
    )

    assert (limits.request_bytes_max, limits.idle_max_ms) == (1000, 2000)
    assert (limits.connections_max, limits.connections_per_ip_max) == (30, 4)
    assert limits.connections_by_ip_max == {"10.0.0.1": 5, "::1": 6}


@pytest.mark.parametrize("value", ["many", -1, "", 1.5])
def test_a_value_that_is_no_limit_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"max\.connections: expected a number from 0 on"):
        ConnectionLimits.from_kafka_configs({"max.connections": value})
