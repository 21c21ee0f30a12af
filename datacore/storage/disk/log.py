"""One log on disk.

Rules:

- Appends and warm reads run on the event loop's thread and touch nothing but the page cache.
- ``append`` writes behind everything written before and asks for a round of group commit
  (``flusher.py``). ``LogReader.durable`` marks what the last round that succeeded has synced.
- When a round fails, the log goes back to that mark and on in a new file: after a failed fdatasync
  the kernel may have marked pages clean that never reached the device, so nothing that shared
  them is written to or trusted again. What the mark covers was synced by an earlier round.
- What moves the log's ends otherwise is ``async``, one at a time, and never meets a round.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from datacore.storage.batches import max_timestamp_ms as batch_max_timestamp_ms
from datacore.storage.batches import single_batch, split_batches
from datacore.storage.disk.checkpoint import recovery_point, take_checkpoint
from datacore.storage.disk.config import INT32_MAX
from datacore.storage.disk.files import write_all
from datacore.storage.disk.flush_task import LogFlush, Mark
from datacore.storage.disk.log_reader import LogReader
from datacore.storage.disk.scan import FoundBatch
from datacore.storage.disk.segment import Segment
from datacore.storage.disk.segment_list import SegmentList
from datacore.storage.disk.snapshot import drop_snapshot, read_snapshot, write_snapshot
from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import LogName, OffsetTruncated, StorageError
from datacore.storage.pending import Pending
from datacore.storage.segment_age import NEVER_MS, last_timestamp_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datacore.storage.batches import Extent
    from datacore.storage.disk.checkpoint import Checkpoint
    from datacore.storage.disk.recovery import OpenedFolder
    from datacore.storage.disk.store import Store
    from datacore.storage.engine import LogExtent, SegmentLimits
    from datacore.wire.buffer import Buffer

P = ParamSpec("P")
T = TypeVar("T")


UNKNOWN_MS: Final = -1


class DiskLog:
    """One log on disk; ``EngineLog`` says what its methods do."""

    __slots__ = (
        "_checkpoint",
        "_checkpoint_bytes",
        "_checkpoint_is_due",
        "_dirty",
        "_flusher",
        "_folder",
        "_interval_bytes",
        "_is_suspect",
        "_is_sync",
        "_is_waiting",
        "_limits",
        "_lock",
        "_next_round",
        "_pwrite",
        "_reader",
        "_refusal",
        "_roll_above_ms",
        "_segment_bytes",
        "_segments",
        "_skipped_bytes",
        "_state",
        "_store",
        "_unchecked_bytes",
        "_unsealed",
        "_unsynced_folders",
        "durable_end_offset",
        "end_offset",
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
        self._flusher = store.flusher
        self._pwrite = store.files.pwrite
        self._is_sync = store.config.sync
        self._segment_bytes = store.config.segment_bytes
        self._interval_bytes = store.config.index_interval_bytes
        self._checkpoint_bytes = store.config.checkpoint_bytes
        self._folder = opened.folder
        self._state = opened.state
        self._segments = SegmentList(opened.segments)
        self._reader = LogReader(store, name, self._segments, self._mark())
        self._skipped_bytes = opened.skipped_bytes
        """Bytes of the first segment before the batch that contains ``start_offset``."""
        self.size_bytes = self._segments.size_bytes - opened.skipped_bytes
        self._is_suspect = False
        """The segment that is written failed to sync: it is not written to again."""
        self._dirty: list[tuple[Segment, int]] = []
        """Segments written since the last round began, and from which position."""
        self._unsealed: list[Segment] = []
        """Segments that are full and whose index files are not complete."""
        self._unsynced_folders = [opened.folder, opened.folder.parent] if opened.is_new else []
        if not opened.state.is_synced and not opened.is_new:
            self._unsynced_folders.append(opened.folder)
        self._next_round: Pending[None] | None = None
        """Settled by the round that has not begun yet."""
        self._is_waiting = False
        """The flusher will ask for that round."""
        self._checkpoint: Checkpoint | None = None
        """Being written."""
        self._checkpoint_is_due = False
        self._unchecked_bytes = 0
        """Appended since the last checkpoint."""
        self._refusal: StorageError | None = None
        self._limits: SegmentLimits | None = None
        self._roll_above_ms = NEVER_MS
        """A larger timestamp goes to a new file; ``UNKNOWN_MS``: the first one is to be read."""
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
        segment = self._writable_segment(size, next_offset, max_timestamp_ms)
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
            segment.is_dirty = True
            self._dirty.append((segment, position))
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
        self._unchecked_bytes += size
        return self._written(next_offset)

    def _written(self, next_offset: int) -> Pending[None] | None:
        """What an append returns: now, or the round that is to come."""
        if not self._is_sync:
            self.durable_end_offset = next_offset
            if self._unchecked_bytes > self._checkpoint_bytes:
                self._ask_for_checkpoint()
            return None
        pending = self._next_round
        if pending is None:
            pending = self._next_round = Pending()
            self._ask_for_round()
        return pending

    def _note_batches(
        self, segment: Segment, data: Buffer, position: int, extents: list[Extent]
    ) -> None:
        for start, end, base_offset, last_offset in extents:
            timestamp_ms = batch_max_timestamp_ms(data, start)
            found = FoundBatch(
                position + start, position + end, base_offset, last_offset, timestamp_ms
            )
            segment.note_batches(found, self._interval_bytes)

    def _writable_segment(self, size: int, next_offset: int, max_timestamp_ms: int) -> Segment:
        """The segment that an append of ``size`` bytes goes to, opened or made."""
        segments = self._segments.segments
        segment = segments[-1] if segments else None
        try:
            if (
                segment is None
                or self._is_suspect
                or (segment.size + size > self._segment_bytes and segment.size > 0)
                or next_offset - segment.base_offset > INT32_MAX
            ):
                return self._roll()
            if segment.fd < 0:
                segment.fd = self._store.files.open(str(segment.path(".log")), os.O_RDWR)
                self._store.open_files.add(segment)
            if max_timestamp_ms > self._roll_above_ms and segment.size > 0:
                if self._roll_above_ms == UNKNOWN_MS:
                    first_timestamp_ms = self._reader.first_timestamp(segment)
                    self._roll_above_ms = last_timestamp_ms(self._limits, first_timestamp_ms)
                if max_timestamp_ms > self._roll_above_ms:
                    return self._roll()
        except OSError as error:
            message = f"cannot open a segment of {self.name}: {error}"
            raise StorageError(message) from error
        return segment

    def _forget_first_timestamp(self) -> None:
        self._roll_above_ms = NEVER_MS if self._limits is None else UNKNOWN_MS

    def _roll(self) -> Segment:
        """Goes on in a new file."""
        old = self._segments.active
        if old is not None and old.base_offset == self.end_offset:
            # Empty, because a flush failed or its first write did: the new file takes its name.
            count = len(self._segments.segments)
            self._segments.drop(count - 1, count, self._store.janitor)
            old = None
        segment = Segment(self._folder, self.end_offset)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        segment.fd = self._store.files.open(str(segment.path(".log")), flags)
        segment.make_indexes()
        self._store.open_files.add(segment)
        if old is not None:
            old.index_timestamp()
            self._unsealed.append(old)
            self._ask_for_checkpoint()
        self._segments.add(segment)
        self._forget_first_timestamp()
        self._is_suspect = False
        if self._folder not in self._unsynced_folders:
            self._unsynced_folders.append(self._folder)
        return segment

    def _forget_write(self, segment: Segment, position: int) -> None:
        """Takes back what was written behind ``position``."""
        try:
            self._store.files.ftruncate(segment.fd, position)
        except OSError as error:
            # The next append writes over it or goes elsewhere, and recovery cuts it off.
            LOGGER.warning("%s: cannot cut a failed write: %s", segment.path(".log"), error)

    # --- group commit

    def begin_round(self) -> LogFlush | None:
        """See ``FlushSource``."""
        self._is_waiting = False
        checkpoint = self._begin_checkpoint()
        if self._next_round is None and checkpoint is None:
            return None
        task = LogFlush(
            self,
            self._store.files,
            self._state,
            self._next_round,
            self._mark(),
            self._dirty,
            self._unsynced_folders,
            checkpoint,
        )
        for segment, _ in self._dirty:
            segment.is_dirty = False
            segment.pin()
        self._dirty = []
        self._unsynced_folders = []
        self._next_round = None
        return task

    def note_flushed(self, task: LogFlush) -> None:
        """A round has ended: moves the durable end, or goes back to it."""
        if task.error is None:
            mark = task.mark
            is_gone = mark.segment is not None and mark.segment.is_gone
            self._reader.durable = Mark(mark.offset) if is_gone else mark
            self.durable_end_offset = max(self.durable_end_offset, mark.offset)
            return
        LOGGER.error("%s: cannot sync: %s", self._folder, task.error)
        self._unsynced_folders = [*task.folders, *self._unsynced_folders]
        if self._is_sync:
            self._drop_undurable(task.error)

    def answer_flushed(self, task: LogFlush) -> None:
        """Calls those who wait for the round."""
        if task.pending is None:
            return
        if task.error is None:
            task.pending.resolve(None)
        else:
            task.pending.fail(self._flush_error(task.error))

    def note_checkpoint(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is written, or will be tried again."""
        self._checkpoint = None
        if checkpoint.error is None:
            for segment in checkpoint.sealed:
                segment.is_sealed = True
            self._unsealed = [segment for segment in self._unsealed if not segment.is_sealed]
        else:
            LOGGER.warning("%s: cannot write a checkpoint: %s", self._folder, checkpoint.error)
            for segment in self._segments.segments:
                segment.forget_written_indexes()
        checkpoint.done.resolve(None)

    def _mark(self) -> Mark:
        segment = self._segments.active
        if segment is None:
            return Mark(self.end_offset)
        return Mark(
            self.end_offset,
            segment,
            segment.size,
            segment.max_timestamp_ms,
            segment.max_timestamp_offset,
        )

    def _ask_for_round(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._flusher.add(self)

    def _ask_for_checkpoint(self) -> None:
        self._checkpoint_is_due = True
        self._ask_for_round()

    def _begin_checkpoint(self) -> Checkpoint | None:
        """What a checkpoint would write now, when one is due."""
        is_due = self._checkpoint_is_due or self._unchecked_bytes > self._checkpoint_bytes
        active = self._segments.active
        if not is_due or self._checkpoint is not None or active is None:
            return None
        self._checkpoint_is_due = False
        self._unchecked_bytes = 0
        self._checkpoint = take_checkpoint(self._unsealed, active, self.end_offset)
        return self._checkpoint

    def _flush_error(self, error: OSError) -> StorageError:
        return StorageError(f"cannot make {self.name} durable: {error}")

    def _drop_undurable(self, error: OSError) -> None:
        """Goes back to the durable end after a failed flush."""
        mark = self._reader.durable
        segments = self._segments.segments
        kept = len(segments)
        while kept and segments[kept - 1] is not mark.segment:
            if segments[kept - 1].base_offset < mark.offset:
                break
            kept -= 1
        self._segments.drop(kept, len(segments), self._store.janitor)
        for segment, _ in self._dirty:
            segment.is_dirty = False
        self._dirty = []
        active = self._segments.active
        if active is not None:
            self._is_suspect = True
            if active is mark.segment:
                active.truncate(mark.size, mark.offset)
                active.max_timestamp_ms = mark.max_timestamp_ms
                active.max_timestamp_offset = mark.max_timestamp_offset
                self._forget_write(active, mark.size)
        self._moved(mark.offset)
        pending = self._next_round
        self._next_round = None
        if pending is not None:
            pending.fail(self._flush_error(error))

    def _moved(self, end_offset: int) -> None:
        """The log now ends there, all of it durable."""
        self._segments.note_cut()
        self._forget_first_timestamp()
        self._unsealed = [segment for segment in self._unsealed if not segment.is_gone]
        self.end_offset = self.durable_end_offset = end_offset
        self.size_bytes = self._segments.size_bytes - self._skipped_bytes
        self._reader.durable = self._mark()

    # --- reading

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """See ``EngineLog.read_warm``."""
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
        """See ``EngineLog.limit_segments``; no file grows beyond the engine's own limit either."""
        self._limits = limits
        self._segment_bytes = min(limits.size_bytes, self._store.config.segment_bytes)
        self._forget_first_timestamp()

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
            if offset > self._reader.durable.offset:
                await self._flush()
            await self._in_worker(self._state.update, sync=True, start_offset=offset)
            self.start_offset = offset
            segments = self._segments
            dropped = len(segments.segments)
            if offset < self.end_offset:
                dropped = segments.index_of(offset)
            segments.drop(0, dropped, self._store.janitor)
            self._unsealed = [segment for segment in self._unsealed if not segment.is_gone]
            if self._reader.durable.segment is not None and self._reader.durable.segment.is_gone:
                self._reader.durable = Mark(self._reader.durable.offset)
            self._skipped_bytes = 0
            if segments.segments:
                self._skipped_bytes = await self._reader.position_of(offset)
            self.size_bytes = segments.size_bytes - self._skipped_bytes

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
            await self._flush()
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
        # First the promise that the tail is whole goes, then the tail.
        point = recovery_point(kept, offset)
        await self._in_worker(self._state.update, sync=True, recovery_point=point)
        segments.drop(at + 1, len(segments.segments), self._store.janitor)
        self._moved(offset)
        await self._in_worker(self._cut_file, kept)
        await self._in_worker(drop_snapshot, self._folder, offset)

    def _cut_file(self, segment: Segment) -> None:
        self._store.files.ftruncate(segment.fd, segment.size)
        self._store.files.fdatasync(segment.fd)

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        """See ``EngineLog.save_snapshot``."""
        async with self._lock:
            self._check_open()
            self._check_not_behind_end(offset)
            if offset > self._reader.durable.offset:
                await self._flush()
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
        if self._refusal is not None:
            return
        self._refusal = refusal
        async with self._lock:
            try:
                await self._flush()
            finally:
                for segment in self._segments.segments:
                    segment.drop()

    def _check_not_behind_end(self, offset: int) -> None:
        if offset > self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, before {offset}"
            raise OffsetTruncated(message)

    async def _flush(self) -> None:
        """Makes everything durable, with a checkpoint behind it; then no round is under way.

        Raises:
            StorageError: What was not durable is lost.
        """
        if self._next_round is None:
            self._next_round = Pending()
        pending = self._next_round
        if self._unchecked_bytes or self._unsealed:
            self._checkpoint_is_due = True
        self._ask_for_round()
        try:
            await pending
        finally:
            while self._checkpoint is not None:
                await self._checkpoint.done

    async def _in_worker(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))
        except OSError as error:
            message = f"cannot keep what is known of {self.name}: {error}"
            raise StorageError(message) from error
