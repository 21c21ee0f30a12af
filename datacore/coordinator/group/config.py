"""Limits and timings of groups, by Kafka's broker config names (dots are underscores here).

Defaults are Kafka 4.1's, except ``group_initial_rebalance_delay_ms``: Kafka waits 3 s, people with
small brokers and tests want none. Configs without a Kafka name say so.
"""

from dataclasses import dataclass, field, fields

from datacore.coordinator.group.consumer.config import ConsumerGroupConfig

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """What a group shard may be told. All values are positive, delays may be 0.

    Attributes:
        group_min_session_timeout_ms: Below it, JoinGroup is INVALID_SESSION_TIMEOUT.
        group_max_session_timeout_ms: Above it, likewise.
        group_initial_rebalance_delay_ms: How long an empty group waits for more members.
        group_max_size: Members a group may have (GROUP_MAX_SIZE_REACHED).
        offset_metadata_max_bytes: Length of a commit's metadata, in UTF-16 units as Kafka counts
            it despite the name (OFFSET_METADATA_TOO_LARGE).
        offset_commit_bytes_max: Records of one commit, each of which repeats the group's id; Kafka
            refuses what does not fit into a batch of its log (INVALID_COMMIT_OFFSET_SIZE).
        offsets_retention_minutes: How long an offset outlives its last commit, or its group.
        offsets_retention_check_interval_ms: How often expired offsets and empty groups are dropped.
        new_member_join_timeout_ms: How long a parked first JoinGroup is kept (a constant in Kafka).
        group_max_pending_members: Members that were told their id and have not come back with it;
            no config of Kafka's, which has no limit here.
        max_groups: Groups in one shard; no config of Kafka's.
        group_metadata_record_max_bytes: A group's record must fit into a batch of its log (Kafka
            finds out when the append fails; message.max.bytes is 1,048,588 there).
        consumer: Of groups of KIP-848's protocol alone.
    """

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 0
    group_max_size: int = INT32_MAX
    offset_metadata_max_bytes: int = 4_096
    offset_commit_bytes_max: int = 1_048_588
    offsets_retention_minutes: int = 10_080
    offsets_retention_check_interval_ms: int = 600_000
    new_member_join_timeout_ms: int = 300_000
    group_max_pending_members: int = 10_000
    max_groups: int = 1_000_000
    group_metadata_record_max_bytes: int = 1_000_000
    consumer: ConsumerGroupConfig = field(default_factory=ConsumerGroupConfig)

    def __post_init__(self) -> None:
        for each in fields(self):
            least = 0 if each.name.endswith("delay_ms") else 1
            value = getattr(self, each.name)
            if isinstance(value, int) and value < least:
                raise ValueError(f"{each.name} must be at least {least}")
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms:
            raise ValueError("group_min_session_timeout_ms is above group_max_session_timeout_ms")

    @property
    def offsets_retention_ms(self) -> int:
        """``offsets_retention_minutes`` in ms."""
        return self.offsets_retention_minutes * 60_000
