"""Offsets that open transactions have committed: nobody sees them before their marker.

Rules:

- A marker that commits makes a producer's offsets the groups' own, unless a later commit of the
  same partition, of no transaction or of another one, is there already: the log's order counts.
- A marker that aborts drops them; and so does the end of a partition's offset (its topic is gone,
  the group was deleted).

Only replay writes here. Kafka's counterpart is ``OffsetMetadataManager`` with its
``pendingTransactionalOffsets`` and ``openTransactionsByGroup``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from datacore.coordinator.group.offsets import CommittedOffset, OffsetStore
from datacore.protocol.names import GroupId, TopicName


class _Partition(NamedTuple):
    group_id: GroupId
    topic: TopicName
    partition: int


class _Pending(NamedTuple):
    committed: CommittedOffset
    order: int
    """Of its record among all that came."""


@dataclass(slots=True)
class PendingOffsets:
    """Offsets by the producer whose transaction they are of."""

    _by_producer: dict[int, dict[_Partition, _Pending]] = field(default_factory=dict)
    _producers: dict[GroupId, set[int]] = field(default_factory=dict)
    """Who has a transaction open with offsets of a group."""
    _latest: dict[_Partition, int] = field(default_factory=dict)
    """Order of the last offset that became a group's own, of partitions with pending ones."""
    _order: int = 0

    def __contains__(self, group_id: GroupId) -> bool:
        return group_id in self._producers

    def group_ids(self) -> Iterator[GroupId]:
        """Groups that an open transaction has committed offsets of."""
        return iter(self._producers)

    def partitions_of(self, group_id: GroupId) -> set[tuple[TopicName, int]]:
        """Partitions of a group whose offset is not decided."""
        return {
            (each.topic, each.partition)
            for producer_id in self._producers.get(group_id, ())
            for each in self._by_producer[producer_id]
            if each.group_id == group_id
        }

    def put(
        self,
        producer_id: int,
        group_id: GroupId,
        topic: TopicName,
        partition: int,
        committed: CommittedOffset,
    ) -> None:
        """Notes what a producer's transaction has committed."""
        self._order += 1
        offsets = self._by_producer.setdefault(producer_id, {})
        offsets[_Partition(group_id, topic, partition)] = _Pending(committed, self._order)
        self._producers.setdefault(group_id, set()).add(producer_id)

    def was_committed(self, group_id: GroupId, topic: TopicName, partition: int) -> None:
        """Notes that a commit of no transaction came behind all that is pending now."""
        if group_id in self._producers:
            self._latest[_Partition(group_id, topic, partition)] = self._order

    def remove(self, group_id: GroupId, topic: TopicName, partition: int) -> None:
        """Forgets what any transaction has committed for a partition."""
        ended = _Partition(group_id, topic, partition)
        for producer_id in list(self._producers.get(group_id, ())):
            self._by_producer[producer_id].pop(ended, None)
            self._forget_if_empty(producer_id, group_id)
        self._latest.pop(ended, None)

    def end(self, producer_id: int, offsets: OffsetStore, *, is_commit: bool) -> None:
        """Ends a producer's transaction: its offsets become the groups' own, or nothing."""
        ended = self._by_producer.pop(producer_id, {})
        group_ids = {each.group_id for each in ended}
        for each, pending in ended.items():
            if is_commit and pending.order > self._latest.get(each, 0):
                offsets.put(each.group_id, each.topic, each.partition, pending.committed)
                self._latest[each] = pending.order
        for group_id in group_ids:
            producers = self._producers[group_id]
            producers.discard(producer_id)
            if not producers:
                self._forget(group_id)

    def _forget_if_empty(self, producer_id: int, group_id: GroupId) -> None:
        if any(each.group_id == group_id for each in self._by_producer[producer_id]):
            return
        self._producers[group_id].discard(producer_id)
        if not self._by_producer[producer_id]:
            del self._by_producer[producer_id]
        if not self._producers[group_id]:
            self._forget(group_id)

    def _forget(self, group_id: GroupId) -> None:
        """Nothing of the group is pending any more, so no order counts."""
        del self._producers[group_id]
        for each in [each for each in self._latest if each.group_id == group_id]:
            del self._latest[each]
