"""Other batches in the place of those of whole segments (``EngineLog.replace``).

Rules:

- The new batches become one segment. It is written beside the old ones under a name that recovery
  removes, then synced; renaming it to ``<base offset>-<next offset>.swap`` is what decides. From
  then on the new batches count: in memory at once, on disk by names that are put right behind.
- Old files lose their names, the new indexes get theirs, and last of all the segment: whoever finds
  a ``.swap`` file after a crash removes the segments of its range and puts it in their place.
- Old and new batches are both right, so it does not matter which of them a crash leaves.
- While names are put right the new segment is pinned: nobody opens it by a name that is not its
  own yet. A segment that is gone keeps its open file for the readers who use it.

Kafka's counterpart: ``LocalLog.replaceSegments`` with ``.cleaned`` and ``.swap`` files.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacore.storage.batches import RangeWalk
from datacore.storage.batches import max_timestamp_ms as batch_max_timestamp_ms
from datacore.storage.disk.config import INT32_MAX
from datacore.storage.disk.files import write_all
from datacore.storage.disk.scan import FoundBatch
from datacore.storage.disk.segment import Segment
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from datacore.storage.disk.files import Files
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.storage.disk.store import Store
    from datacore.wire.buffer import Buffer

_SWAP_NAME: Final = re.compile(r"(\d{20})-(\d{20})\.swap")
_SEGMENT_FILE_NAME: Final = re.compile(r"(\d{20})\.(log|index|timeindex)")


class Replacement:
    """One replacement of one range: the new segment, from its first byte to its name.

    ``write``, ``finish``, ``decide`` and ``put_names_right`` run in worker threads, one at a time.
    """

    __slots__ = (
        "_base_offset",
        "_drafts",
        "_end_moves",
        "_files",
        "_folder",
        "_interval_bytes",
        "_janitor",
        "_next_offset",
        "_open_files",
        "_replaced",
        "_swap",
        "_walk",
        "segment",
    )

    def __init__(
        self,
        store: Store,
        folder: Path,
        segments: SegmentList,
        base_offset: int,
        next_offset: int,
        start_offset: int,
        interval_bytes: int,
    ) -> None:
        """Begins to replace a range of a log.

        Args:
            store: What the engine's logs share.
            folder: The log's.
            segments: The log's segments.
            base_offset: Where the range begins.
            next_offset: Where it ends.
            start_offset: The log's.
            interval_bytes: Between two index entries.

        Raises:
            StorageError: It is no range of whole segments before the last one.
        """
        self._files = store.files
        self._janitor = store.janitor
        self._open_files = store.open_files
        self._interval_bytes = interval_bytes
        self._folder = folder
        self._base_offset = base_offset
        self._next_offset = next_offset
        self._replaced = _segments_of(segments, base_offset, next_offset, start_offset)
        if not self._replaced:
            message = f"{folder.name}: no segments hold {base_offset} to {next_offset - 1}"
            raise StorageError(message)
        self._end_moves = segments.end_moves
        first_offset = self._replaced[0].base_offset
        self.segment = Segment(folder, first_offset)
        self.segment.make_indexes()
        self._drafts = {
            suffix: Path(f"{self.segment.path(suffix)}{self._janitor.unique_suffix()}")
            for suffix in (".log", ".index", ".timeindex")
        }
        self._swap = folder / f"{first_offset:020d}-{next_offset:020d}.swap"
        self._walk = RangeWalk(base_offset, next_offset)

    @property
    def is_sealed(self) -> bool:
        """Whether nothing about the old segments is still to be written."""
        return all(segment.is_sealed for segment in self._replaced)

    def write(self, data: Buffer) -> None:
        """Takes whole batches.

        Raises:
            StorageError: They do not fit the range.
            OSError: As the device says.
        """
        segment = self.segment
        extents = self._walk.walk(data)
        position = segment.size
        if position + len(data) > INT32_MAX:
            message = f"{self._folder.name}: a segment would have more than {INT32_MAX} bytes"
            raise StorageError(message)
        if segment.fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            segment.fd = self._files.open(str(self._drafts[".log"]), flags)
        write_all(self._files, segment.fd, data, position)
        for start, end, base_offset, last_offset in extents:
            timestamp_ms = batch_max_timestamp_ms(data, start)
            found = FoundBatch(
                position + start, position + end, base_offset, last_offset, timestamp_ms
            )
            segment.note_batches(found, self._interval_bytes)

    def finish(self) -> None:
        """Makes the new files durable, under the names that recovery would remove.

        Raises:
            StorageError: The batches do not fill the range.
            OSError: As the device says.
        """
        self._walk.finish()
        segment = self.segment
        assert segment.offset_index is not None
        assert segment.time_index is not None
        segment.index_timestamp()
        self._files.fdatasync(segment.fd)
        for suffix, entries in (
            (".index", segment.offset_index.entries),
            (".timeindex", segment.time_index.entries),
        ):
            fd = self._files.open(str(self._drafts[suffix]), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                write_all(self._files, fd, memoryview(entries), 0)
                self._files.fdatasync(fd)
            finally:
                os.close(fd)
        segment.is_sealed = True

    def check_unchanged(self, segments: SegmentList, start_offset: int) -> None:
        """Checks that the range is still what it was.

        Raises:
            StorageError: It is not.
        """
        now = _segments_of(segments, self._base_offset, self._next_offset, start_offset)
        if now != self._replaced or segments.end_moves != self._end_moves:
            message = f"{self._folder.name} has changed while a range of it was being replaced"
            raise StorageError(message)

    def decide(self) -> None:
        """Makes the new segment the one that counts after a crash.

        Raises:
            OSError: As the device says; then the old ones still count.
        """
        self._files.sync_folder(self._folder)
        self._files.rename(self._drafts[".log"], self._swap)
        try:
            self._files.sync_folder(self._folder)
        except OSError:
            self._swap.unlink()
            raise

    def take_effect(self, segments: SegmentList) -> None:
        """Lets readers meet the new segment, on the event loop's thread."""
        self.segment.pin()
        self._open_files.add(self.segment)
        segments.swap(self._replaced, self.segment)
        for segment in self._replaced:
            segment.drop()

    def put_names_right(self, delete_delay_ms: int) -> None:
        """Gives the new files the names of the old ones, which are removed after a while.

        Raises:
            OSError: As the device says; the next start finds the ``.swap`` file and goes on.
        """
        doomed = []
        for segment in self._replaced:
            for suffix in (".log", ".index", ".timeindex"):
                path = segment.path(suffix)
                with contextlib.suppress(FileNotFoundError):  # an index may never have been written
                    doomed.append(path.rename(f"{path}{self._janitor.unique_suffix()}"))
        for suffix in (".index", ".timeindex"):
            self._files.rename(self._drafts[suffix], self.segment.path(suffix))
        self._files.sync_folder(self._folder)
        self._files.rename(self._swap, self.segment.path(".log"))
        self._files.sync_folder(self._folder)
        self._janitor.remove_files(doomed, delay_ms=delete_delay_ms)

    def discard(self) -> None:
        """Removes what was written, when it was not decided for; in a worker thread."""
        self.segment.drop()
        for path in self._drafts.values():
            with contextlib.suppress(OSError):  # recovery removes what has such a name
                path.unlink()


def _segments_of(
    segments: SegmentList, base_offset: int, next_offset: int, start_offset: int
) -> list[Segment]:
    """The segments that hold exactly a range, the last one excepted; none where they do not."""
    first = segments.index_of(base_offset)
    end = segments.index_of(next_offset)
    bases = segments.bases
    if first < end and max(bases[first], start_offset) == base_offset and bases[end] == next_offset:
        return segments.segments[first:end]
    return []


def finish_replacements(files: Files, folder: Path) -> None:
    """Ends what a crash has interrupted between ``decide`` and the last name, in a worker thread.

    Raises:
        OSError: As the device says.
    """
    names = [entry.name for entry in os.scandir(folder)]
    for name in names:
        if (match := _SWAP_NAME.fullmatch(name)) is None:
            continue
        base_offset, next_offset = int(match[1]), int(match[2])
        for other in names:
            found = _SEGMENT_FILE_NAME.fullmatch(other)
            if found is not None and base_offset <= int(found[1]) < next_offset:
                (folder / other).unlink()
        files.sync_folder(folder)
        files.rename(folder / name, Segment(folder, base_offset).path(".log"))
        files.sync_folder(folder)
