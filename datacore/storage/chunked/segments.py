"""The extents of one log, in memory: where one ends and another begins, and what each holds.

Kafka's counterpart is ``LogSegments``; here a segment is no file, but a stretch of chunks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datacore.storage.engine import LogExtent, StorageError
from datacore.storage.segment_age import NEVER_MS, last_timestamp_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.engine import SegmentLimits

SEGMENT_BYTES: Final = 1024 * 1024 * 1024
"""Where nobody has said otherwise."""


@dataclass(slots=True)
class Segment:
    """One extent, before anything is cut off its beginning."""

    base_offset: int
    next_offset: int
    size_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    durable_bytes: int = 0
    """How much of it the store has."""

    def grow(self, chunk: Chunk) -> None:
        """Takes a chunk at its end."""
        self.next_offset = chunk.next_offset
        self.size_bytes += chunk.size
        self.max_timestamp_ms = max(self.max_timestamp_ms, chunk.max_timestamp_ms)


def segment_of(chunk: Chunk) -> Segment:
    """A segment that begins with a chunk."""
    return Segment(
        chunk.base_offset,
        chunk.next_offset,
        chunk.size,
        chunk.max_timestamp_ms,
        chunk.max_timestamp_ms,
    )


class Segments:
    """All extents of a log, in the order of their offsets."""

    __slots__ = ("_limits", "_roll_above_ms", "all", "skipped_bytes")

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.all = list(segments)
        self.skipped_bytes = 0
        """Bytes of the first one that can no longer be read."""
        self._limits: SegmentLimits | None = None
        self._roll_above_ms = NEVER_MS

    def readable_bytes(self) -> int:
        """Bytes of all batches that can be read."""
        return sum(segment.size_bytes for segment in self.all) - self.skipped_bytes

    def limit(self, limits: SegmentLimits | None) -> None:
        """Obeys other limits from the next append on."""
        self._limits = limits
        if self.all:
            self._roll_above_ms = last_timestamp_ms(limits, self.all[-1].first_timestamp_ms)

    def append(self, chunk: Chunk) -> Segment:
        """The segment that a chunk at the end belongs to, which may be a new one."""
        size_max = self._limits.size_bytes if self._limits else SEGMENT_BYTES
        if self.all:
            last = self.all[-1]
            if (
                last.size_bytes + chunk.size <= size_max
                and chunk.max_timestamp_ms <= self._roll_above_ms
            ):
                last.grow(chunk)
                return last
        segment = segment_of(chunk)
        self._roll_above_ms = last_timestamp_ms(self._limits, segment.first_timestamp_ms)
        self.all.append(segment)
        return segment

    def stored(self, growths: Iterable[Segment]) -> None:
        """The store has what segments have grown by."""
        for growth in growths:
            self._of(growth.base_offset).durable_bytes += growth.size_bytes

    def drop_before(self, start_offset: int) -> None:
        """Forgets the segments that end at ``start_offset`` or before it."""
        self.all = [each for each in self.all if each.next_offset > start_offset]
        self.skipped_bytes = 0

    def range(self, base_offset: int, next_offset: int, start_offset: int) -> list[Segment]:
        """The segments that a range is made of.

        Raises:
            StorageError: It is none of whole segments, or the last one is among them.
        """
        extents = self.extents(start_offset)[:-1]
        bases = [each.base_offset for each in extents]
        ends = [each.next_offset for each in extents]
        if base_offset not in bases or next_offset not in ends or next_offset <= base_offset:
            message = f"{base_offset} to {next_offset} is no range of whole extents"
            raise StorageError(message)
        return self.all[bases.index(base_offset) : ends.index(next_offset) + 1]

    def replace(self, replaced: Sequence[Segment], segments: Iterable[Segment]) -> None:
        """Puts other segments in the place of some."""
        at = self.all.index(replaced[0])
        self.all[at : at + len(replaced)] = segments

    def _of(self, base_offset: int) -> Segment:
        at = bisect_right(self.all, base_offset, key=lambda segment: segment.base_offset) - 1
        return self.all[at]

    def extents(self, start_offset: int) -> list[LogExtent]:
        """The log as its readers see it."""
        skipped_bytes = self.skipped_bytes
        extents = []
        for segment in self.all:
            extents.append(
                LogExtent(
                    max(segment.base_offset, start_offset),
                    segment.next_offset,
                    segment.size_bytes - skipped_bytes,
                    segment.max_timestamp_ms,
                )
            )
            skipped_bytes = 0
        return extents
