"""Reading a topic from somewhere on, alone or as a member of a group.

Rules: what ``poll`` has returned counts as read; ``commit`` stores just that and where partitions
were begun, so whoever commits after having dealt with what it got loses nothing. A partition whose
position is gone (deleted by retention) goes on at ``start``. On a rebalance what was read is
committed before joining again.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.fetcher import Fetcher, OffsetOutOfRangeError
from datacore.client.group_member import GroupMember, RebalanceNeededError
from datacore.client.subscription import TopicPartition
from datacore.record.records import Record

_POLL_WAIT_MAX_MS: Final = 500
"""Heartbeats and Ctrl-C do not wait longer than this."""


class Received(NamedTuple):
    """A record and where it comes from."""

    where: TopicPartition
    record: Record


class Consumer:
    """Reads one topic."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        *,
        start: int = admin.LATEST,
        positions: Mapping[int, int] | None = None,
        partitions: Iterable[int] | None = None,
        member: GroupMember | None = None,
    ) -> None:
        """Reads nothing yet; without a group, where to begin is looked up now.

        Args:
            cluster: Where the topic lives.
            topic: Its name.
            start: ``admin.EARLIEST``, ``admin.LATEST`` or a time in milliseconds: where partitions
                are begun that have no position.
            positions: Offsets by partition that are known already.
            partitions: Which to read, all of them by default; a group decides itself.
            member: Member of the group that the partitions and positions come from.
        """
        self._cluster = cluster
        self._topic = topic
        self._start = start
        self._member = member
        self._fetcher = Fetcher(cluster)
        self._buffer: deque[tuple[TopicPartition, Record]] = deque()
        self._fetch_positions: dict[TopicPartition, int] = {}
        self._read_positions: dict[TopicPartition, int] = {}
        self._must_join = member is not None
        if member is None:
            chosen = set(partitions or ()) | set(positions or {})
            if not chosen:
                found = cluster.retrying(lambda: cluster.topic(topic))
                chosen = {each.partition_index for each in found.partitions}
            known = {TopicPartition(topic, n): at for n, at in (positions or {}).items()}
            self._begin([TopicPartition(topic, n) for n in sorted(chosen)], known)

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

    def _take_part(self, member: GroupMember) -> None:
        if not self._must_join:
            member.heartbeat()
            return
        self.commit()
        assigned = member.join()
        self._must_join = False
        self._begin(assigned, admin.group_offsets(self._cluster, member.group))

    def _begin(self, partitions: list[TopicPartition], known: Mapping[TopicPartition, int]) -> None:
        self._buffer.clear()
        self._read_positions.clear()
        self._fetch_positions = {where: known[where] for where in partitions if where in known}
        self._look_up([where for where in partitions if where not in known])

    def _look_up(self, partitions: list[TopicPartition]) -> None:
        """Puts partitions where ``start`` says."""
        if not partitions:
            return
        numbers = [where.partition for where in partitions]
        found = admin.list_offsets(self._cluster, self._topic, self._start, numbers)
        missing = [each.partition for each in found if each.offset < 0]
        if missing:
            # Nothing is as new as the time that was asked for: what comes next is.
            found += admin.list_offsets(self._cluster, self._topic, admin.LATEST, missing)
        for each in found:
            if each.offset >= 0:
                where = TopicPartition(self._topic, each.partition)
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
