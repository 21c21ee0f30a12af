"""Whole batches, one behind the other, that never change: a piece of the store in memory.

Rules: the chunks of a log tile its offsets, so that the one behind begins where one ends, also
where compaction took the batches between. Every batch has an entry in its chunk's index (20 bytes),
so that no read walks headers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

from datacore.storage.batches import max_timestamp_ms, walk_batches
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datacore.storage.batches import Extent
    from datacore.wire.buffer import Buffer

CHUNK_BYTES: Final = 1024 * 1024
"""What a chunk holds at most, unless a single append is larger."""


class Chunk:
    """One chunk."""

    __slots__ = (
        "_base_offsets",
        "_ends",
        "_next_offsets",
        "base_offset",
        "data",
        "max_timestamp_ms",
        "next_offset",
        "size",
    )

    def __init__(
        self,
        data: bytes,
        *,
        base_offset: int,
        next_offset: int,
        max_timestamp_ms: int,
        extents: Sequence[Extent] | None = None,
    ) -> None:
        """Takes whole batches.

        Args:
            data: Their bytes.
            base_offset: The first offset that this chunk answers for.
            next_offset: The first offset of the next one.
            max_timestamp_ms: The largest timestamp in it.
            extents: The batches, where they are known already.

        Raises:
            StorageError: ``data`` is not whole batches.
        """
        if extents is None:
            extents = list(walk_batches(data))
            if data and (not extents or extents[-1].end != len(data)):
                message = f"the chunk at offset {base_offset} is damaged: it ends within a batch"
                raise StorageError(message)
        self.data = data
        self.size = len(data)
        self.base_offset = base_offset
        self.next_offset = next_offset
        self.max_timestamp_ms = max_timestamp_ms
        self._base_offsets = array("q", [extent.base_offset for extent in extents])
        self._next_offsets = array("q", [extent.last_offset + 1 for extent in extents])
        self._ends = array("I", [extent.end for extent in extents])

    def position_of(self, offset: int) -> int:
        """Where the first batch starts that ends at ``offset`` or behind it."""
        return self._start(bisect_right(self._next_offsets, offset))

    def is_base_offset(self, offset: int) -> bool:
        """Whether a batch begins at ``offset``."""
        at = bisect_left(self._base_offsets, offset)
        return at < len(self._base_offsets) and self._base_offsets[at] == offset

    def cut(
        self, offset: int, max_bytes: int, before_offset: int, *, is_first: bool
    ) -> tuple[Buffer | None, bool]:
        """Whole batches from the first that ends at ``offset`` or behind it.

        Args:
            offset: Where to begin.
            max_bytes: What they may have together.
            before_offset: Batches that begin here or behind are not wanted.
            is_first: The first batch is wanted whatever its size.

        Returns:
            The batches, None where there are none, and whether the next chunk may have more.
        """
        first = bisect_right(self._next_offsets, offset)
        start = self._start(first)
        stop = bisect_right(self._ends, start + max_bytes, first)
        if is_first and stop == first < len(self._ends):
            stop += 1
        stop = min(stop, bisect_left(self._base_offsets, before_offset, first))
        goes_on = stop == len(self._ends)
        if stop <= first:
            return None, goes_on
        return memoryview(self.data)[start : self._ends[stop - 1]], goes_on

    def offset_of_timestamp(self, timestamp_ms: int, start_offset: int) -> int | None:
        """The first batch behind ``start_offset`` with that timestamp or a later one."""
        for at in range(bisect_right(self._next_offsets, start_offset), len(self._ends)):
            if max_timestamp_ms(self.data, self._start(at)) >= timestamp_ms:
                return max(self._base_offsets[at], start_offset)
        return None

    def before(self, offset: int) -> Chunk:
        """The part before the batch that begins at ``offset``; compaction may have emptied it."""
        stop = bisect_left(self._base_offsets, offset)
        data = self.data[: self._start(stop)]
        largest = max((max_timestamp_ms(data, self._start(at)) for at in range(stop)), default=-1)
        return Chunk(
            data, base_offset=self.base_offset, next_offset=offset, max_timestamp_ms=largest
        )

    def _start(self, at: int) -> int:
        return self._ends[at - 1] if at else 0


def joined(chunks: Iterable[Chunk], *, size_max: int = CHUNK_BYTES) -> list[Chunk]:
    """The same batches in as few chunks as their size allows."""
    result: list[Chunk] = []
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if group and size + chunk.size > size_max:
            result.append(_join(group))
            group, size = [], 0
        group.append(chunk)
        size += chunk.size
    if group:
        result.append(_join(group))
    return result


def _join(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(
        b"".join(chunk.data for chunk in chunks),
        base_offset=chunks[0].base_offset,
        next_offset=chunks[-1].next_offset,
        max_timestamp_ms=max(chunk.max_timestamp_ms for chunk in chunks),
    )
