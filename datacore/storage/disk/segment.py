"""One segment: a ``.log`` file of batches and its two indexes.

Rules:

- A segment's attributes change on the event loop's thread alone. A thread that uses ``fd`` does so
  between ``pin`` and ``unpin``; a file that is closed or dropped meanwhile is closed at the last
  ``unpin``, so readers in flight finish on what they began.
- The segment that is written has its indexes in memory. A sealed one maps its index files, opened
  when somebody reads it; ``OpenFiles`` bounds how many are open and closes those not used lately.

Kafka's counterpart: ``LogSegment``. File names are Kafka's: the base offset in twenty digits.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from datacore.storage.disk.damage import (
    STRETCH_SIZE,
    Bounds,
    Damage,
    Stretch,
    batches_and_damage,
    is_ascending,
)
from datacore.storage.disk.index import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datacore.storage.disk.files import Files
    from datacore.storage.disk.scan import FoundBatch


class Segment:
    """One segment of one log."""

    __slots__ = (
        "base_offset",
        "checked",
        "damage",
        "fd",
        "folder",
        "indexed_position",
        "is_dirty",
        "is_gone",
        "is_preallocated",
        "is_sealed",
        "is_touched",
        "max_timestamp_ms",
        "max_timestamp_offset",
        "offset_index",
        "pins",
        "size",
        "time_index",
        "unchecked_end_offset",
        "unchecked_size",
        "written_offset_index_size",
        "written_time_index_size",
    )

    def __init__(self, folder: Path, base_offset: int, size: int = 0) -> None:
        self.folder = folder
        self.base_offset = base_offset
        self.size = size
        """Bytes of batches, all of them before the end of the file."""
        self.fd = -1
        """The open ``.log`` file; -1 when it is closed."""
        self.offset_index: OffsetIndex | None = None
        self.time_index: TimeIndex | None = None
        self.indexed_position = 0
        """Where the last index entry points."""
        self.written_offset_index_size = 0
        self.written_time_index_size = 0
        """Bytes of the indexes that are in their files."""
        self.max_timestamp_ms = -1
        self.max_timestamp_offset = 0
        self.is_sealed = False
        """Nothing is appended any more, and the index files are complete."""
        self.is_dirty = False
        """Written since the last round of group commit began."""
        self.is_touched = True
        """Used since ``OpenFiles`` looked last."""
        self.is_preallocated = False
        """The file is larger than what was written to it."""
        self.is_gone = False
        self.pins = 0
        self.unchecked_size = 0
        """Bytes that a process before this one has written, while not all of them were checked."""
        self.unchecked_end_offset = base_offset
        """The first offset behind them."""
        self.checked: bytearray | None = None
        """Of each stretch of them, whether it was checked (``damage.py``)."""
        self.damage: Sequence[Damage] = ()
        """Ascending."""

    def path(self, suffix: str) -> Path:
        """One of its files: ``.log``, ``.index`` or ``.timeindex``."""
        return self.folder / f"{self.base_offset:020d}{suffix}"

    @property
    def is_loaded(self) -> bool:
        """Whether it can be read without opening anything."""
        return self.fd >= 0 and self.offset_index is not None

    # --- what another process has written

    def distrust(self, size: int, end_offset: int) -> None:
        """Has the first ``size`` bytes, up to ``end_offset``, checked before they are served."""
        self.unchecked_size = size
        self.unchecked_end_offset = end_offset
        self.checked = None

    def is_checked(self, position: int, end_position: int) -> bool:
        """Whether a range may be served, as far as it is not damaged."""
        if position >= self.unchecked_size:
            return True
        if self.checked is None:
            return False
        end = min(end_position, self.unchecked_size)
        return all(self.checked[position // STRETCH_SIZE : -(-end // STRETCH_SIZE)])

    def stretch(self, position: int, end_position: int) -> Stretch:
        """All stretches that a range touches, as one."""
        assert self.offset_index is not None
        start = position // STRETCH_SIZE * STRETCH_SIZE
        end = min(-(-end_position // STRETCH_SIZE) * STRETCH_SIZE, self.unchecked_size)
        boundary = self.offset_index.position_within(start)
        return Stretch(boundary, start, end, self.offset_index.between(boundary, end))

    def note_checked(self, stretch: Stretch) -> None:
        """A stretch is as it was written."""
        if self.checked is None:
            self.checked = bytearray(-(-self.unchecked_size // STRETCH_SIZE))
        for at in range(stretch.start // STRETCH_SIZE, -(-stretch.end // STRETCH_SIZE)):
            self.checked[at] = 1
        if all(self.checked):
            self.distrust(0, self.base_offset)

    def note_examined(self, examined: Examined) -> None:
        """All that was unchecked was looked at."""
        behind = [known for known in self.damage if known.position >= self.unchecked_size]
        self.damage = [*examined.damage, *behind]
        if self.is_sealed and self.unchecked_size == self.size:
            # A flush that failed may have left bytes behind, where the log went on elsewhere.
            self.size = examined.size
        self.distrust(0, self.base_offset)

    def take_over(self, examined: Examined, size: int) -> bool:
        """Goes on with indexes that were made anew of the first ``size`` bytes.

        Returns:
            Whether they are others than before.
        """
        assert self.offset_index is not None
        assert self.time_index is not None
        offset_index = OffsetIndex(bytearray(examined.offset_index.entries))
        time_index = TimeIndex(bytearray(examined.time_index.entries))
        for relative_offset, position in self.offset_index.between(size, self.size):
            offset_index.append(relative_offset, position)
        if bytes(self.offset_index.entries) == bytes(offset_index.entries):
            return False
        time_index.append(self.max_timestamp_ms, self.max_timestamp_offset - self.base_offset)
        self.offset_index, self.time_index = offset_index, time_index
        self.indexed_position = offset_index.last_position
        self.forget_written_indexes()
        return True

    def whole_ranges(self, position: int) -> list[tuple[int, int]]:
        """The ranges of whole batches from ``position`` on, as far as damage is known."""
        ranges = []
        for damage in self.damage:
            if position < damage.position:
                ranges.append((position, damage.position))
            position = max(position, damage.end_position)
        return [*ranges, (position, self.size)]

    # --- what it holds

    def note_batches(self, found: FoundBatch, interval_bytes: int) -> None:
        """Moves the end and the indexes over one more batch."""
        position = found.position
        if found.max_timestamp_ms > self.max_timestamp_ms:
            self.max_timestamp_ms = found.max_timestamp_ms
            self.max_timestamp_offset = found.last_offset
        if position - self.indexed_position > interval_bytes:
            self.add_index_entry(found.last_offset, position)
        self.size = found.end_position

    def add_index_entry(self, last_offset: int, position: int) -> None:
        """Indexes the batch at ``position``."""
        assert self.offset_index is not None
        self.offset_index.append(last_offset - self.base_offset, position)
        self.indexed_position = position
        self.index_timestamp()

    def index_timestamp(self) -> None:
        """Brings the time index up to the largest timestamp so far."""
        assert self.time_index is not None
        relative_offset = self.max_timestamp_offset - self.base_offset
        self.time_index.append(self.max_timestamp_ms, relative_offset)

    def truncate(self, size: int, end_offset: int) -> None:
        """Forgets the batches from position ``size`` and from ``end_offset`` on; not the bytes."""
        assert self.offset_index is not None
        assert self.time_index is not None
        self.size = size
        if self.unchecked_size > size:
            self.distrust(size, end_offset)
        self.damage = [damage for damage in self.damage if damage.position < size]
        self.offset_index.truncate(size)
        self.time_index.truncate(end_offset - self.base_offset)
        self.indexed_position = self.offset_index.last_position
        offset_index_size = len(self.offset_index) * OFFSET_ENTRY.size
        time_index_size = len(self.time_index) * TIME_ENTRY.size
        self.written_offset_index_size = min(self.written_offset_index_size, offset_index_size)
        self.written_time_index_size = min(self.written_time_index_size, time_index_size)

    def make_indexes(self) -> None:
        """Gets ready to be written to."""
        self.offset_index = OffsetIndex(bytearray())
        self.time_index = TimeIndex(bytearray())

    def unseal(self) -> None:
        """Gets ready to be written to again; its indexes move into memory."""
        assert self.offset_index is not None
        assert self.time_index is not None
        self.is_sealed = False
        self.offset_index = OffsetIndex(bytearray(self.offset_index.entries))
        self.time_index = TimeIndex(bytearray(self.time_index.entries))

    def forget_written_indexes(self) -> None:
        """Has index files written anew that may not hold what was meant to be in them."""
        if not self.is_sealed:
            self.written_offset_index_size = 0
            self.written_time_index_size = 0

    def pin(self) -> None:
        """Keeps ``fd`` open."""
        self.pins += 1

    def unpin(self) -> None:
        """Ends a ``pin``."""
        self.pins -= 1
        if self.is_gone and self.pins == 0:
            self.close_files()

    def drop(self) -> None:
        """Lets go of the files for good, once nobody uses them."""
        self.is_gone = True
        if self.pins == 0:
            self.close_files()

    def close_files(self) -> None:
        """Closes the file, and the indexes where they can be loaded again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self.is_sealed:
            self.offset_index = None
            self.time_index = None


