"""Limits and timings of consumer groups, by Kafka's config names (dots are underscores here).

Defaults are Kafka 4.1's. A group's own values (KIP-848's group configs) are kept within the
broker's limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from datacore.coordinator.group.consumer.assignment import Assignor
from datacore.coordinator.group.consumer.range_assignor import assign_ranges
from datacore.coordinator.group.consumer.uniform_assignor import assign_uniformly

ASSIGNORS: Final[Mapping[str, Assignor]] = {"uniform": assign_uniformly, "range": assign_ranges}

INT32_MAX: Final = 2**31 - 1


class MigrationPolicy(Enum):
    """Whether a group with members may change its protocol (group.consumer.migration.policy)."""

    BIDIRECTIONAL = "bidirectional"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    DISABLED = "disabled"

    @property
    def may_upgrade(self) -> bool:
        """Whether a classic group may become a consumer group."""
        return self in {MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.UPGRADE}

    @property
    def may_downgrade(self) -> bool:
        """Whether a consumer group may become a classic group."""
        return self in {MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.DOWNGRADE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerGroupConfig:
    """What a shard is told of consumer groups; without the prefix ``group.consumer.``.

    Attributes:
        session_timeout_ms: Silence after which a member is gone.
        min_session_timeout_ms: Least that a group may set.
        max_session_timeout_ms: Most that it may.
        heartbeat_interval_ms: How often members are told to send heartbeats.
        min_heartbeat_interval_ms: Least that a group may set.
        max_heartbeat_interval_ms: Most that it may.
        max_size: Members that a group may have (GROUP_MAX_SIZE_REACHED).
        assignors: Names of assignors; the first is for members that ask for none.
        migration_policy: See there.
    """

    session_timeout_ms: int = 45_000
    min_session_timeout_ms: int = 45_000
    max_session_timeout_ms: int = 60_000
    heartbeat_interval_ms: int = 5_000
    min_heartbeat_interval_ms: int = 5_000
    max_heartbeat_interval_ms: int = 15_000
    max_size: int = INT32_MAX
    assignors: tuple[str, ...] = ("uniform", "range")
    migration_policy: MigrationPolicy = MigrationPolicy.BIDIRECTIONAL

    def __post_init__(self) -> None:
        for name, least_ms, value_ms, most_ms in (
            (
                "session_timeout_ms",
                self.min_session_timeout_ms,
                self.session_timeout_ms,
                self.max_session_timeout_ms,
            ),
            (
                "heartbeat_interval_ms",
                self.min_heartbeat_interval_ms,
                self.heartbeat_interval_ms,
                self.max_heartbeat_interval_ms,
            ),
        ):
            if not 1 <= least_ms <= value_ms <= most_ms:
                raise ValueError(f"{name} {value_ms} is not within {least_ms} to {most_ms}")
        if self.heartbeat_interval_ms >= self.session_timeout_ms:
            raise ValueError("heartbeat_interval_ms is not below session_timeout_ms")
        if self.max_size < 1:
            raise ValueError("max_size must be at least 1")
        if not self.assignors:
            raise ValueError("assignors are none")
        for assignor in self.assignors:
            if assignor not in ASSIGNORS:
                raise ValueError(f"{assignor!r} is none of the assignors {', '.join(ASSIGNORS)}")

    def session_timeout_of(self, group_configs: Mapping[str, str]) -> int:
        """The session timeout of members of a group with these configs."""
        if not group_configs:
            return self.session_timeout_ms
        asked_ms = int(group_configs.get("consumer.session.timeout.ms", self.session_timeout_ms))
        return min(max(asked_ms, self.min_session_timeout_ms), self.max_session_timeout_ms)

    def heartbeat_interval_of(self, group_configs: Mapping[str, str]) -> int:
        """The heartbeat interval of members of a group with these configs."""
        if not group_configs:
            return self.heartbeat_interval_ms
        name = "consumer.heartbeat.interval.ms"
        asked_ms = int(group_configs.get(name, self.heartbeat_interval_ms))
        return min(max(asked_ms, self.min_heartbeat_interval_ms), self.max_heartbeat_interval_ms)
