"""Opening a log's folder: what is there, what of it is whole, and what has to go.

Rules:

- Everything before the recovery point (``state.py``) is trusted: a log that was closed, or that
  was idle since its last checkpoint, opens without reading a single batch.
- Everything behind it is walked, checksums and all, and indexed again. The first thing that is not
  the next whole batch ends the log: what lies behind was never acknowledged, because a round of
  group commit is acknowledged only when all files that it touched are synced.
- Unless the log was durable beyond that (``durable_ends.py``, or the recovery point itself, where a
  file is short or missing): then something was lost. That is told, the log goes on behind it, and
  no offset of it is given to another record.
- Bytes of a segment behind the next segment's base offset are what a failed flush left (``log.py``
  goes on in a new file after one); they are cut off.

Kafka's counterparts: ``LogLoader``, ``LogSegment.recover``. It cuts the log at what was lost.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from datacore.storage.disk.checkpoint import recovery_point
from datacore.storage.disk.config import INT64_MAX
from datacore.storage.disk.damage import (
    Bounds,
    Damage,
    batches_and_damage,
    is_ascending,
    scan_credible,
)
from datacore.storage.disk.index import OffsetIndex, TimeIndex
from datacore.storage.disk.replace import finish_replacements
from datacore.storage.disk.scan import is_blank, scan_headers
from datacore.storage.disk.segment import Segment, examine
from datacore.storage.disk.segment_checker import report_damage
from datacore.storage.disk.snapshot import drop_snapshot
from datacore.storage.disk.state import RecoveryPoint, StateFile
from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import Fenced

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.config import DiskConfig
    from datacore.storage.disk.files import Files

_SEGMENT_NAME: Final = re.compile(r"(\d{20})\.log")


@dataclass(slots=True)
class OpenedFolder:
    """What ``DiskLog`` starts from."""

    folder: Path
    state: StateFile
    segments: list[Segment]
    """Ascending; the last one is open and goes on, all others are sealed."""
    end_offset: int
    skipped_bytes: int
    """Bytes of the first segment before the batch that contains the start offset."""
    is_new: bool


def open_folder(
    files: Files, config: DiskConfig, folder: Path, *, epoch: int, durable_end: int
) -> OpenedFolder:
    """Opens a log, made when missing, in a worker thread.

    Args:
        files: The file boundary.
        config: The engine's settings.
        folder: The log's.
        epoch: Its new owner's.
        durable_end: Up to where it was durable when the last process ended, at least.

    Raises:
        Fenced: The log was opened before with a higher epoch.
        StorageError: The folder is damaged where it was known to be whole.
        OSError: As the device says.
    """
    state = StateFile(files, folder / "state")
    is_new = not folder.exists()
    if is_new:
        folder.mkdir()
    is_known = not is_new and state.load()
    if epoch < state.current.epoch:
        message = f"{folder.name} was opened with epoch {state.current.epoch}, not {epoch}"
        raise Fenced(message)
    if not is_new:
        finish_replacements(files, folder)
    bases = [] if is_new else _list_segments(folder)
    if not is_known and bases:
        LOGGER.warning("%s: no whole state file; reading everything back", folder)
        point = RecoveryPoint(bases[0], bases[0])
        state.update(sync=False, start_offset=bases[0], recovery_point=point)
    if epoch != state.current.epoch:
        state.update(sync=False, epoch=epoch)
    if is_new:
        durable_end = 0
    opened = _Recovery(files, config, folder, state, bases, durable_end).run()
    opened.is_new = is_new
    if not is_new:
        drop_snapshot(folder, opened.end_offset)
    return opened


def _list_segments(folder: Path) -> list[int]:
    """The base offsets of the folder's segments; files that a crash left half removed go."""
    bases = []
    for entry in os.scandir(folder):
        match = _SEGMENT_NAME.fullmatch(entry.name)
        if match is not None:
            bases.append(int(match[1]))
        elif entry.name.endswith((".deleted", "~")):
            # The janitor of a log that was open in this process a moment ago may be quicker.
            (folder / entry.name).unlink(missing_ok=True)
    return sorted(bases)