class Examined(NamedTuple):
    """What a segment was found to hold, all of it looked at."""

    offset_index: OffsetIndex
    time_index: TimeIndex
    damage: Sequence[Damage]
    size: int
    """Where the last of its offsets ends: what stands behind that is nobody's."""

    def write_indexes(self, files: Files, segment: Segment) -> None:
        """Replaces the segment's index files, unless they are another's by now.

        Raises:
            OSError: As the device says.
        """
        if segment.is_gone:
            return
        files.replace(segment.path(".index"), bytes(self.offset_index.entries))
        files.replace(segment.path(".timeindex"), bytes(self.time_index.entries))


class LoadedFiles(NamedTuple):
    """What ``load_sealed`` opened."""

    fd: int
    offset_index: OffsetIndex
    time_index: TimeIndex
    examined: Examined | None
    """None: the indexes were there, and the batches were not looked at."""


def load_sealed(
    files: Files, segment: Segment, interval_bytes: int, next_offset: int
) -> LoadedFiles:
    """Opens a sealed segment's files, in a worker thread; makes its indexes anew where need be.

    Args:
        files: The file boundary.
        segment: The segment.
        interval_bytes: Between two index entries.
        next_offset: Where the next segment begins.

    Raises:
        OSError: A file cannot be read, or is not there any more.
    """
    fd = files.open(str(segment.path(".log")), os.O_RDWR)
    try:
        offset_entries = _map(segment.path(".index"), OFFSET_ENTRY.size)
        time_entries = _map(segment.path(".timeindex"), TIME_ENTRY.size)
        if offset_entries is not None and time_entries is not None:
            offset_index, time_index = OffsetIndex(offset_entries), TimeIndex(time_entries)
            if not segment.unchecked_size or is_ascending(offset_index, time_index, segment.size):
                return LoadedFiles(fd, offset_index, time_index, None)
        bounds = Bounds(segment.base_offset, next_offset)
        examined = examine(files, fd, segment, segment.size, bounds, interval_bytes)
        examined.write_indexes(files, segment)
        return LoadedFiles(fd, examined.offset_index, examined.time_index, examined)
    except BaseException:
        os.close(fd)
        raise


