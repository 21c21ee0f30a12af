"""Which transactions of one partition are open, and which were aborted (KIP-98).

Rules:

- A transaction is open from its first batch to its marker. It is undecided for consumers until the
  marker lies below the high watermark too: a crash could take a marker back.
- Before the first undecided offset everything is stable: read_committed ends there.
- Of what was committed nothing is remembered; of what was aborted, where, for as long as the log
  reaches back: a fetch under read_committed is told, so that the consumer skips it.

Kafka's counterparts: ``ProducerStateManager.firstUnstableOffset`` and ``TransactionIndex``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class AbortedTransaction(NamedTuple):
    """Where a transaction's records lie that no consumer under read_committed may see."""

    producer_id: int
    first_offset: int
    last_offset: int
    """Its marker's."""


class StoredTransactions(msgspec.Struct, array_like=True):
    """The aborted ones as a log's summary keeps them, column by column, int64 each."""

    producer_ids: bytes = b""
    first_offsets: bytes = b""
    last_offsets: bytes = b""
    stable_offsets: bytes = b""


class Transactions:
    """The transactions of one partition; each call comes in the order of the log."""

    __slots__ = (
        "_ended",
        "_first_offsets",
        "_last_offsets",
        "_open",
        "_producer_ids",
        "_stable_offsets",
        "first_unstable_offset",
    )

    def __init__(self, stored: StoredTransactions | None = None) -> None:
        self.first_unstable_offset: int | None = None
        """Where the earliest undecided transaction begins; None when there is none."""
        self._open: dict[int, int] = {}
        """First offsets by producer id; ascending, because no two can begin at the same place."""
        self._ended: deque[tuple[int, int]] = deque()
        """(marker's offset, first offset) of those that end above the high watermark."""
        stored = stored or StoredTransactions()
        # The aborted, in the order of their markers.
        self._producer_ids = _column(stored.producer_ids)
        self._first_offsets = _column(stored.first_offsets)
        self._last_offsets = _column(stored.last_offsets)
        self._stable_offsets = _column(stored.stable_offsets)

    def stored(self) -> StoredTransactions:
        """The aborted ones, for a summary. The open ones are told by their producers' state."""
        return StoredTransactions(
            self._producer_ids.tobytes(),
            self._first_offsets.tobytes(),
            self._last_offsets.tobytes(),
            self._stable_offsets.tobytes(),
        )

    def begin(self, producer_id: int, first_offset: int) -> None:
        """Notes a transaction's first batch; each transaction of a producer begins once."""
        self._open[producer_id] = first_offset
        if self.first_unstable_offset is None:
            self.first_unstable_offset = first_offset

    def end(self, producer_id: int, marker_offset: int, *, is_aborted: bool) -> None:
        """Notes a marker; one that ends nothing in this partition is nothing."""
        first_offset = self._open.pop(producer_id, None)
        if first_offset is None:
            return
        self._ended.append((marker_offset, first_offset))
        if is_aborted:
            self._producer_ids.append(producer_id)
            self._first_offsets.append(first_offset)
            self._last_offsets.append(marker_offset)
            # All that end later begin here or behind, which ends a search.
            self._stable_offsets.append(next(iter(self._open.values()), marker_offset + 1))

    def advance(self, high_watermark: int) -> None:
        """Decides the transactions whose markers consumers can see now."""
        ended = self._ended
        if not ended or ended[0][0] >= high_watermark:
            return
        while ended and ended[0][0] < high_watermark:
            ended.popleft()
        undecided = [first_offset for _, first_offset in ended]
        undecided += list(self._open.values())[:1]
        self.first_unstable_offset = min(undecided, default=None)

    def aborted_between(self, offset: int, end_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions with records or a marker in ``offset`` to ``end_offset``.

        There may be some more, which are none of this range's: readers pass over them.
        """
        found = []
        for at in range(bisect_left(self._last_offsets, offset), len(self._last_offsets)):
            if self._first_offsets[at] < end_offset:
                found.append(
                    AbortedTransaction(
                        self._producer_ids[at], self._first_offsets[at], self._last_offsets[at]
                    )
                )
            if self._stable_offsets[at] >= end_offset:
                break
        return found

    def has_aborted_from(self, offset: int) -> bool:
        """Whether ``aborted_between`` could find any at ``offset`` or behind it."""
        return bool(self._last_offsets) and self._last_offsets[-1] >= offset

    def forget(self, vanished: Iterable[AbortedTransaction]) -> None:
        """Forgets aborted transactions of which compaction has left nothing to skip."""
        gone = {transaction.last_offset for transaction in vanished}
        if not gone:
            return
        left = [at for at, offset in enumerate(self._last_offsets) if offset not in gone]
        self._producer_ids, self._first_offsets, self._last_offsets, self._stable_offsets = (
            array("q", [column[at] for at in left])
            for column in (
                self._producer_ids,
                self._first_offsets,
                self._last_offsets,
                self._stable_offsets,
            )
        )

    def truncate_before(self, offset: int) -> None:
        """Forgets the aborted ones that ended before ``offset``."""
        gone = bisect_right(self._last_offsets, offset - 1)
        for column in (
            self._producer_ids,
            self._first_offsets,
            self._last_offsets,
            self._stable_offsets,
        ):
            del column[:gone]


def _column(data: bytes) -> array[int]:
    column = array("q")
    column.frombytes(data)
    return column
