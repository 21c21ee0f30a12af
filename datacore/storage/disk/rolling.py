"""Which file the next append goes to: the one that is written, or a new one.

Rules:

- A file ends when an append would make it larger than the topic says, or lies too far from its
  first timestamp; and after a failed sync, as nothing is written to it any more.
- A file that got its full size at once (preallocate) loses what it did not need when another
  follows and when the log is closed. Recovery does so after a crash; zeros are no batches.

Kafka's counterparts: ``UnifiedLog.maybeRoll``, ``LogSegment.shouldRoll``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from datacore.storage.disk.config import INT32_MAX
from datacore.storage.disk.segment import Segment
from datacore.storage.disk.store import LOGGER
from datacore.storage.segment_age import NEVER_MS, last_timestamp_ms

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.commit import LogCommit
    from datacore.storage.disk.log_reader import LogReader
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.storage.disk.store import Store
    from datacore.storage.engine import SegmentLimits

UNKNOWN_MS: Final = -1


class Rolling:
    """The files of one log, as far as appends are concerned.

    Attributes:
        is_suspect: The file that is written failed to sync: it is not written to again.
    """

    __slots__ = (
        "_commit",
        "_folder",
        "_limits",
        "_reader",
        "_roll_above_ms",
        "_segment_bytes",
        "_segments",
        "_store",
        "is_suspect",
    )

    def __init__(
        self,
        store: Store,
        folder: Path,
        segments: SegmentList,
        commit: LogCommit,
        reader: LogReader,
    ) -> None:
        self._store = store
        self._folder = folder
        self._segments = segments
        self._commit = commit
        self._reader = reader
        self._segment_bytes = store.config.segment_bytes
        self._limits: SegmentLimits | None = None
        self._roll_above_ms = NEVER_MS
        """A larger timestamp goes to a new file; ``UNKNOWN_MS``: the first one is to be read."""
        self.is_suspect = False

    def limit(self, limits: SegmentLimits) -> None:
        """Obeys from the next append on; no file grows beyond the engine's own limit either."""
        self._limits = limits
        self._segment_bytes = min(limits.size_bytes, self._store.config.segment_bytes)
        self.forget_first_timestamp()

    def forget_first_timestamp(self) -> None:
        """The file that is written is another one, or was cut."""
        self._roll_above_ms = NEVER_MS if self._limits is None else UNKNOWN_MS

    def writable_segment(
        self, size: int, end_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Segment:
        """The segment that an append of ``size`` bytes at ``end_offset`` goes to, open.

        Raises:
            OSError: As the device says.
        """
        segments = self._segments.segments
        segment = segments[-1] if segments else None
        if (
            segment is None
            or self.is_suspect
            or (segment.size + size > self._segment_bytes and segment.size > 0)
            or next_offset - segment.base_offset > INT32_MAX
        ):
            return self._roll(end_offset)
        if segment.fd < 0:
            self._open(segment)
        if max_timestamp_ms > self._roll_above_ms and segment.size > 0:
            if self._roll_above_ms == UNKNOWN_MS:
                first_timestamp_ms = self._reader.first_timestamp(segment)
                self._roll_above_ms = last_timestamp_ms(self._limits, first_timestamp_ms)
            if max_timestamp_ms > self._roll_above_ms:
                return self._roll(end_offset)
        return segment

    def _open(self, segment: Segment) -> None:
        segment.fd = self._store.files.open(str(segment.path(".log")), os.O_RDWR)
        self._store.open_files.add(segment)

    def _roll(self, end_offset: int) -> Segment:
        """Goes on in a new file."""
        old = self._segments.active
        if old is not None and old.base_offset == end_offset:
            # Empty, because a flush failed or its first write did: the new file takes its name.
            count = len(self._segments.segments)
            self._segments.drop(count - 1, count, self._store.janitor)
            old = None
        if old is not None and old.is_preallocated:
            if old.fd < 0:
                self._open(old)
            self.trim(old)
            if not old.is_dirty:
                self._commit.note_dirty(old, old.size)  # its new size is to be synced
        segment = Segment(self._folder, end_offset)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        segment.fd = self._store.files.open(str(segment.path(".log")), flags)
        segment.make_indexes()
        self._store.open_files.add(segment)
        if self._limits is not None and self._limits.files.preallocates:
            self._preallocate(segment)
        self._segments.add(segment)
        self.forget_first_timestamp()
        self.is_suspect = False
        self._commit.note_rolled(old)
        return segment

    def _preallocate(self, segment: Segment) -> None:
        try:
            self._store.files.preallocate(segment.fd, self._segment_bytes)
        except OSError as error:
            # A nearly full device may still have room for many an append.
            LOGGER.warning("%s: cannot be preallocated: %s", segment.path(".log"), error)
            self._store.files.ftruncate(segment.fd, 0)
        else:
            segment.is_preallocated = True

    def trim(self, segment: Segment) -> None:
        """Gives back what a preallocated file did not need; what cannot be is cut by recovery."""
        files = self._store.files
        try:
            if segment.fd >= 0:
                files.ftruncate(segment.fd, segment.size)
            else:
                fd = files.open(str(segment.path(".log")), os.O_WRONLY)
                try:
                    files.ftruncate(fd, segment.size)
                finally:
                    os.close(fd)
        except OSError as error:
            LOGGER.warning("%s: cannot be trimmed: %s", segment.path(".log"), error)
        else:
            segment.is_preallocated = False
