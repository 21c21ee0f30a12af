"""The limits and timings of groups, out of the broker's configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig, MigrationPolicy
from datacore.metadata.configs import broker_int, broker_value

if TYPE_CHECKING:
    from collections.abc import Mapping


def group_config(broker_values: Mapping[str, str]) -> GroupConfig:
    """The limits and timings of groups that the broker's configs say."""

    def value(name: str) -> int:
        return broker_int(name, broker_values)

    return GroupConfig(
        group_min_session_timeout_ms=value("group.min.session.timeout.ms"),
        group_max_session_timeout_ms=value("group.max.session.timeout.ms"),
        group_initial_rebalance_delay_ms=value("group.initial.rebalance.delay.ms"),
        group_max_size=value("group.max.size"),
        offset_metadata_max_bytes=value("offset.metadata.max.bytes"),
        offsets_retention_minutes=value("offsets.retention.minutes"),
        offsets_retention_check_interval_ms=value("offsets.retention.check.interval.ms"),
        consumer=_consumer_group_config(broker_values),
    )


def _consumer_group_config(broker_values: Mapping[str, str]) -> ConsumerGroupConfig:
    def value(name: str) -> int:
        return broker_int(f"group.consumer.{name}", broker_values)

    assignors = broker_value("group.consumer.assignors", broker_values).split(",")
    policy = broker_value("group.consumer.migration.policy", broker_values)
    return ConsumerGroupConfig(
        session_timeout_ms=value("session.timeout.ms"),
        min_session_timeout_ms=value("min.session.timeout.ms"),
        max_session_timeout_ms=value("max.session.timeout.ms"),
        heartbeat_interval_ms=value("heartbeat.interval.ms"),
        min_heartbeat_interval_ms=value("min.heartbeat.interval.ms"),
        max_heartbeat_interval_ms=value("max.heartbeat.interval.ms"),
        max_size=value("max.size"),
        assignors=tuple(name.strip() for name in assignors),
        migration_policy=MigrationPolicy(policy.lower()),
    )
