"""One log on disk.

Rules:

- Appends and warm reads run on the event loop's thread and touch nothing but the page cache.
- ``append`` writes behind everything written before and asks for a round of group commit
  (``commit.py``, ``flusher.py``).
- When a round fails, the log goes back to what the one before it has synced, and on in a new file:
  after a failed fdatasync the kernel may have marked pages clean that never reached the device, so
  nothing that shared them is written to or trusted again.
- What moves the log's ends otherwise is ``async``, one at a time, and never meets a round.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from datacore.storage.batches import max_timestamp_ms as batch_max_timestamp_ms
from datacore.storage.batches import single_batch, split_batches
from datacore.storage.disk.checkpoint import recovery_point
from datacore.storage.disk.commit import LogCommit
from datacore.storage.disk.files import write_all
from datacore.storage.disk.flush_interval import FlushInterval
from datacore.storage.disk.log_reader import LogReader
from datacore.storage.disk.replace import Replacement
from datacore.storage.disk.rolling import Rolling
from datacore.storage.disk.scan import FoundBatch
from datacore.storage.disk.segment_list import SegmentList
from datacore.storage.disk.snapshot import drop_snapshot, read_snapshot, write_snapshot
from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import FileHandling, LogName, OffsetTruncated, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from datacore.storage.batches import Extent
    from datacore.storage.disk.flush_task import Mark
    from datacore.storage.disk.recovery import OpenedFolder
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.store import Store
    from datacore.storage.engine import LogExtent, SegmentLimits
    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer

P = ParamSpec("P")
T = TypeVar("T")


class DiskLog:
    """One log on disk; ``EngineLog`` says what its methods do."""

    __slots__ = (
        "_commit",
        "_durable_end",
        "_flush_interval",
        "_folder",
        "_interval_bytes",
        "_is_replacing",
        "_is_sync",
        "_lock",
        "_pwrite",
        "_reader",
        "_refusal",
        "_rolling",
        "_segments",
        "_skipped_bytes",
        "_state",
        "_store",
        "durable_end_offset",
        "end_offset",
        "file_handling",
        "is_released",
        "name",
        "size_bytes",
        "start_offset",
    )

    def __init__(self, store: Store, name: LogName, opened: OpenedFolder) -> None:
        self.name = name
        self.start_offset = opened.state.current.start_offset
        self.end_offset = opened.end_offset
        self.durable_end_offset = opened.end_offset
        self._store = store
        self._pwrite = store.files.pwrite
        self._is_sync = store.config.sync
        self._interval_bytes = store.config.index_interval_bytes
        self._folder = opened.folder
        self._state = opened.state
        self._segments = SegmentList(opened.segments)
        self._durable_end = store.durable_ends.of(name)
        self._commit = LogCommit(
            store,
            opened,
            self._segments,
            self._durable_end,
            on_durable=self._note_durable,
            on_failed=self._note_failed,
        )
        self._flush_interval = FlushInterval(self._commit)
        self._reader = LogReader(store, name, self._segments, self._commit)
        self._rolling = Rolling(store, opened.folder, self._segments, self._commit, self._reader)
        self.file_handling = FileHandling()
        self._skipped_bytes = opened.skipped_bytes
        """Bytes of the first segment before the batch that contains ``start_offset``."""
        self.size_bytes = self._segments.size_bytes - opened.skipped_bytes
        self._refusal: StorageError | None = None
        self.is_released = False
        """Its files are closed."""
        self._is_replacing = False
        self._lock = anyio.Lock()

    @property
    def epoch(self) -> int:
        """The epoch that the log was opened with last."""
        return self._state.current.epoch

    @property
    def is_open(self) -> bool:
        """Whether its owner still has it."""
        return self._refusal is None

    # --- appending

    def append(
        self, data: Buffer, *, base_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Pending[None] | None:
        """See ``EngineLog.append``."""
        if self._refusal is not None:
            raise self._refusal
        if base_offset != self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, not at {base_offset}"
            raise StorageError(message)
        extents = None if single_batch(data) else split_batches(data, base_offset, next_offset)
        size = len(data)
        try:
            segment = self._rolling.writable_segment(
                size, base_offset, next_offset, max_timestamp_ms
            )
        except OSError as error:
            message = f"cannot open a segment of {self.name}: {error}"
            raise StorageError(message) from error
        position = segment.size
        try:
            if self._pwrite(segment.fd, data, position) != size:
                # The device took a part: it is asked for the rest, or for its reason.
                write_all(self._store.files, segment.fd, data, position)
        except OSError as error:
            self._forget_write(segment, position)
            message = f"cannot append to {self.name}: {error}"
            raise StorageError(message) from error
        segment.size = position + size
        segment.is_touched = True
        if not segment.is_dirty:
            self._commit.note_dirty(segment, position)
        if extents is not None:
            self._note_batches(segment, data, position, extents)
        else:
            if max_timestamp_ms > segment.max_timestamp_ms:
                segment.max_timestamp_ms = max_timestamp_ms
                segment.max_timestamp_offset = next_offset - 1
            if position - segment.indexed_position > self._interval_bytes:
                segment.add_index_entry(next_offset - 1, position)
        self.end_offset = next_offset
        self.size_bytes += size
        if self._is_sync:
            return self._commit.commit(next_offset, size)
        self.durable_end_offset = next_offset
        return self._flush_interval.note_appended(next_offset, size)

    def _note_batches(
        self, segment: Segment, data: Buffer, position: int, extents: list[Extent]
    ) -> None:
        for start, end, base_offset, last_offset in extents:
            timestamp_ms = batch_max_timestamp_ms(data, start)
            found = FoundBatch(
                position + start, position + end, base_offset, last_offset, timestamp_ms
            )
            segment.note_batches(found, self._interval_bytes)

    def _forget_write(self, segment: Segment, position: int) -> None:
        """Takes back what was written behind ``position``."""
        segment.is_preallocated = False
        try:
            self._store.files.ftruncate(segment.fd, position)
        except OSError as error:
            # The next append writes over it or goes elsewhere, and recovery cuts it off.
            LOGGER.warning("%s: cannot cut a failed write: %s", segment.path(".log"), error)

    def _note_durable(self, offset: int) -> None:
        self.durable_end_offset = max(self.durable_end_offset, offset)
        self._flush_interval.note_durable(offset)

    def _note_failed(self, mark: Mark) -> None:
        """Goes back to what is durable after a failed round."""
        if not self._is_sync:
            return  # nobody was promised that the device has it
        segments = self._segments.segments
        kept = len(segments)
        while kept and segments[kept - 1] is not mark.segment:
            if segments[kept - 1].base_offset < mark.offset:
                break
            kept -= 1
        self._segments.drop(kept, len(segments), self._store.janitor)
        active = self._segments.active
        if active is not None:
            self._rolling.is_suspect = True
            if active is mark.segment:
                active.truncate(mark.size, mark.offset)
                active.max_timestamp_ms = mark.max_timestamp_ms
                active.max_timestamp_offset = mark.max_timestamp_offset
                self._forget_write(active, mark.size)
        self._moved(mark.offset)
        self._commit.drop_undurable()

    def _moved(self, end_offset: int) -> None:
        """The log now ends there, all of it durable."""
        self._segments.note_cut()
        self._segments.end_moves += 1
        self._rolling.forget_first_timestamp()
        self.end_offset = self.durable_end_offset = end_offset
        self._count_bytes()
        self._commit.note_moved(end_offset)

    # --- reading

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """See ``EngineLog.read_warm``."""
        if self._refusal is not None or not self.start_offset <= offset <= self.end_offset:
            self._check_readable(offset)
        if offset >= before_offset or offset == self.end_offset:
            return []
        return self._reader.read_warm(offset, max_bytes, before_offset, self.end_offset)

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        """See ``EngineLog.read``."""
        while True:
            self._check_readable(offset)
            if offset >= before_offset or offset == self.end_offset:
                return []
            buffers = await self._reader.read(offset, max_bytes, before_offset, self.end_offset)
            if self._segments.ownerless_bytes:
                self._count_bytes()
            if buffers is not None:
                return buffers

    async def find_timestamp(self, timestamp_ms: int) -> int:
        """See ``EngineLog.find_timestamp``; exact."""
        while True:
            self._check_open()
            cuts = self._segments.cuts
            found = await self._reader.find_timestamp(timestamp_ms, self.start_offset)
            if self._segments.cuts == cuts:
                return self.end_offset if found is None else max(found, self.start_offset)

    def _count_bytes(self) -> None:
        self.size_bytes = self._segments.size_bytes - self._skipped_bytes
        self._segments.ownerless_bytes = 0

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _check_readable(self, offset: int) -> None:
        if self._refusal is not None:
            raise self._refusal
        if not self.start_offset <= offset <= self.end_offset:
            message = f"{self.name} holds {self.start_offset} to {self.end_offset}, not {offset}"
            raise OffsetTruncated(message)

    # --- extents

    def limit_segments(self, limits: SegmentLimits) -> None:
        """See ``EngineLog.limit_segments``."""
        files = self.file_handling = limits.files
        self._rolling.limit(limits)
        if not self._is_sync:
            self._flush_interval.limit(files)
        self._interval_bytes = self._store.config.index_interval_bytes
        if files.index_interval_bytes is not None:
            self._interval_bytes = files.index_interval_bytes

    async def extents(self) -> Sequence[LogExtent]:
        """See ``EngineLog.extents``: the segments."""
        async with self._lock:
            self._check_open()
            await self._reader.learn_timestamps()
            return self._segments.extents(self.start_offset, self.end_offset, self._skipped_bytes)

    # --- moving the ends

    async def truncate_before(self, offset: int) -> None:
        """See ``EngineLog.truncate_before``."""
        async with self._lock:
            self._check_open()
            if offset <= self.start_offset:
                return
            self._check_not_behind_end(offset)
            if offset > self._commit.durable.offset:
                await self._commit.flush()
            with anyio.CancelScope(shield=True):
                await self._truncate_before(offset)

    async def _truncate_before(self, offset: int) -> None:
        await self._in_worker(self._state.update, sync=True, start_offset=offset)
        self.start_offset = offset
        segments = self._segments
        dropped = len(segments.segments)
        if offset < self.end_offset:
            dropped = segments.index_of(offset)
        delay_ms = self.file_handling.delete_delay_ms
        segments.drop(0, dropped, self._store.janitor, delay_ms=delay_ms)
        self._commit.note_dropped()
        self._skipped_bytes = 0
        if segments.segments:
            self._skipped_bytes = await self._reader.position_of(offset)
        self._count_bytes()

    async def truncate_after(self, offset: int) -> None:
        """See ``EngineLog.truncate_after``."""
        async with self._lock:
            self._check_open()
            self._check_not_behind_end(offset)
            if offset < self.start_offset:
                message = f"{self.name} starts at offset {self.start_offset}, behind {offset}"
                raise OffsetTruncated(message)
            if offset == self.end_offset:
                return
            await self._commit.flush()
            with anyio.CancelScope(shield=True):
                await self._truncate_after(offset)

    async def _truncate_after(self, offset: int) -> None:
        """Cuts the log; no round is under way, and nobody appends."""
        segments = self._segments
        at = segments.index_of(offset)
        kept = segments.segments[at]
        found = await self._reader.find_batch(kept, offset)
        if found is None or found.base_offset != offset:
            message = f"no batch of {self.name} starts at offset {offset}"
            raise StorageError(message)
        kept.unseal()
        kept.truncate(found.position, offset)
        kept.max_timestamp_ms, kept.max_timestamp_offset = await self._reader.last_timestamp(kept)
        # First the promises that the tail is whole go, then the tail.
        await self._in_worker(self._durable_end.lower, offset)
        point = recovery_point(kept, offset)
        await self._in_worker(self._state.update, sync=True, recovery_point=point)
        delay_ms = self.file_handling.delete_delay_ms
        segments.drop(at + 1, len(segments.segments), self._store.janitor, delay_ms=delay_ms)
        self._moved(offset)
        await self._in_worker(self._cut_file, kept)
        await self._in_worker(drop_snapshot, self._folder, offset)

    def _cut_file(self, segment: Segment) -> None:
        self._store.files.ftruncate(segment.fd, segment.size)
        self._store.files.fdatasync(segment.fd)

    # --- replacing

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        """See ``EngineLog.replace``."""
        self._check_open()
        if self._is_replacing:
            message = f"a range of {self.name} is being replaced already"
            raise StorageError(message)
        segments = self._segments
        replacement = Replacement(
            self._store,
            self._folder,
            segments,
            base_offset,
            next_offset,
            self.start_offset,
            self._interval_bytes,
        )
        self._is_replacing = True
        try:
            async for data in batches:
                await self._in_worker(replacement.write, data)
            await self._in_worker(replacement.finish)
            async with self._lock:
                self._check_open()
                replacement.check_unchanged(segments, self.start_offset)
                await self._seal(replacement)
                with anyio.CancelScope(shield=True):
                    await self._in_worker(replacement.decide)
                    await self._take_over(replacement)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._in_worker(replacement.discard)
            self._is_replacing = False
            raise

    async def _seal(self, replacement: Replacement) -> None:
        """Has the indexes of the old segments written, so that nobody writes them later.

        Raises:
            StorageError: The device refuses.
        """
        for _ in range(2):  # a checkpoint that was under way may have begun without them
            if not replacement.is_sealed:
                await self._commit.flush()
        if not replacement.is_sealed:
            message = f"{self.name}: the indexes of a segment cannot be written"
            raise StorageError(message)

    async def _take_over(self, replacement: Replacement) -> None:
        """Goes on with the new segment.

        Where its names cannot be put right, the log serves it nevertheless, from the file that it
        has open; the next start goes on, and until then nothing else is replaced.
        """
        replacement.take_effect(self._segments)
        self._commit.note_dropped()
        if self._segments.segments[0] is replacement.segment:
            self._skipped_bytes = 0
        self._count_bytes()
        try:
            delay_ms = self.file_handling.delete_delay_ms
            await self._in_worker(replacement.put_names_right, delay_ms)
        except StorageError as error:
            LOGGER.error("%s", error)
            return
        replacement.segment.unpin()
        self._is_replacing = False

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        """See ``EngineLog.save_snapshot``."""
        async with self._lock:
            self._check_open()
            self._check_not_behind_end(offset)
            if offset > self._commit.durable.offset:
                await self._commit.flush()
            files = self._store.files
            await self._in_worker(write_snapshot, files, self._folder, offset, bytes(snapshot))

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        """See ``EngineLog.load_snapshot``."""
        async with self._lock:
            self._check_open()
            return await self._in_worker(read_snapshot, self._folder)

    async def close(self) -> None:
        """See ``EngineLog.close``."""
        await self.retire(StorageError(f"{self.name} is closed"))

    async def retire(self, refusal: StorageError) -> None:
        """Makes everything durable, lets go of the files, and refuses everything from now on.

        Raises:
            StorageError: What was not durable is lost.
        """
        if self._refusal is None:
            self._refusal = refusal
        with anyio.CancelScope(shield=True):
            async with self._lock:
                if self.is_released:
                    return
                try:
                    await self._commit.close()
                finally:
                    self.is_released = True
                    self._flush_interval.stop()
                    active = self._segments.active
                    if active is not None and active.is_preallocated:
                        await anyio.to_thread.run_sync(self._rolling.trim, active)
                    for segment in self._segments.segments:
                        segment.drop()

    def _check_not_behind_end(self, offset: int) -> None:
        if offset > self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, before {offset}"
            raise OffsetTruncated(message)

    async def _in_worker(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))
        except OSError as error:
            message = f"cannot keep what is known of {self.name}: {error}"
            raise StorageError(message) from error
