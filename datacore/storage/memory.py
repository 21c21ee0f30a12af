"""The memory engine: logs that live as long as their engine object.

Rules:

- Everything is durable the moment it is appended: there is no crash that a reader could survive.
- An append is copied into a chunk, a buffer of fixed size that is written once from front to back.
  Chunks double in size with the log (4 KiB to 1 MiB), so that an idle log costs next to nothing;
  a larger append gets a chunk of its own.
- A read returns read-only views of chunks: one view for each chunk that it touches, however many
  batches lie in it. Written bytes never change, so a view stays what it was; dropping a chunk from
  the log leaves it to whoever still looks at it.
- A chunk is an extent. It ends when it is full or, where segments are limited, of their age.
- Every batch has an entry in its chunk's index (12 bytes), so that no read walks headers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datacore.storage.batches import max_timestamp_ms as batch_max_timestamp_ms
from datacore.storage.batches import single_batch, split_batches
from datacore.storage.engine import (
    Fenced,
    LogExtent,
    LogName,
    OffsetTruncated,
    Space,
    StorageError,
)
from datacore.storage.log_name import check_log_name
from datacore.storage.memory_chunk import CHUNK_SIZE_MAX, Chunk, Draft
from datacore.storage.segment_age import NEVER_MS, last_timestamp_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from datacore.storage.engine import EngineLog, SegmentLimits
    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer

CHUNK_SIZE_MIN: Final = 4 * 1024
BYTES_MAX: Final = 8 * 1024 * 1024 * 1024


class MemoryEngine:
    """An engine whose logs are gone when it is."""

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        """Makes an empty store.

        Args:
            bytes_max: Appends fail with ``StorageError`` rather than let all logs together hold
                more than this many bytes of batches.
        """
        self.bytes_max = bytes_max
        self.bytes_held = 0
        self._logs: dict[LogName, MemoryLog] = {}

    @property
    def place(self) -> str:
        """See ``Engine.place``."""
        return "memory"

    async def space(self) -> Space:
        """See ``Engine.space``: what all logs together may hold."""
        return Space(self.bytes_max, self.bytes_max - self.bytes_held)

    async def start(self) -> None:
        """See ``Engine.start``: there is nothing to make ready."""

    async def list_logs(self) -> Sequence[LogName]:
        """See ``Engine.list_logs``."""
        return list(self._logs)

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        """See ``Engine.open_log``."""
        check_log_name(name)
        before = self._logs.get(name)
        if before is None:
            log = MemoryLog(self, name, epoch, _Contents())
        else:
            log = before.hand_over(epoch)
        self._logs[name] = log
        return log

    async def delete_log(self, name: LogName) -> None:
        """See ``Engine.delete_log``."""
        log = self._logs.pop(name, None)
        if log is not None:
            log.delete()

    async def close(self) -> None:
        """See ``Engine.close``. The logs stay until the engine object goes."""
        for log in self._logs.values():
            await log.close()


@dataclass(slots=True)
class _Contents:
    """What passes from one owner of a log to the next."""

    chunks: list[Chunk] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    """The first offset of each chunk."""
    skipped_bytes: int = 0
    """Bytes of the first chunk that lie before the log's start."""
    snapshot: tuple[int, bytes] | None = None


