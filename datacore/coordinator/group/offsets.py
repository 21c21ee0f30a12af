"""Committed offsets of a shard's groups, and when they expire.

Only replay writes here. Kafka's counterparts are ``OffsetMetadataManager`` and
``OffsetExpirationCondition`` (KIP-211 for how long offsets live).
"""

from collections.abc import Iterator, KeysView, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from datacore.protocol.names import GroupId, TopicName

NO_OFFSET = -1
"""What OffsetFetch says where nothing was committed."""


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """One partition's position as a client committed it.

    Attributes:
        offset: Next offset to read; taken as given, also beyond the log's end.
        leader_epoch: Epoch of the last record that was read; -1 is unknown.
        metadata: The client's own note.
        commit_timestamp_ms: When it was committed.
        expire_timestamp_ms: When it ends, where the client said so (OffsetCommit 2-4).
    """

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int | None = None

    def is_expired(self, now_ms: int, retention_ms: int, base_ms: int | None) -> bool:
        """Whether it has outlived its retention.

        Args:
            now_ms: Now.
            retention_ms: How long an offset lives.
            base_ms: Since when: the moment its group became empty, or None for its own commit.
        """
        if self.expire_timestamp_ms is not None:
            return now_ms >= self.expire_timestamp_ms
        since_ms = self.commit_timestamp_ms if base_ms is None else base_ms
        return now_ms - since_ms >= retention_ms


_NOTHING: Mapping[TopicName, Mapping[int, CommittedOffset]] = MappingProxyType({})


@dataclass(slots=True)
class OffsetStore:
    """Group -> topic -> partition -> committed offset; no empty dict is kept."""

    _groups: dict[GroupId, dict[TopicName, dict[int, CommittedOffset]]] = field(
        default_factory=dict
    )

    def __contains__(self, group_id: GroupId) -> bool:
        return group_id in self._groups

    def group_ids(self) -> KeysView[GroupId]:
        """Groups that have offsets."""
        return self._groups.keys()

    def topics_of(self, group_id: GroupId) -> Mapping[TopicName, Mapping[int, CommittedOffset]]:
        """All that a group has committed."""
        return self._groups.get(group_id, _NOTHING)

    def each_of(self, group_id: GroupId) -> Iterator[tuple[TopicName, int, CommittedOffset]]:
        """All that a group has committed, flat."""
        for topic, partitions in self.topics_of(group_id).items():
            for partition, committed in partitions.items():
                yield topic, partition, committed

    def get(self, group_id: GroupId, topic: TopicName, partition: int) -> CommittedOffset | None:
        """What a group has committed for a partition."""
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def put(
        self, group_id: GroupId, topic: TopicName, partition: int, committed: CommittedOffset
    ) -> None:
        """Replaces what a group has committed for a partition."""
        self._groups.setdefault(group_id, {}).setdefault(topic, {})[partition] = committed

    def remove(self, group_id: GroupId, topic: TopicName, partition: int) -> None:
        """Forgets what a group has committed for a partition."""
        topics = self._groups.get(group_id, {})
        partitions = topics.get(topic, {})
        partitions.pop(partition, None)
        if not partitions:
            topics.pop(topic, None)
        if not topics:
            self._groups.pop(group_id, None)
