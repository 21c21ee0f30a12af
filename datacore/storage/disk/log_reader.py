"""Reading one log's files: warm on the event loop's thread, else by worker threads.

Rules: which bytes are wanted is decided by ``LogRead``; this drives it. A worker thread works on a
pinned segment; when it comes back after a cut, what it brought is thrown away.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import anyio.to_thread

from datacore.storage.batches import MAX_TIMESTAMP
from datacore.storage.disk.reader import LogRead
from datacore.storage.disk.scan import scan_headers
from datacore.storage.disk.segment import load_sealed, read_last_timestamp
from datacore.storage.disk.segment_checker import SegmentChecker, report_damage
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.storage.disk.commit import LogCommit
    from datacore.storage.disk.scan import FoundBatch
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.storage.disk.store import Store
    from datacore.storage.engine import LogName
    from datacore.wire.buffer import Buffer


class LogReader:
    """Reads the segments of one log."""

    __slots__ = (
        "_checker",
        "_commit",
        "_files",
        "_interval_bytes",
        "_name",
        "_pool",
        "_segments",
        "_store",
    )

    def __init__(
        self, store: Store, name: LogName, segments: SegmentList, commit: LogCommit
    ) -> None:
        self._store = store
        self._files = store.files
        self._pool = store.pool
        self._name = name
        self._segments = segments
        self._interval_bytes = store.config.index_interval_bytes
        self._commit = commit
        self._checker = SegmentChecker(store.files, segments, store.config.index_interval_bytes)

    def read_warm(
        self, offset: int, max_bytes: int, before_offset: int, end_offset: int
    ) -> list[Buffer] | None:
        """``EngineLog.read_warm`` of an offset that is there."""
        read = self._begin(offset, max_bytes, before_offset, end_offset)
        wanted = read.want()
        while wanted is not None:
            view = self._fill_warm(*wanted)
            if view is None:
                return None
            wanted = read.feed(view)
        return read.buffers

    async def read(
        self, offset: int, max_bytes: int, before_offset: int, end_offset: int
    ) -> list[Buffer] | None:
        """``EngineLog.read`` of an offset that is there; None when the log was cut meanwhile."""
        cuts = self._segments.cuts
        read = self._begin(offset, max_bytes, before_offset, end_offset)
        wanted = read.want()
        while wanted is not None:
            segment, position, size = wanted
            if size and not segment.is_checked(position, position + size):
                await self.load(segment)
                if not segment.is_gone:
                    await self._checker.check(segment, position, position + size)
                if self._segments.cuts != cuts:
                    return None
                read = self._begin(offset, max_bytes, before_offset, end_offset)
                wanted = read.want()
                continue
            view = self._fill_warm(segment, position, size)
            if view is None:
                view = await self._fill(segment, position, size)
                if self._segments.cuts != cuts or view is None:
                    return None
                if len(view) < size:
                    message = f"{segment.path('.log')} ends before byte {position + size}"
                    raise StorageError(message)
            wanted = read.feed(view) if size else read.want()
        return read.buffers

    async def find_timestamp(self, timestamp_ms: int, start_offset: int) -> int | None:
        """The base offset of the first batch that is young enough; wrong after a cut."""
        first = self._segments.index_of(start_offset)
        for segment in self._segments.segments[first:]:
            if segment.is_sealed and segment.max_timestamp_ms < 0:
                await self.load(segment)
            if segment.is_gone:
                return None
            if segment.max_timestamp_ms < timestamp_ms:
                continue
            await self.load(segment)
            if segment.offset_index is None or segment.time_index is None:
                return None
            relative_offset = max(
                segment.time_index.offset_before(timestamp_ms), start_offset - segment.base_offset
            )
            found = await self._scan(
                segment,
                segment.offset_index.position_before(relative_offset),
                lambda batch: (
                    batch.max_timestamp_ms >= timestamp_ms and batch.last_offset >= start_offset
                ),
            )
            if found is not None:
                return found.base_offset
        return None

    async def position_of(self, offset: int) -> int:
        """Bytes of the first segment before the batch that contains the offset."""
        first = self._segments.segments[0]
        if offset <= first.base_offset:
            return 0
        found = await self.find_batch(first, offset)
        return first.size if found is None else found.position

    async def find_batch(self, segment: Segment, offset: int) -> FoundBatch | None:
        """The first batch of a segment that ends at the offset or behind it."""
        await self.load(segment)
        if segment.offset_index is None:
            return None
        position = segment.offset_index.position_before(offset - segment.base_offset)
        return await self._scan(segment, position, lambda batch: batch.last_offset >= offset)

    async def last_timestamp(self, segment: Segment) -> tuple[int, int]:
        """The largest timestamp of a loaded segment, and the last offset of the batch with it."""
        assert segment.time_index is not None
        timestamp_ms, relative_offset = segment.time_index.last
        largest = (timestamp_ms, segment.base_offset + relative_offset)

        def is_larger(batch: FoundBatch) -> bool:
            nonlocal largest
            if batch.max_timestamp_ms > largest[0]:
                largest = (batch.max_timestamp_ms, batch.last_offset)
            return False

        await self._scan(segment, segment.indexed_position, is_larger)
        return largest

    async def learn_timestamps(self) -> None:
        """Learns the largest timestamp of every sealed segment that was not read since the start.

        Raises:
            StorageError: An index cannot be read, or not be made anew.
        """
        unknown = [
            segment
            for segment in self._segments.segments
            if segment.is_sealed and segment.max_timestamp_ms < 0
        ]
        if not unknown:
            return
        found = await anyio.to_thread.run_sync(lambda: [*map(read_last_timestamp, unknown)])
        for segment, last in zip(unknown, found, strict=True):
            if last is None:
                await self.load(segment)
            else:
                segment.max_timestamp_ms, relative_offset = last
                segment.max_timestamp_offset = segment.base_offset + relative_offset

    def first_timestamp(self, segment: Segment) -> int:
        """The largest timestamp of an open segment's first batch.

        Asks the device where the segment was not touched since the log was opened.

        Raises:
            OSError: It cannot be read.
        """
        header = memoryview(bytearray(MAX_TIMESTAMP.size))
        if self._files.read(segment.fd, header, 0) < MAX_TIMESTAMP.size:
            raise OSError(errno.EIO, f"{segment.path('.log')} has no batch at its start")
        timestamp_ms: int = MAX_TIMESTAMP.unpack(header)[0]
        return timestamp_ms

    async def load(self, segment: Segment) -> None:
        """Opens a segment's files, if they are not open.

        Raises:
            StorageError: They cannot be read.
        """
        if not segment.is_loaded and not segment.is_gone:
            await self._open(segment)

    async def _open(self, segment: Segment) -> None:
        try:
            if not segment.is_sealed:
                segment.fd = self._files.open(str(segment.path(".log")), os.O_RDWR)
                self._store.open_files.add(segment)
                return
            loaded = await anyio.to_thread.run_sync(
                load_sealed,
                self._files,
                segment,
                self._interval_bytes,
                self._segments.next_base(segment),
            )
        except OSError as error:
            if segment.is_gone:
                return
            message = f"cannot open a segment of {self._name}: {error}"
            raise StorageError(message) from error
        if segment.is_loaded or segment.is_gone:
            os.close(loaded.fd)
            return
        segment.fd = loaded.fd
        segment.offset_index = loaded.offset_index
        segment.time_index = loaded.time_index
        segment.indexed_position = loaded.offset_index.last_position
        segment.max_timestamp_ms, relative_offset = loaded.time_index.last
        segment.max_timestamp_offset = segment.base_offset + relative_offset
        if loaded.examined is not None:
            self._segments.note_examined(segment, loaded.examined)
            report_damage(segment, loaded.examined.damage)
        self._store.open_files.add(segment)

    def _begin(self, offset: int, max_bytes: int, before_offset: int, end_offset: int) -> LogRead:
        durable = self._commit.durable
        end: tuple[int, Segment | None, int]
        if before_offset >= end_offset:
            active = self._segments.active
            end = end_offset, active, active.size if active is not None else 0
        elif before_offset == durable.offset:
            end = end_offset, durable.segment, durable.size
        else:
            end = end_offset, None, 0
        return LogRead(self._segments, offset, max_bytes, before_offset, self._interval_bytes, end)

    def _fill_warm(self, segment: Segment, position: int, size: int) -> memoryview | None:
        if segment.fd < 0 or size == 0:
            return None
        if position < segment.unchecked_size and not segment.is_checked(position, position + size):
            return None
        segment.is_touched = True
        view = self._pool.take(size)
        try:
            count = self._files.read_warm(segment.fd, view, position)
        except OSError as error:
            message = f"cannot read {self._name}: {error}"
            raise StorageError(message) from error
        return view if count == size else None

    async def _fill(self, segment: Segment, position: int, size: int) -> memoryview | None:
        """Reads in a worker thread; None when the segment went meanwhile."""
        await self.load(segment)
        if segment.is_gone:
            return None
        view = memoryview(bytearray(size))
        if size == 0:
            return view
        segment.pin()
        try:
            count = await anyio.to_thread.run_sync(self._files.read, segment.fd, view, position)
        except OSError as error:
            message = f"cannot read {self._name}: {error}"
            raise StorageError(message) from error
        finally:
            segment.unpin()
        return view[:count]

    async def _scan(
        self, segment: Segment, position: int, is_wanted: Callable[[FoundBatch], bool]
    ) -> FoundBatch | None:
        """The first batch from ``position`` on that is wanted, looked for in a worker thread."""

        def scan() -> tuple[FoundBatch | None, bool]:
            for start, end in segment.whole_ranges(position):
                at = start
                for batch in scan_headers(self._files, segment.fd, start, end):
                    if is_wanted(batch):
                        return batch, True
                    at = batch.end_position
                if at < end:
                    return None, False
            return None, True

        while segment.fd >= 0:
            segment.pin()
            try:
                found, is_complete = await anyio.to_thread.run_sync(scan)
            except OSError as error:
                message = f"cannot read {self._name}: {error}"
                raise StorageError(message) from error
            finally:
                segment.unpin()
            if is_complete or not segment.unchecked_size:
                return found
            # What it ran into is no header: where batches go on behind it is looked for once.
            await self.load(segment)
            if not segment.is_gone:
                await self._checker.check(segment, 0, segment.unchecked_size)
        return None