def examine(
    files: Files, fd: int, segment: Segment, size: int, bounds: Bounds, interval_bytes: int
) -> Examined:
    """Looks at all of a segment, in a worker thread, and indexes it anew.

    Args:
        files: The file boundary.
        fd: Its file.
        segment: The segment; it is not changed.
        size: How far to look.
        bounds: The offsets that are to be there.
        interval_bytes: Between two index entries.
    """
    rebuilt = Segment(segment.folder, segment.base_offset)
    rebuilt.make_indexes()
    assert rebuilt.offset_index is not None
    assert rebuilt.time_index is not None
    damage = []
    end_position = 0
    for found in batches_and_damage(files, fd, 0, size, bounds):
        end_position = found.end_position
        if isinstance(found, Damage):
            damage.append(found)
        else:
            rebuilt.note_batches(found, interval_bytes)
    rebuilt.index_timestamp()
    return Examined(rebuilt.offset_index, rebuilt.time_index, damage, end_position)


def read_last_timestamp(segment: Segment) -> tuple[int, int] | None:
    """The last entry of a sealed segment's time index, read in a worker thread.

    Returns:
        The segment's largest timestamp and the relative offset that has it; None where the index
        has to be made anew.
    """
    try:
        with segment.path(".timeindex").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size % TIME_ENTRY.size or size == 0:
                return None
            file.seek(size - TIME_ENTRY.size)
            return TimeIndex(bytearray(file.read())).last
    except OSError:
        return None


def _map(path: Path, entry_size: int) -> bytearray | mmap.mmap | None:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size % entry_size:
                return None
            if size == 0:
                return bytearray()
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None


class OpenFiles:
    """Bounds how many segments of all logs have their file open, closing those least in use."""

    def __init__(self, files_max: int) -> None:
        self.files_max = files_max
        self._segments: deque[Segment] = deque()

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, segment: Segment) -> None:
        """Counts a segment whose file was just opened."""
        if len(self._segments) >= self.files_max:
            self._close_some()
        segment.is_touched = True
        self._segments.append(segment)

    def _close_some(self) -> None:
        """Closes a sixteenth at once, by the clock algorithm: two rounds find what is idle."""
        wanted = self.files_max - self.files_max // 16
        for _ in range(2 * len(self._segments)):
            if len(self._segments) <= wanted:
                return
            segment = self._segments.popleft()
            if segment.fd < 0:
                continue
            if segment.is_touched or segment.is_dirty or segment.pins:
                segment.is_touched = False
                self._segments.append(segment)
            else:
                segment.close_files()
