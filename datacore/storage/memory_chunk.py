"""The pieces that a log in memory is made of (``memory.py``).

Rules: a chunk is written once from front to back and its bytes never change, so readers may keep
views of them. Chunks that replace others are made whole before the log gets them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, Protocol

from datacore.storage.batches import BATCH_EXTENT, RangeWalk
from datacore.storage.batches import max_timestamp_ms as batch_max_timestamp_ms
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from datacore.storage.batches import Extent
    from datacore.wire.buffer import Buffer

CHUNK_SIZE_MAX: Final = 1024 * 1024


class Room(Protocol):
    """How much all logs of an engine hold, and may hold."""

    bytes_max: int
    bytes_held: int


class Chunk:
    """A piece of a log: whole batches, one behind the other."""

    __slots__ = (
        "base_offsets",
        "capacity",
        "ends",
        "first_timestamp_ms",
        "max_timestamp_ms",
        "readable",
        "used",
        "writable",
    )

    def __init__(self, capacity: int) -> None:
        self.writable = memoryview(bytearray(capacity))
        self.readable = self.writable.toreadonly()
        self.capacity = capacity
        """Bytes that may be written; no more than ``used`` once the chunk is sealed."""
        self.used = 0
        self.base_offsets = array("q")
        """Of each batch, ascending."""
        self.ends = array("I")
        """Of each batch, the byte behind it."""
        self.first_timestamp_ms = -1
        """Of the append that began it."""
        self.max_timestamp_ms = -1

    def start_of(self, at: int) -> int:
        """The first byte of the batch with index ``at``."""
        return self.ends[at - 1] if at else 0

    @property
    def next_offset(self) -> int:
        """The offset behind the last batch."""
        return self._next_offset_of(len(self.ends) - 1)

    def find(self, offset: int) -> int:
        """The index of the first batch that ends at ``offset`` or behind it."""
        at = max(bisect_right(self.base_offsets, offset) - 1, 0)
        return at if self._next_offset_of(at) > offset else at + 1

    def _next_offset_of(self, at: int) -> int:
        fields = BATCH_EXTENT.unpack_from(self.readable, self.start_of(at))
        base_offset, _, last_offset_delta = fields
        next_offset: int = base_offset + last_offset_delta + 1
        return next_offset


class Draft:
    """Chunks that are to take the place of others."""

    __slots__ = ("_extents", "_parts", "_room", "_walk", "chunks", "size_bytes")

    def __init__(self, room: Room, base_offset: int, next_offset: int) -> None:
        self._room = room
        self._walk = RangeWalk(base_offset, next_offset)
        self._parts: list[bytes] = []
        self._extents: list[list[Extent]] = []
        self.chunks: list[Chunk] = []
        self.size_bytes = 0

    def add(self, data: Buffer) -> None:
        """Takes whole batches.

        Raises:
            StorageError: They do not fit the range, or the engine is full.
        """
        extents = self._walk.walk(data)
        size = len(data)
        if self._room.bytes_held + size > self._room.bytes_max:
            message = f"the memory engine is full: {self._room.bytes_max} bytes"
            raise StorageError(message)
        if sum(map(len, self._parts)) + size > CHUNK_SIZE_MAX:
            self._end_chunk()
        self._parts.append(bytes(data))
        self._extents.append(extents)
        self._room.bytes_held += size
        self.size_bytes += size

    def finish(self) -> None:
        """Ends the last chunk.

        Raises:
            StorageError: The batches do not fill the range.
        """
        self._walk.finish()
        self._end_chunk()

    def _end_chunk(self) -> None:
        if not self._parts:
            return
        chunk = Chunk(sum(map(len, self._parts)))
        for data, extents in zip(self._parts, self._extents, strict=True):
            start = chunk.used
            chunk.writable[start : start + len(data)] = data
            chunk.used = start + len(data)
            for extent in extents:
                chunk.base_offsets.append(extent.base_offset)
                chunk.ends.append(start + extent.end)
                timestamp_ms = batch_max_timestamp_ms(data, extent.start)
                chunk.max_timestamp_ms = max(chunk.max_timestamp_ms, timestamp_ms)
        chunk.first_timestamp_ms = batch_max_timestamp_ms(chunk.readable)
        self.chunks.append(chunk)
        self._parts, self._extents = [], []
