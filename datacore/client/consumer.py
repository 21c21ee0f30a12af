"""Reading topics from somewhere on, alone or as a member of a group.

Rules: what ``poll`` has returned counts as read; ``commit`` stores just that and where partitions
were begun, so whoever commits after having dealt with what it got loses nothing. A partition whose
position is gone (deleted by retention) goes on at ``start``. On a rebalance what was read is
committed before joining again.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from datacore.client.cluster import Cluster
from datacore.client.fetcher import Fetcher, OffsetOutOfRangeError
from datacore.client.group_member import GroupMember, RebalanceNeededError
from datacore.client.group_offsets import group_offsets
from datacore.client.offsets import LATEST, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.client.topics import describe_topics
from datacore.record.records import Record

_POLL_WAIT_MAX_MS: Final = 500
"""Heartbeats and Ctrl-C do not wait longer than this."""


class Received(NamedTuple):
    """A record and where it comes from."""

    where: TopicPartition
    record: Record


class Consumer:
    """Reads one topic or several."""

    def __init__(
        self,
        cluster: Cluster,
        topics: str | Sequence[str],
        *,
        start: int = LATEST,
        positions: Mapping[int, int] | None = None,
        partitions: Iterable[int] | None = None,
        member: GroupMember | None = None,
        read_committed: bool = False,
    ) -> None:
        """Reads nothing yet; without a group, where to begin is looked up now.

        Args:
            cluster: Where the topics live.
            topics: Their names, or the one's.
            start: Where partitions are begun that have no position: ``EARLIEST`` or ``LATEST``, or
                a time in milliseconds.
            positions: Offsets by number of partition, of each topic, that are known already.
            partitions: Which to read of each topic, all of them by default; a group decides itself.
            member: Member of the group that the partitions and positions come from.
            read_committed: Whether to leave out records of open and aborted transactions.
        """
        self._cluster = cluster
        self._topics = [topics] if isinstance(topics, str) else list(topics)
        self._start = start
        self._member = member
        self._read_committed = read_committed
        self._fetcher = Fetcher(cluster, read_committed=read_committed)
        self._buffer: deque[tuple[TopicPartition, Record]] = deque()
        self._fetch_positions: dict[TopicPartition, int] = {}
        self._read_positions: dict[TopicPartition, int] = {}
        self._must_join = member is not None
        if member is None:
            chosen = set(partitions or ()) | set(positions or {})
            wanted = (
                [TopicPartition(topic, n) for topic in self._topics for n in sorted(chosen)]
                if chosen
                else self._all_partitions()
            )
            given = positions or {}
            known = {where: given[where.partition] for where in wanted if where.partition in given}
            self._begin(wanted, known)

    def poll(self, *, max_wait_ms: int, max_records: int) -> list[Received]:
        """The next records, in order within each partition; none if none came in time.

        The wait is cut short where the group wants something, so an empty list may come early.
        """
        try:
            if self._member is not None:
                self._take_part(self._member)
            if not self._buffer:
                self._fetch(min(max_wait_ms, _POLL_WAIT_MAX_MS))
        except RebalanceNeededError:
            self._must_join = True
            return []
        received: list[Received] = []
        while self._buffer and len(received) < max_records:
            where, record = self._buffer.popleft()
            self._read_positions[where] = record.offset + 1
            received.append(Received(where, record))
        return received

    def end_reached(self) -> Callable[[], bool]:
        """Looks up where the topics end now; what is returned tells whether all that was read.

        Of a group, whether this member's share was, once it has one.
        """
        wanted = self._all_partitions() if self._member else list(self._fetch_positions)
        ends = find_offsets(self._cluster, wanted, LATEST, read_committed=self._read_committed)

        def is_reached() -> bool:
            return not (self._must_join or self._buffer) and all(
                at >= ends[where].offset for where, at in self._fetch_positions.items()
            )

        return is_reached

    def close(self) -> None:
        """Leaves the group, if there is one, so that its other members go on at once."""
        if self._member is not None:
            self._member.leave()

    def commit(self) -> None:
        """Stores what was read in the group; without a group there is nothing to store."""
        if self._member is None:
            return
        try:
            self._member.commit(self._read_positions)
        except RebalanceNeededError:
            self._must_join = True
        else:
            self._read_positions.clear()

    def _all_partitions(self) -> list[TopicPartition]:
        return [
            TopicPartition(topic.name or "", each.partition_index)
            for topic in describe_topics(self._cluster, self._topics)
            for each in topic.partitions
        ]

    def _take_part(self, member: GroupMember) -> None:
        if not self._must_join:
            member.heartbeat()
            return
        self.commit()
        assigned = member.join()
        self._must_join = False
        self._begin(assigned, group_offsets(self._cluster, member.group))

    def _begin(self, partitions: list[TopicPartition], known: Mapping[TopicPartition, int]) -> None:
        self._buffer.clear()
        self._read_positions.clear()
        self._fetch_positions = {where: known[where] for where in partitions if where in known}
        self._look_up([where for where in partitions if where not in known])

    def _look_up(self, partitions: list[TopicPartition]) -> None:
        """Puts partitions where ``start`` says."""
        if not partitions:
            return
        found = find_offsets(self._cluster, partitions, self._start)
        if missing := [where for where, each in found.items() if each.offset < 0]:
            # Nothing is as new as the time that was asked for: what comes next is.
            found |= find_offsets(self._cluster, missing, LATEST)
        for where, each in found.items():
            if each.offset >= 0:
                self._fetch_positions[where] = self._read_positions[where] = each.offset

    def _fetch(self, max_wait_ms: int) -> None:
        if not self._fetch_positions:
            # A group of more members than partitions: wait without asking for anything.
            time.sleep(max_wait_ms / 1000)
            return
        try:
            fetched = self._fetcher.fetch(self._fetch_positions, max_wait_ms=max_wait_ms)
        except OffsetOutOfRangeError as error:
            self._look_up([error.where])
            return
        for where, records, next_offset, _ in fetched:
            self._fetch_positions[where] = next_offset
            self._buffer.extend((where, record) for record in records)
