"""What is to take the place of a range of segments, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.batches import RangeWalk, max_timestamp_ms
from datacore.storage.chunked.chunk import CHUNK_BYTES, Chunk
from datacore.storage.chunked.segments import SEGMENT_BYTES, segment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.storage.batches import Extent
    from datacore.storage.chunked.segments import Segment
    from datacore.storage.engine import SegmentLimits
    from datacore.wire.buffer import Buffer


class Replacement:
    """Chunks and segments made of a stream of batches; they tile the range."""

    __slots__ = ("_base_offset", "_parts", "_size", "_size_max", "_walk", "segments")

    def __init__(self, base_offset: int, next_offset: int, limits: SegmentLimits | None) -> None:
        self.segments: list[Segment] = []
        self._walk = RangeWalk(base_offset, next_offset)
        self._size_max = limits.size_bytes if limits else SEGMENT_BYTES
        self._base_offset = base_offset
        """Of the chunk in the making."""
        self._parts: list[tuple[memoryview, Extent]] = []
        self._size = 0

    def add(self, data: Buffer) -> Iterator[Chunk]:
        """Takes whole batches, and gives the chunks that are full.

        Raises:
            StorageError: They are not whole batches of the range, in order.
        """
        view = memoryview(data)
        for extent in self._walk.walk(data):
            size = extent.end - extent.start
            if self._parts and self._size + size > CHUNK_BYTES:
                yield self._chunk()
            self._parts.append((view[extent.start : extent.end], extent))
            self._size += size

    def finish(self) -> list[Chunk]:
        """The last chunk.

        Raises:
            StorageError: The batches do not end where the range does.
        """
        self._walk.finish()
        return [self._chunk()]

    def _chunk(self) -> Chunk:
        next_offset = self._parts[-1][1].last_offset + 1
        chunk = Chunk(
            b"".join(part for part, _ in self._parts),
            base_offset=self._base_offset,
            next_offset=next_offset,
            max_timestamp_ms=max(max_timestamp_ms(part) for part, _ in self._parts),
        )
        self._base_offset = next_offset
        self._parts, self._size = [], 0
        if self.segments and self.segments[-1].size_bytes + chunk.size <= self._size_max:
            self.segments[-1].grow(chunk)
        else:
            self.segments.append(segment_of(chunk))
        self.segments[-1].durable_bytes += chunk.size
        return chunk
