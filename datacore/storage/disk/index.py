"""Kafka's sparse indexes of a segment: offset -> position, and timestamp -> offset.

Rules: what is in memory is byte for byte what is in the file, so that one class serves the segment
that is written (a growing ``bytearray``) and those that are closed (a mapped file). Entries ascend.

=============  ==============================================================================
file           entry
=============  ==============================================================================
``.index``     int32 last offset of a batch, less the segment's base offset; int32 its position
``.timeindex`` int64 largest timestamp so far; int32 last offset of the batch that brought it,
               less the segment's base offset
=============  ==============================================================================

Kafka's counterparts: ``OffsetIndex``, ``TimeIndex``. Neither preallocates its file here.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    import mmap

OFFSET_ENTRY: Final = Struct(">ii")
TIME_ENTRY: Final = Struct(">qi")
_OFFSET: Final = Struct(">i4x")
_POSITION: Final = Struct(">4xi")
_TIMESTAMP: Final = Struct(">q4x")
_TIMESTAMP_OFFSET: Final = Struct(">8xi")


class OffsetIndex:
    """Which batch lies where, for one batch in each interval."""

    __slots__ = ("entries",)

    def __init__(self, entries: bytearray | mmap.mmap) -> None:
        self.entries = entries

    def append(self, relative_last_offset: int, position: int) -> None:
        """Notes the batch at ``position``, behind all noted before."""
        assert isinstance(self.entries, bytearray)
        self.entries += OFFSET_ENTRY.pack(relative_last_offset, position)

    @property
    def last_position(self) -> int:
        """The position of the last entry; 0 when there is none."""
        return self._position(len(self) - 1)

    def position_before(self, relative_offset: int) -> int:
        """A batch boundary before or at the batch that contains the offset, near to it."""
        return self._position(_count_below(self.entries, _OFFSET, relative_offset + 1) - 1)

    def around(self, relative_offset: int) -> tuple[int, int]:
        """Between which positions the batch begins that contains the offset.

        Returns:
            A batch boundary before or at it, near to it; and the next one that is indexed, at
            which or before which it begins where each append was of one batch. That is -1 where
            none is indexed behind.
        """
        if relative_offset <= 0:
            return 0, 0
        at = _count_below(self.entries, _OFFSET, relative_offset)
        if at == len(self):
            return self._position(at - 1), -1
        until = self._position(at)
        (last_offset,) = _OFFSET.unpack_from(self.entries, at * OFFSET_ENTRY.size)
        return until if last_offset == relative_offset else self._position(at - 1), until

    def position_behind(self, relative_offset: int, size: int) -> int:
        """A batch boundary behind every batch that starts before the offset, near to them.

        Args:
            relative_offset: Less the segment's base offset.
            size: The answer when no entry lies behind.
        """
        at = _count_below(self.entries, _OFFSET, relative_offset) + 1
        return self._position(at) if at < len(self) else size

    def position_within(self, position: int) -> int:
        """The last known batch boundary at or before ``position``."""
        return self._position(_count_below(self.entries, _POSITION, position + 1) - 1)

    def between(self, position: int, end_position: int) -> list[tuple[int, int]]:
        """The entries of batches from ``position`` on and before ``end_position``."""
        first = _count_below(self.entries, _POSITION, position)
        end = _count_below(self.entries, _POSITION, end_position)
        part = bytes(self.entries[first * OFFSET_ENTRY.size : end * OFFSET_ENTRY.size])
        return list(OFFSET_ENTRY.iter_unpack(part))

    def truncate(self, size: int) -> None:
        """Forgets batches from position ``size`` on."""
        at = _count_below(self.entries, _POSITION, size)
        if at < len(self):
            self.entries = bytearray(self.entries[: at * OFFSET_ENTRY.size])

    def __len__(self) -> int:
        return len(self.entries) // OFFSET_ENTRY.size

    def _position(self, at: int) -> int:
        if at < 0:
            return 0
        position: int = _POSITION.unpack_from(self.entries, at * OFFSET_ENTRY.size)[0]
        if position < 0:
            message = f"index entry {at} has the position {position}"
            raise StorageError(message)
        return position


class TimeIndex:
    """The largest timestamp so far, and where it came from, once in each interval."""

    __slots__ = ("entries",)

    def __init__(self, entries: bytearray | mmap.mmap) -> None:
        self.entries = entries

    def append(self, timestamp_ms: int, relative_offset: int) -> None:
        """Notes a larger timestamp than any before; others are not worth an entry."""
        assert isinstance(self.entries, bytearray)
        if timestamp_ms > self.last[0]:
            self.entries += TIME_ENTRY.pack(timestamp_ms, relative_offset)

    @property
    def last(self) -> tuple[int, int]:
        """The last entry; (-1, 0) when there is none."""
        return self._entry(len(self) - 1) if len(self) else (-1, 0)

    def timestamps(self) -> list[int]:
        """The timestamps of all entries."""
        whole = bytes(self.entries[: len(self) * TIME_ENTRY.size])
        return [timestamp_ms for timestamp_ms, _ in TIME_ENTRY.iter_unpack(whole)]

    def offset_before(self, timestamp_ms: int) -> int:
        """A relative offset up to which every timestamp is smaller; 0 when none is known."""
        at = _count_below(self.entries, _TIMESTAMP, timestamp_ms) - 1
        return self._entry(at)[1] if at >= 0 else 0

    def truncate(self, relative_offset: int) -> None:
        """Forgets timestamps of batches from the offset on."""
        at = _count_below(self.entries, _TIMESTAMP_OFFSET, relative_offset)
        if at < len(self):
            self.entries = bytearray(self.entries[: at * TIME_ENTRY.size])

    def __len__(self) -> int:
        return len(self.entries) // TIME_ENTRY.size

    def _entry(self, at: int) -> tuple[int, int]:
        timestamp_ms, offset = TIME_ENTRY.unpack_from(self.entries, at * TIME_ENTRY.size)
        return timestamp_ms, offset


def _count_below(entries: bytearray | mmap.mmap, field: Struct, limit: int) -> int:
    """How many entries have a field smaller than ``limit``; the field ascends."""
    size = field.size
    low, high = 0, len(entries) // size
    while low < high:
        middle = (low + high) >> 1
        if field.unpack_from(entries, middle * size)[0] < limit:
            low = middle + 1
        else:
            high = middle
    return low
