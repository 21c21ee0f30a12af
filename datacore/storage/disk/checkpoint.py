"""What spares a restart from reading back: complete index files, and a recovery point.

Rules: taken on the event loop's thread behind what a round syncs; written by the flusher's thread
after that sync. Indexes of full segments are synced before the recovery point is written. That of
the segment that is written to is not, and neither is the recovery point of a log that is closed:
what a loss of power makes of the one is noticed when it is read, and for the other it leaves the
point before it, as a crash does. A clean stop of thousands of logs waits for the device that much
less.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datacore.storage.disk.files import write_all
from datacore.storage.disk.index import OFFSET_ENTRY, TIME_ENTRY
from datacore.storage.disk.state import RecoveryPoint
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datacore.storage.disk.files import Files
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.state import StateFile


@dataclass(frozen=True, slots=True)
class IndexWrite:
    """Entries that go to the end of an index file."""

    path: Path
    position: int
    entries: bytes
    is_complete: bool
    """No more entries will follow."""


@dataclass(slots=True)
class Checkpoint:
    """Index entries and the recovery point that vouches for them."""

    recovery_point: RecoveryPoint
    index_writes: list[IndexWrite]
    sealed: Sequence[Segment]
    """Segments whose index files are complete with this."""
    sync: bool
    """Whether the recovery point is to be durable at once."""
    done: Pending[None] = field(default_factory=Pending)
    error: OSError | None = None

    def write(self, files: Files, state: StateFile) -> None:
        """Writes it, in the flusher's thread; keeps the error rather than raise it."""
        try:
            for write in self.index_writes:
                _write_index(files, write)
            state.update(sync=self.sync, recovery_point=self.recovery_point)
        except OSError as error:
            self.error = error


def take_checkpoint(
    unsealed: Sequence[Segment], active: Segment, end_offset: int, *, sync: bool
) -> Checkpoint:
    """A checkpoint of all that was appended so far.

    Args:
        unsealed: Segments that are full and whose index files are not complete.
        active: The segment that is written to.
        end_offset: The log's end.
        sync: Whether its recovery point is to be durable at once.
    """
    writes: list[IndexWrite] = []
    for segment in unsealed:
        writes += _index_writes(segment, is_complete=True)
    writes += [write for write in _index_writes(active, is_complete=False) if write.entries]
    return Checkpoint(recovery_point(active, end_offset), writes, tuple(unsealed), sync)


def recovery_point(segment: Segment, offset: int) -> RecoveryPoint:
    """The point behind everything that ``segment`` holds now."""
    assert segment.offset_index is not None
    assert segment.time_index is not None
    return RecoveryPoint(
        segment.base_offset,
        offset,
        segment.size,
        len(segment.offset_index) * OFFSET_ENTRY.size,
        len(segment.time_index) * TIME_ENTRY.size,
        segment.max_timestamp_ms,
        segment.max_timestamp_offset,
    )


def _index_writes(segment: Segment, *, is_complete: bool) -> list[IndexWrite]:
    assert segment.offset_index is not None
    assert segment.time_index is not None
    offset_size, time_size = segment.written_offset_index_size, segment.written_time_index_size
    offset_entries = bytes(memoryview(segment.offset_index.entries)[offset_size:])
    time_entries = bytes(memoryview(segment.time_index.entries)[time_size:])
    segment.written_offset_index_size += len(offset_entries)
    segment.written_time_index_size += len(time_entries)
    return [
        IndexWrite(segment.path(".index"), offset_size, offset_entries, is_complete),
        IndexWrite(segment.path(".timeindex"), time_size, time_entries, is_complete),
    ]


def _write_index(files: Files, write: IndexWrite) -> None:
    fd = files.open(str(write.path), os.O_WRONLY | os.O_CREAT)
    try:
        write_all(files, fd, write.entries, write.position)
        files.ftruncate(fd, write.position + len(write.entries))
        if write.is_complete:
            files.fdatasync(fd)
    finally:
        os.close(fd)