class MemoryLog:
    """One log in memory; ``EngineLog`` says what its methods do."""

    __slots__ = (
        "_contents",
        "_engine",
        "_epoch",
        "_is_replacing",
        "_limits",
        "_refusal",
        "_roll_above_ms",
        "end_offset",
        "name",
        "size_bytes",
        "start_offset",
    )

    def __init__(
        self, engine: MemoryEngine, name: LogName, epoch: int, contents: _Contents
    ) -> None:
        self.name = name
        self.start_offset = 0
        self.end_offset = 0
        self.size_bytes = 0
        self._engine = engine
        self._epoch = epoch
        self._refusal: StorageError | None = None
        self._is_replacing = False
        self._contents = contents
        self._limits: SegmentLimits | None = None
        self._roll_above_ms = NEVER_MS
        """A larger timestamp goes to a new chunk."""

    @property
    def durable_end_offset(self) -> int:
        """See ``EngineLog``: the same as ``end_offset``."""
        return self.end_offset

    def append(
        self, data: Buffer, *, base_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Pending[None] | None:
        """See ``EngineLog.append``; always durable now."""
        if self._refusal is not None:
            raise self._refusal
        if base_offset != self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, not at {base_offset}"
            raise StorageError(message)
        extents = None if single_batch(data) else split_batches(data, base_offset, next_offset)
        size = len(data)
        engine = self._engine
        if engine.bytes_held + size > engine.bytes_max:
            message = f"the memory engine is full: {engine.bytes_max} bytes"
            raise StorageError(message)
        chunks = self._contents.chunks
        chunk = chunks[-1] if chunks else self._add_chunk(size, max_timestamp_ms)
        if chunk.used + size > chunk.capacity or max_timestamp_ms > self._roll_above_ms:
            chunk = self._add_chunk(size, max_timestamp_ms)
        start = chunk.used
        end = start + size
        chunk.writable[start:end] = data
        if extents is None:
            chunk.base_offsets.append(base_offset)
            chunk.ends.append(end)
        else:
            chunk.base_offsets.extend(extent.base_offset for extent in extents)
            chunk.ends.extend(start + extent.end for extent in extents)
        chunk.used = end
        if max_timestamp_ms > chunk.max_timestamp_ms:  # noqa: PLR1730  # half the cost of max()
            chunk.max_timestamp_ms = max_timestamp_ms
        self.end_offset = next_offset
        self.size_bytes += size
        engine.bytes_held += size
        return None

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """See ``EngineLog.read_warm``; everything is in memory."""
        return self._read(offset, max_bytes, before_offset)

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        """See ``EngineLog.read``."""
        return self._read(offset, max_bytes, before_offset)

    async def find_timestamp(self, timestamp_ms: int) -> int:
        """See ``EngineLog.find_timestamp``; exact."""
        for at, chunk in enumerate(self._contents.chunks):
            if chunk.max_timestamp_ms < timestamp_ms:
                continue
            first = chunk.find(self.start_offset) if at == 0 else 0
            for batch in range(first, len(chunk.ends)):
                start = chunk.start_of(batch)
                if batch_max_timestamp_ms(chunk.readable, start) >= timestamp_ms:
                    return max(chunk.base_offsets[batch], self.start_offset)
        return self.end_offset

    def limit_segments(self, limits: SegmentLimits) -> None:
        """See ``EngineLog.limit_segments``."""
        self._limits = limits
        if self._contents.chunks:
            first_timestamp_ms = self._contents.chunks[-1].first_timestamp_ms
            self._roll_above_ms = last_timestamp_ms(limits, first_timestamp_ms)

    async def extents(self) -> Sequence[LogExtent]:
        """See ``EngineLog.extents``."""
        if self._refusal is not None:
            raise self._refusal
        contents = self._contents
        if not contents.chunks and self.start_offset < self.end_offset:
            # Compaction took the batches that came first, and what was left of the log was cut off.
            return [LogExtent(self.start_offset, self.end_offset, 0, -1)]
        ends = [*contents.bases, self.end_offset][1:]
        skipped_bytes = contents.skipped_bytes
        extents = []
        for base_offset, next_offset, chunk in zip(
            contents.bases, ends, contents.chunks, strict=True
        ):
            start_offset = max(base_offset, self.start_offset)
            if start_offset < next_offset:  # all batches of a chunk may have been cut off
                size = chunk.used - skipped_bytes
                extents.append(LogExtent(start_offset, next_offset, size, chunk.max_timestamp_ms))
            skipped_bytes = 0
        return extents

    async def truncate_before(self, offset: int) -> None:
        """See ``EngineLog.truncate_before``."""
        if offset <= self.start_offset:
            return
        self._check_not_behind_end(offset)
        contents = self._contents
        dropped = len(contents.chunks)
        if offset < self.end_offset:
            dropped = max(bisect_right(contents.bases, offset) - 1, 0)
        dropped_bytes = sum(chunk.used for chunk in contents.chunks[:dropped])
        del contents.chunks[:dropped], contents.bases[:dropped]
        self._engine.bytes_held -= dropped_bytes
        self.size_bytes += contents.skipped_bytes - dropped_bytes
        first = contents.chunks[0] if contents.chunks else None
        contents.skipped_bytes = first.start_of(first.find(offset)) if first else 0
        self.size_bytes -= contents.skipped_bytes
        self.start_offset = offset

    async def truncate_after(self, offset: int) -> None:
        """See ``EngineLog.truncate_after``."""
        self._check_not_behind_end(offset)
        if offset < self.start_offset:
            message = f"{self.name} starts at offset {self.start_offset}, behind {offset}"
            raise OffsetTruncated(message)
        if offset == self.end_offset:
            return
        contents = self._contents
        kept = bisect_right(contents.bases, offset) - 1
        batch = contents.chunks[kept].find(offset) if kept >= 0 else 0
        if kept < 0 or offset not in contents.chunks[kept].base_offsets[batch : batch + 1]:
            message = f"no batch of {self.name} starts at offset {offset}"
            raise StorageError(message)
        dropped_bytes = sum(chunk.used for chunk in contents.chunks[kept:])
        dropped_bytes -= self._cut(kept, batch)
        self._engine.bytes_held -= dropped_bytes
        self.size_bytes -= dropped_bytes
        self.end_offset = offset
        if contents.snapshot is not None and contents.snapshot[0] > offset:
            contents.snapshot = None

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        """See ``EngineLog.replace``."""
        replaced = self._chunks_of(base_offset, next_offset)
        if self._is_replacing:
            message = f"a range of {self.name} is being replaced already"
            raise StorageError(message)
        self._is_replacing = True
        draft = Draft(self._engine, base_offset, next_offset)
        try:
            async for data in batches:
                draft.add(data)
            draft.finish()
            if self._chunks_of(base_offset, next_offset) != replaced:
                message = f"{self.name} has changed while a range of it was being replaced"
                raise StorageError(message)
        except BaseException:
            self._engine.bytes_held -= draft.size_bytes
            raise
        finally:
            self._is_replacing = False
        contents = self._contents
        first = contents.chunks.index(replaced[0])
        replaced_bytes = sum(chunk.used for chunk in replaced)
        self._engine.bytes_held -= replaced_bytes
        self.size_bytes += draft.size_bytes - replaced_bytes
        if first == 0:
            self.size_bytes += contents.skipped_bytes
            contents.skipped_bytes = 0
        bases = [contents.bases[first], *(chunk.next_offset for chunk in draft.chunks[:-1])]
        contents.chunks[first : first + len(replaced)] = draft.chunks
        contents.bases[first : first + len(replaced)] = bases

    def _chunks_of(self, base_offset: int, next_offset: int) -> list[Chunk]:
        """The chunks of a range that may be replaced.

        Raises:
            StorageError: There are none.
        """
        if self._refusal is not None:
            raise self._refusal
        bases = self._contents.bases
        first = bisect_right(bases, base_offset) - 1
        end = bisect_left(bases, next_offset)
        if (
            not 0 <= first < end < len(bases)
            or max(bases[first], self.start_offset) != base_offset
            or bases[end] != next_offset
        ):
            message = f"{base_offset} to {next_offset - 1} are no extents of {self.name} to replace"
            raise StorageError(message)
        return self._contents.chunks[first:end]

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        """See ``EngineLog.save_snapshot``."""
        if self._refusal is not None:
            raise self._refusal
        self._check_not_behind_end(offset)
        self._contents.snapshot = (offset, bytes(snapshot))

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        """See ``EngineLog.load_snapshot``."""
        return self._contents.snapshot

    async def close(self) -> None:
        """See ``EngineLog.close``."""
        if self._refusal is None:
            self._refusal = StorageError(f"{self.name} is closed")

    def hand_over(self, epoch: int) -> MemoryLog:
        """What the next owner gets; this object refuses everything from now on.

        Raises:
            Fenced: This object's owner has the higher epoch.
            StorageError: It has the same epoch and is still open.
        """
        if epoch < self._epoch:
            message = f"{self.name} was opened with epoch {self._epoch}, behind which is {epoch}"
            raise Fenced(message)
        if self._refusal is None and epoch == self._epoch:
            message = f"{self.name} is open already, with the same epoch {epoch}"
            raise StorageError(message)
        log = MemoryLog(self._engine, self.name, epoch, self._contents)
        log.start_offset = self.start_offset
        log.end_offset = self.end_offset
        log.size_bytes = self.size_bytes
        self._contents = _Contents()
        self._refusal = Fenced(f"{self.name} was opened with epoch {epoch}, this is {self._epoch}")
        return log

    def delete(self) -> None:
        """Drops everything; this object refuses everything from now on."""
        self._engine.bytes_held -= sum(chunk.used for chunk in self._contents.chunks)
        self._contents = _Contents()
        self._refusal = StorageError(f"{self.name} was deleted")

    def _read(self, offset: int, max_bytes: int, before_offset: int) -> list[Buffer]:
        if self._refusal is not None:
            raise self._refusal
        if not self.start_offset <= offset <= self.end_offset:
            message = f"{self.name} holds {self.start_offset} to {self.end_offset}, not {offset}"
            raise OffsetTruncated(message)
        buffers: list[Buffer] = []
        if offset >= before_offset or offset == self.end_offset:
            return buffers
        chunks = self._contents.chunks
        if not chunks:
            return buffers
        at = max(bisect_right(self._contents.bases, offset) - 1, 0)
        first = chunks[at].find(offset)
        if first == len(chunks[at].ends):  # what contained it fell out, at the end of a chunk
            at, first = at + 1, 0
        remaining = max_bytes
        while at < len(chunks):
            chunk = chunks[at]
            start = chunk.start_of(first)
            stop = bisect_right(chunk.ends, start + remaining)
            if stop <= first:
                if buffers:
                    break
                stop = first + 1
            if before_offset < self.end_offset:
                stop = min(stop, bisect_left(chunk.base_offsets, before_offset))
                if stop <= first:
                    break
            end = chunk.ends[stop - 1]
            buffers.append(chunk.readable[start:end])
            remaining -= end - start
            if stop < len(chunk.ends) or remaining <= 0:
                break
            at += 1
            first = 0
        return buffers

    def _check_not_behind_end(self, offset: int) -> None:
        if self._refusal is not None:
            raise self._refusal
        if offset > self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, before {offset}"
            raise OffsetTruncated(message)

    def _add_chunk(self, size: int, timestamp_ms: int) -> Chunk:
        contents = self._contents
        # Not by its capacity: one that ended of age may have used little of it.
        last = contents.chunks[-1].used if contents.chunks else 0
        capacity = min(max(last * 2, CHUNK_SIZE_MIN), CHUNK_SIZE_MAX)
        if self._limits is not None:
            capacity = min(capacity, self._limits.size_bytes)
        chunk = Chunk(max(size, capacity))
        chunk.first_timestamp_ms = timestamp_ms
        self._roll_above_ms = last_timestamp_ms(self._limits, timestamp_ms)
        # What may lie before the first chunk fell out by compaction.
        contents.bases.append(self.end_offset if contents.chunks else self.start_offset)
        contents.chunks.append(chunk)
        return chunk

    def _cut(self, kept: int, batch: int) -> int:
        """Drops the batches from index ``batch`` of chunk ``kept`` on, and seals that chunk.

        Returns:
            The bytes of chunk ``kept`` that stay.
        """
        contents = self._contents
        if batch == 0:
            del contents.chunks[kept:], contents.bases[kept:]
            return 0
        del contents.chunks[kept + 1 :], contents.bases[kept + 1 :]
        chunk = contents.chunks[kept]
        used = chunk.ends[batch - 1]
        del chunk.base_offsets[batch:], chunk.ends[batch:]
        # Readers may hold views of what lies behind: those bytes are not written again.
        chunk.used = chunk.capacity = used
        chunk.max_timestamp_ms = max(
            batch_max_timestamp_ms(chunk.readable, chunk.start_of(at)) for at in range(batch)
        )
        return used
