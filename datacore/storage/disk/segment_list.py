"""The segments of one log, in order, and what is known about where readers will go on.

Rules: changed on the event loop's thread alone. Whatever takes segments or bytes away counts as a
cut: a read that has waited compares ``cuts`` and begins anew. A segment that goes gives up its file
names at once and its files when nobody reads them any more.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import LogExtent

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.segment import Examined, Segment
    from datacore.storage.disk.store import Janitor

HINTS_MAX: Final = 16


class Hints:
    """Where the batches begin that readers will ask for next, most likely."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[int, tuple[Segment, int, int]] = {}

    def find(self, offset: int) -> tuple[Segment, int, int] | None:
        """The segment, the exact position and the size of the batch whose base offset that is.

        The size is 0 where it is not known, because the batch was not there yet, for one.
        """
        return self._places.get(offset)

    def add(self, offset: int, segment: Segment, position: int, size: int = 0) -> None:
        """Remembers a batch boundary, forgetting the one remembered first."""
        places = self._places
        if len(places) >= HINTS_MAX and offset not in places:
            del places[next(iter(places))]
        places[offset] = (segment, position, size)

    def clear(self) -> None:
        """Forgets everything: the files have changed."""
        self._places.clear()


class SegmentList:
    """The segments of one log."""

    __slots__ = ("bases", "cuts", "end_moves", "hints", "ownerless_bytes", "segments")

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        """Ascending; the last one is written to."""
        self.bases = [segment.base_offset for segment in segments]
        self.hints = Hints()
        self.cuts = 0
        self.end_moves = 0
        """How often the log was cut to end earlier."""
        self.ownerless_bytes = 0
        """Found behind the last offset of a segment, and not yet counted out of the log."""

    def note_examined(self, segment: Segment, examined: Examined) -> None:
        """All of a segment that was unchecked was looked at."""
        size = segment.size
        segment.note_examined(examined)
        self.ownerless_bytes += size - segment.size

    @property
    def active(self) -> Segment | None:
        """The segment that is written to; None in a log that holds nothing."""
        return self.segments[-1] if self.segments else None

    @property
    def size_bytes(self) -> int:
        """Bytes of all batches in all segments."""
        return sum(segment.size for segment in self.segments)

    def extents(self, start_offset: int, end_offset: int, skipped_bytes: int) -> list[LogExtent]:
        """Each segment as an extent; the first one lacks ``skipped_bytes`` before the start."""
        extents = []
        ends = [*self.bases, end_offset][1:]
        for segment, next_offset in zip(self.segments, ends, strict=True):
            base_offset = max(segment.base_offset, start_offset)
            if base_offset < next_offset:
                size = segment.size - skipped_bytes
                extents.append(LogExtent(base_offset, next_offset, size, segment.max_timestamp_ms))
            skipped_bytes = 0
        return extents

    def index_of(self, offset: int) -> int:
        """The index of the segment in which a read at the offset begins."""
        return max(bisect_right(self.bases, offset) - 1, 0)

    def at(self, offset: int) -> Segment | None:
        """The segment in which a read at the offset begins; None in a log that holds nothing."""
        return self.segments[self.index_of(offset)] if self.segments else None

    def behind(self, segment: Segment) -> Segment | None:
        """The segment that follows, if there is one."""
        at = bisect_right(self.bases, segment.base_offset)
        return self.segments[at] if at < len(self.segments) else None

    def next_base(self, segment: Segment) -> int:
        """Where the segment behind a sealed one begins; where it ends, when it is gone itself."""
        at = bisect_right(self.bases, segment.base_offset)
        return self.bases[at] if at < len(self.bases) else segment.unchecked_end_offset

    def add(self, segment: Segment) -> None:
        """Goes on in a new segment."""
        self.segments.append(segment)
        self.bases.append(segment.base_offset)

    def swap(self, old: list[Segment], new: Segment) -> None:
        """Puts one segment in the place of neighbours; their files are the caller's."""
        first = self.segments.index(old[0])
        self.segments[first : first + len(old)] = [new]
        self.bases[first : first + len(old)] = [new.base_offset]
        self.note_cut()

    def note_cut(self) -> None:
        """Something that was readable is not there any more."""
        self.cuts += 1
        self.hints.clear()

    def drop(self, first: int, end: int, janitor: Janitor, *, delay_ms: int = 0) -> None:
        """Takes segments out of the log and has their files removed after a while."""
        dropped = self.segments[first:end]
        del self.segments[first:end], self.bases[first:end]
        doomed: list[Path] = []
        for segment in dropped:
            for suffix in (".log", ".index", ".timeindex"):
                path = segment.path(suffix)
                try:
                    doomed.append(path.rename(f"{path}{janitor.unique_suffix()}"))
                except FileNotFoundError:
                    continue  # an index that was never written
                except OSError as error:
                    LOGGER.warning("cannot remove %s: %s", path, error)
            segment.drop()
        if dropped:
            self.note_cut()
        if doomed:
            janitor.remove_files(doomed, delay_ms=delay_ms)