class _Recovery:
    """One opening of one folder."""

    __slots__ = ("config", "cut_bytes", "durable_end", "files", "folder", "segments", "state")

    def __init__(
        self,
        files: Files,
        config: DiskConfig,
        folder: Path,
        state: StateFile,
        bases: list[int],
        durable_end: int,
    ) -> None:
        self.files = files
        self.config = config
        self.folder = folder
        self.state = state
        self.segments = self._above_start(bases)
        self.cut_bytes = 0
        """Cut off, and not known to be blank space."""
        self.durable_end = max(state.current.recovery_point.offset, durable_end)

    def run(self) -> OpenedFolder:
        point = self.state.current.recovery_point
        segments = self.segments
        if not segments or segments[0].base_offset > self.state.current.start_offset:
            self._begin_later()
        start_offset = self.state.current.start_offset
        if not segments:
            return self._opened(start_offset)
        at = next(
            (at for at, segment in enumerate(segments) if self._is_behind(segment, point)),
            len(segments) - 1,
        )
        for segment, following in pairwise(segments[: at + 1]):
            segment.is_sealed = True
            segment.distrust(segment.size, following.base_offset)
        active = segments[at]
        is_vouched_for = active.base_offset == point.segment_base_offset
        trusted = point if is_vouched_for and active.size >= point.position else None
        if (
            trusted is not None
            and at + 1 == len(segments)
            and active.size == trusted.position
            and self.durable_end == point.offset
        ):
            self._load_active(active, trusted)
            end_offset = max(point.offset, start_offset)
        else:
            end_offset = max(self._read_back(at, trusted), start_offset)
        opened = self._opened(end_offset)
        opened.skipped_bytes = self._skipped_bytes(start_offset)
        return opened

    def _opened(self, end_offset: int) -> OpenedFolder:
        return OpenedFolder(self.folder, self.state, self.segments, end_offset, 0, is_new=False)

    def _above_start(self, bases: list[int]) -> list[Segment]:
        """The segments; those that ``truncate_before`` meant to remove are removed."""
        start_offset = self.state.current.start_offset
        segments = []
        for at, base_offset in enumerate(bases):
            segment = Segment(self.folder, base_offset)
            if at + 1 < len(bases) and bases[at + 1] <= start_offset:
                _unlink(segment)
                continue
            segment.size = segment.path(".log").stat().st_size
            segments.append(segment)
        return segments

    def _begin_later(self) -> None:
        """The file that should be the first is missing."""
        start_offset = self.state.current.start_offset
        if self.durable_end <= start_offset:
            # A crash took its name, so nothing behind it was ever acknowledged.
            self._drop_from(0, end_offset=start_offset)
            return
        bases = [segment.base_offset for segment in self.segments]
        begins_at = bases[0] if bases and bases[0] <= self.durable_end else self.durable_end
        LOGGER.error(
            "%s is damaged: the files of the offsets %d to %d are missing; it begins behind them",
            self.folder,
            start_offset,
            begins_at - 1,
        )
        if not bases or begins_at != bases[0]:
            self._drop_from(0, end_offset=begins_at)
        point = RecoveryPoint(begins_at, begins_at)
        if self.segments and self.state.current.recovery_point.offset > begins_at:
            point = self.state.current.recovery_point
        self.state.update(sync=True, start_offset=begins_at, recovery_point=point)

    def _is_behind(self, segment: Segment, point: RecoveryPoint) -> bool:
        return segment.base_offset >= point.segment_base_offset

    def _load_active(self, segment: Segment, point: RecoveryPoint) -> None:
        """Takes over the indexes of the segment up to the recovery point."""
        offset_entries = _read_prefix(segment, ".index", point.offset_index_size)
        time_entries = _read_prefix(segment, ".timeindex", point.time_index_size)
        offset_index = OffsetIndex(offset_entries or bytearray())
        time_index = TimeIndex(time_entries or bytearray())
        segment.offset_index, segment.time_index = offset_index, time_index
        if (
            offset_entries is None
            or time_entries is None
            or not is_ascending(offset_index, time_index, point.position)
        ):
            self._index_again(segment, point)
        else:
            segment.distrust(point.position, point.offset)
            segment.written_offset_index_size = point.offset_index_size
            segment.written_time_index_size = point.time_index_size
        segment.indexed_position = segment.offset_index.last_position
        segment.max_timestamp_ms = point.max_timestamp_ms
        segment.max_timestamp_offset = point.max_timestamp_offset

    def _index_again(self, segment: Segment, point: RecoveryPoint) -> None:
        LOGGER.warning("%s: its indexes were wrong, and are new", segment.path(".log"))
        bounds = Bounds(segment.base_offset, point.offset)
        fd = self.files.open(str(segment.path(".log")), os.O_RDONLY)
        try:
            interval_bytes = self.config.index_interval_bytes
            examined = examine(self.files, fd, segment, point.position, bounds, interval_bytes)
        finally:
            os.close(fd)
        segment.offset_index, segment.time_index = examined.offset_index, examined.time_index
        segment.note_examined(examined)
        report_damage(segment, examined.damage)

    def _read_back(self, at: int, trusted: RecoveryPoint | None) -> int:
        """Walks everything from segment ``at`` on, cuts what is not whole, and returns the end."""
        end_offset = trusted.offset if trusted else self.segments[at].base_offset
        kept = len(self.segments)
        for number in range(at, len(self.segments)):
            segment = self.segments[number]
            is_last = number + 1 == len(self.segments)
            next_base = None if is_last else self.segments[number + 1].base_offset
            end_offset = self._read_segment(segment, trusted, end_offset, next_base)
            trusted = None
            if next_base is not None and end_offset != next_base:
                kept = number + 1
                break
            segment.is_sealed = not is_last
        self._drop_from(kept, end_offset=end_offset)
        self._leave_damaged_end(end_offset)
        self._keep(at, end_offset)
        return end_offset

    def _leave_damaged_end(self, end_offset: int) -> None:
        """Goes on in a new file where the last one has lost its end, so that this stays known."""
        last = self.segments[-1]
        if last.damage and last.damage[-1].next_offset == end_offset:
            last.is_sealed = True
            following = Segment(self.folder, end_offset)
            following.make_indexes()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            os.close(self.files.open(str(following.path(".log")), flags))
            self.segments.append(following)

    def _drop_from(self, kept: int, *, end_offset: int) -> None:
        """Removes the segments from index ``kept`` on, and says what was lost, if anything was."""
        for segment in self.segments[kept:]:
            self.cut_bytes += segment.size
            _unlink(segment)
        del self.segments[kept:]
        if self.cut_bytes:
            LOGGER.warning(
                "%s: cut %d bytes from offset %d on: no whole batch that was durable starts there",
                self.folder,
                self.cut_bytes,
                end_offset,
            )

    def _read_segment(
        self,
        segment: Segment,
        trusted: RecoveryPoint | None,
        end_offset: int,
        next_base: int | None,
    ) -> int:
        """Walks one segment, cuts it behind its last whole batch, and returns where it ends."""
        file_size = segment.size
        if trusted is not None:
            segment.size = trusted.position
            self._load_active(segment, trusted)
        else:
            segment.size = 0
            segment.make_indexes()
        fd = self.files.open(str(segment.path(".log")), os.O_RDWR)
        try:
            end_offset = self._note_whole(fd, segment, file_size, end_offset, next_base)
            durable_end = self.durable_end
            if next_base is not None:
                durable_end = min(durable_end, next_base)
            if end_offset < durable_end:
                self._note_damaged(fd, segment, file_size, Bounds(end_offset, durable_end))
                end_offset = self._note_whole(fd, segment, file_size, durable_end, next_base)
            if segment.size < file_size:
                if is_blank(self.files, fd, segment.size, file_size):
                    LOGGER.info(
                        "%s: cut %d bytes from offset %d on that were never written to",
                        segment.path(".log"),
                        file_size - segment.size,
                        end_offset,
                    )
                else:
                    self.cut_bytes += file_size - segment.size
                self.files.ftruncate(fd, segment.size)
            self.files.fdatasync(fd)
        finally:
            os.close(fd)
        return end_offset

    def _note_whole(
        self, fd: int, segment: Segment, file_size: int, end_offset: int, next_base: int | None
    ) -> int:
        """Takes in whole batches from the segment's end on, and returns where they end."""
        bounds = Bounds(end_offset, INT64_MAX if next_base is None else next_base)
        for found in scan_credible(self.files, fd, segment.size, file_size, bounds):
            segment.note_batches(found, self.config.index_interval_bytes)
            end_offset = found.last_offset + 1
        return end_offset

    def _note_damaged(self, fd: int, segment: Segment, file_size: int, bounds: Bounds) -> None:
        """Takes in batches that were durable, and what has become of the others."""
        damage = []
        for found in batches_and_damage(self.files, fd, segment.size, file_size, bounds):
            if isinstance(found, Damage):
                damage.append(found)
                segment.size = found.end_position
            else:
                segment.note_batches(found, self.config.index_interval_bytes)
        segment.damage = [*segment.damage, *damage]
        report_damage(segment, damage)

    def _keep(self, at: int, end_offset: int) -> None:
        """Writes the indexes of what was read back, and the new recovery point behind it."""
        for segment in self.segments[at:]:
            assert segment.offset_index is not None
            assert segment.time_index is not None
            if segment.is_sealed:
                segment.index_timestamp()
            self.files.replace(segment.path(".index"), bytes(segment.offset_index.entries))
            self.files.replace(segment.path(".timeindex"), bytes(segment.time_index.entries))
            segment.written_offset_index_size = len(segment.offset_index.entries)
            segment.written_time_index_size = len(segment.time_index.entries)
            if segment.is_sealed:
                segment.close_files()
        self.files.sync_folder(self.folder)
        self.state.update(sync=True, recovery_point=recovery_point(self.segments[-1], end_offset))

    def _skipped_bytes(self, start_offset: int) -> int:
        first = self.segments[0]
        if start_offset <= first.base_offset:
            return 0
        fd = self.files.open(str(first.path(".log")), os.O_RDONLY)
        try:
            index = first.offset_index
            if index is None:  # that of the last segment is in memory, and may be empty
                index = OffsetIndex(_read_prefix(first, ".index", None) or bytearray())
            position = index.position_before(start_offset - first.base_offset)
            for found in scan_headers(self.files, fd, position, first.size):
                if found.last_offset >= start_offset:
                    return found.position
            return first.size
        finally:
            os.close(fd)


def _read_prefix(segment: Segment, suffix: str, size: int | None) -> bytearray | None:
    """The first ``size`` bytes of an index file; None when it has fewer."""
    try:
        content = segment.path(suffix).read_bytes()
    except FileNotFoundError:
        return bytearray() if size == 0 else None
    if size is not None and len(content) < size:
        return None
    return bytearray(content[:size])


def _unlink(segment: Segment) -> None:
    for suffix in (".log", ".index", ".timeindex"):
        segment.path(suffix).unlink(missing_ok=True)
