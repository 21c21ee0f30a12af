"""Bytes of a segment that are not what was written, and where the batches go on behind them.

Rules:

- What a process before this one wrote is looked at before it is served the first time, a stretch
  of ``STRETCH_SIZE`` at a time, in worker threads; what this process wrote is not looked at again.
- A stretch that is not as it should be has its whole segment examined: its indexes are made anew,
  and what lies between two whole batches that do not follow each other is damage. Damage is never
  served and never spreads: a read that begins in it raises ``Damaged``, others end before it.
- Batches that compaction took leave no bytes behind, and the last batch of a segment always stays;
  so a segment that ends before the next one begins has lost its tail.

Kafka finds damage below its recovery point only where a header makes no sense, and leaves the rest
to the CRC check of its clients.
"""

from __future__ import annotations

import re
from array import array
from sys import byteorder
from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.storage.batches import BATCH_SIZE_MIN
from datacore.storage.disk.index import OFFSET_ENTRY, OffsetIndex, TimeIndex
from datacore.storage.disk.scan import FoundBatch, scan_whole

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from datacore.storage.disk.files import Files

STRETCH_SIZE: Final = 1 << 20

_SEARCH_WINDOW_SIZE: Final = 4 << 20
_CHAIN_LENGTH: Final = 3
"""So many batches in a row are no record of somebody who keeps batches in records."""

_OFFSET_PREFIX_SIZE: Final = 5
"""Bytes of a base offset that the next 2**24 have in common, or the 2**24 behind them."""


class Damage(NamedTuple):
    """A hole in a segment."""

    position: int
    end_position: int
    """Where the next whole batch begins, or the segment ends."""
    first_offset: int
    next_offset: int
    """The first offset that can be read again."""


class Stretch(NamedTuple):
    """A part of a segment that is to be looked at, and what its index says of it."""

    boundary: int
    """Where a batch begins, before or at ``start``."""
    start: int
    end: int
    entries: list[tuple[int, int]]
    """From the boundary on: the last offset of a batch, less the base offset, and its position."""


class Bounds(NamedTuple):
    """What the offsets of batches lie between."""

    base_offset: int
    next_offset: int

    def hold(self, found: FoundBatch, least_offset: int) -> bool:
        """Whether a batch may follow what ends before ``least_offset``."""
        return least_offset <= found.base_offset and found.last_offset < self.next_offset


def scan_credible(
    files: Files, fd: int, position: int, size: int, bounds: Bounds
) -> Iterator[FoundBatch]:
    """``scan_whole``, ending also before the first batch whose base offset cannot be right.

    No checksum covers a base offset. One behind a gap, as compaction leaves them, is believed when
    the next batch lies behind it, or when the batch ends where the bounds do.
    """
    least_offset = bounds.base_offset
    doubted: FoundBatch | None = None
    for found in scan_whole(files, fd, position, size):
        if doubted is not None:
            if found.base_offset <= doubted.last_offset:
                return
            yield doubted
            least_offset = doubted.last_offset + 1
            doubted = None
        if not bounds.hold(found, least_offset):
            return
        if found.base_offset == least_offset or found.last_offset + 1 == bounds.next_offset:
            yield found
            least_offset = found.last_offset + 1
        else:
            doubted = found


def is_as_written(files: Files, fd: int, stretch: Stretch, size: int, bounds: Bounds) -> bool:
    """Whether a stretch holds whole batches in order and nothing else, and the index says so.

    Args:
        files: The file boundary.
        fd: The segment's file.
        stretch: What to look at.
        size: Where the segment ends, as far as it is looked at.
        bounds: The offsets that it has there.
    """
    position, least_offset = stretch.boundary, bounds.base_offset
    entries = iter(stretch.entries)
    entry = next(entries, None)
    for found in scan_credible(files, fd, position, size, bounds):
        if position >= stretch.end:
            break
        if entry is not None and entry[1] <= position:
            if entry != (found.last_offset - bounds.base_offset, position):
                return False
            entry = next(entries, None)
        position, least_offset = found.end_position, found.last_offset + 1
    if position < stretch.end or entry is not None:
        return False
    return position < size or least_offset == bounds.next_offset


def batches_and_damage(
    files: Files, fd: int, position: int, size: int, bounds: Bounds
) -> Iterator[FoundBatch | Damage]:
    """Everything from ``position`` to ``size``: whole batches, and what is none.

    Args:
        files: The file boundary.
        fd: The segment's file.
        position: Where to begin.
        size: Where the segment ends, as far as it is looked at.
        bounds: The offsets that are to be there; damage at the end lasts up to the last of them.
    """
    least_offset = bounds.base_offset
    while least_offset < bounds.next_offset:
        left = Bounds(least_offset, bounds.next_offset)
        for found in scan_credible(files, fd, position, size, left):
            yield found
            position, least_offset = found.end_position, found.last_offset + 1
        if least_offset >= bounds.next_offset:
            return
        left = Bounds(least_offset, bounds.next_offset)
        going_on = _find_batch(files, fd, position, size, left)
        if going_on is None:
            yield Damage(position, size, *left)
            return
        yield Damage(position, going_on.position, least_offset, going_on.base_offset)
        position, least_offset = going_on.position, going_on.base_offset


def _find_batch(
    files: Files, fd: int, position: int, size: int, bounds: Bounds
) -> FoundBatch | None:
    """The first batch from ``position`` on that is whole, with others behind it or the end."""
    least_offset = bounds.base_offset
    prefixes = [
        re.escape(offset.to_bytes(8, "big")[:_OFFSET_PREFIX_SIZE])
        for offset in (least_offset, least_offset + (1 << 24))
    ]
    # Base offset, length and leader epoch, magic: any place that looks like the first of a batch.
    pattern = re.compile(b"(?s)(?:" + b"|".join(prefixes) + b")(?=.{11}\\x02)")
    while position + BATCH_SIZE_MIN <= size:
        window = bytearray(min(_SEARCH_WINDOW_SIZE, size - position))
        count = files.read(fd, memoryview(window), position)
        for match in pattern.finditer(window, 0, count):
            found = _chain_start(files, fd, position + match.start(), size, bounds)
            if found is not None:
                return found
        if count < _SEARCH_WINDOW_SIZE:
            return None
        position += count - BATCH_SIZE_MIN
    return None


def _chain_start(
    files: Files, fd: int, position: int, size: int, bounds: Bounds
) -> FoundBatch | None:
    least_offset = bounds.base_offset
    first: FoundBatch | None = None
    for count, found in enumerate(scan_whole(files, fd, position, size), 1):
        if not bounds.hold(found, least_offset):
            return None
        first = first or found
        if count == _CHAIN_LENGTH or found.last_offset + 1 == bounds.next_offset:
            return first
        least_offset = found.last_offset + 1
    return None


def is_ascending(offset_index: OffsetIndex, time_index: TimeIndex, size: int) -> bool:
    """Whether a segment's indexes are possible: in order, and within the segment."""
    relative_offsets, positions = _columns(offset_index.entries)
    if positions and (positions[0] < 0 or positions[-1] >= size or relative_offsets[0] < 0):
        return False
    return (
        _is_sorted(relative_offsets)
        and _is_sorted(positions)
        and _is_sorted(time_index.timestamps())
    )


def _columns(entries: bytearray | mmap.mmap) -> tuple[array[int], array[int]]:
    numbers = array("i")
    numbers.frombytes(entries[: len(entries) // OFFSET_ENTRY.size * OFFSET_ENTRY.size])
    if byteorder == "little":
        numbers.byteswap()
    return numbers[::2], numbers[1::2]


def _is_sorted(numbers: array[int] | list[int]) -> bool:
    return all(map(int.__lt__, numbers, numbers[1:]))
