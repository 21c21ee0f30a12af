"""One log over a store of chunks; ``EngineLog`` says what its methods do.

Rules:

- What was appended is in memory, pinned, until the store has it; then the cache may forget it.
- A round of group commit that fails, or of which nobody knows, costs the log everything that was
  not durable; so does another change of which nobody knows. Before the next append it becomes its
  own owner anew, so that a statement that may still be under way cannot do anything any more, and
  learns from the store where it ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from datacore.storage.batches import split_batches
from datacore.storage.chunked.cache import CachedLog
from datacore.storage.chunked.chunk import Chunk
from datacore.storage.chunked.replacement import Replacement
from datacore.storage.chunked.round import Gathered
from datacore.storage.chunked.segments import Segments
from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, LogName, OffsetTruncated, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from datacore.storage.chunked.cache import ChunkCache
    from datacore.storage.chunked.config import ChunkedConfig
    from datacore.storage.chunked.flusher import Flusher
    from datacore.storage.chunked.store import ChunkStore, Learned, OpenedLog, Round
    from datacore.storage.engine import LogExtent, SegmentLimits
    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer


class LogStore(Protocol):
    """What all logs of an engine share."""

    flusher: Flusher
    cache: ChunkCache

    @property
    def config(self) -> ChunkedConfig:
        """Limits."""

    @property
    def store(self) -> ChunkStore:
        """Where the chunks are."""


class ChunkedLog:
    """One open log."""

    __slots__ = (
        "_cached",
        "_changes",
        "_changing",
        "_engine",
        "_in_flight",
        "_is_lost",
        "_is_quiet",
        "_is_replacing",
        "_limits",
        "_owner",
        "_refusal",
        "_rounds",
        "_segments",
        "_unread_summary",
        "durable_end_offset",
        "end_offset",
        "epoch",
        "log_id",
        "name",
        "size_bytes",
        "start_offset",
    )

    def __init__(self, engine: LogStore, name: LogName, epoch: int, opened: OpenedLog) -> None:
        self.name = name
        self.epoch = epoch
        self.log_id = opened.log_id
        self.start_offset = opened.start_offset
        self.end_offset = self.durable_end_offset = opened.end_offset
        self.size_bytes = 0
        self._engine = engine
        self._owner = opened.owner
        self._segments = Segments([])
        self._limits: SegmentLimits | None = None
        self._cached = CachedLog(engine.cache)
        self._rounds: deque[Gathered] = deque()
        """What no worker has taken yet."""
        self._in_flight: Gathered | None = None
        self._refusal: StorageError | None = None
        self._is_lost = False
        """A round has failed, and the store has not been asked since what it has."""
        self._is_quiet = False
        """Rounds wait."""
        self._is_replacing = False
        self._changes = 0
        """How often the store's batches became others: what was fetched before is not kept."""
        self._changing = asyncio.Lock()
        """Held by whoever changes what is durable, appends apart."""
        self._unread_summary: tuple[tuple[int, bytes] | None] | None = None
        """What came with the opening, for who asks first; None where nobody knows."""

    async def begin(self, learned: Learned | None) -> None:
        """Makes use of what came with the opening, and asks where nothing did."""
        if learned is None:
            await self.learn()
            return
        self._segments = Segments(learned.segments)
        for chunk in learned.chunks:
            self._cached.add(chunk)
        if learned.is_summary_known:
            self._unread_summary = (learned.summary,)
        await self._learn_start(learned.stored_bytes)

    async def learn(self) -> None:
        """Reads what the store knows of the log's segments; no round is under way."""
        self._segments = Segments(await self._engine.store.segments(self.log_id))
        self._segments.limit(self._limits)
        await self._learn_start()

    async def _learn_start(self, stored_bytes: int | None = None) -> None:
        """Counts out what lies before the start; no round is under way."""
        segments = self._segments
        segments.drop_before(self.start_offset)
        if segments.all:
            first = segments.all[0]
            if stored_bytes is None:
                stored_bytes = await self._engine.store.stored_bytes(
                    self.log_id, self.start_offset, min(first.next_offset, self.durable_end_offset)
                )
            segments.skipped_bytes = first.durable_bytes - stored_bytes
            if first.base_offset < self.start_offset < self.durable_end_offset:
                chunk = await self._stored_chunk(self.start_offset)
                segments.skipped_bytes += chunk.position_of(self.start_offset)
        self.size_bytes = segments.readable_bytes()

    @property
    def is_open(self) -> bool:
        """Whether its owner may still use it."""
        return self._refusal is None

    # --- appending

    def append(
        self, data: Buffer, *, base_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Pending[None] | None:
        """See ``EngineLog.append``; never durable now."""
        self._check_usable()
        if base_offset != self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, not at {base_offset}"
            raise StorageError(message)
        extents = split_batches(data, base_offset, next_offset)
        engine = self._engine
        size = len(data)
        if engine.flusher.unflushed_bytes + size > engine.config.unflushed_bytes_max:
            message = "the store is behind: what it has not stored yet fills the memory for it"
            raise StorageError(message)
        chunk = Chunk(
            bytes(data),
            base_offset=base_offset,
            next_offset=next_offset,
            max_timestamp_ms=max_timestamp_ms,
            extents=extents,
        )
        rounds = self._rounds
        if not rounds or rounds[-1].size + size > engine.config.flush_bytes:
            rounds.append(Gathered(base_offset))
        rounds[-1].add(chunk, self._segments.append(chunk))
        self._cached.pin(chunk)
        engine.flusher.unflushed_bytes += size
        self.size_bytes += size
        self.end_offset = next_offset
        pending = rounds[-1].pending
        if self._in_flight is None:
            engine.flusher.note(self)
        return pending

    def take_round(self) -> tuple[Gathered, Round] | None:
        """See ``Flushable``."""
        if self._in_flight is not None or self._is_quiet or not self._rounds:
            return None
        self._in_flight = gathered = self._rounds.popleft()
        return gathered, gathered.as_round(self.log_id, self._owner)

    def stored(self, gathered: Gathered, round_: Round) -> None:
        """See ``Flushable``."""
        if gathered is not self._in_flight:
            return  # deleted meanwhile
        self._in_flight = None
        self._cached.stored(gathered.chunks, round_.chunks)
        self._segments.stored(gathered.growths)
        self._engine.flusher.unflushed_bytes -= gathered.size
        self.durable_end_offset = gathered.next_offset
        if self._rounds:
            self._engine.flusher.note(self)
        gathered.pending.resolve(None)

    def lost(self, error: StorageError) -> None:
        """See ``Flushable``: what was not durable is no more."""
        if isinstance(error, Fenced):
            self._refusal = self._refusal or error
        self._is_lost = True
        self._changes += 1
        failed = [*([self._in_flight] if self._in_flight else []), *self._rounds]
        self._in_flight = None
        self._rounds.clear()
        self._cached.drop(self.durable_end_offset, self.end_offset)
        self.end_offset = self.durable_end_offset
        for gathered in failed:
            self._engine.flusher.unflushed_bytes -= gathered.size
            self.size_bytes -= gathered.size
        for gathered in failed:
            gathered.pending.fail(error)

    async def drain(self) -> None:
        """Waits until everything that was appended is durable.

        Raises:
            StorageError: Something was lost.
        """
        while self._in_flight is not None or self._rounds:
            last = self._rounds[-1] if self._rounds else self._in_flight
            assert last is not None
            await last.pending

    @asynccontextmanager
    async def _quiet(self) -> AsyncIterator[None]:
        """While it lasts no round is under way: what is durable stays what it is.

        Raises:
            StorageError: The log is not usable by then.
        """
        async with self._changing:
            self._is_quiet = True
            try:
                if self._in_flight is not None:
                    await self._in_flight.pending
                self._check_usable()
                yield
            finally:
                self._is_quiet = False
                if self._rounds:
                    self._engine.flusher.note(self)

    @asynccontextmanager
    async def _change(self, base_offset: int) -> AsyncIterator[None]:
        """While it lasts what is durable becomes something else, from ``base_offset`` on.

        Raises:
            StorageError: It did not, or nobody knows; then the store is asked before the next use.
        """
        async with self._quiet():
            try:
                yield
            except Unavailable as error:
                self._cached.drop(base_offset, self.end_offset)
                self.lost(error)
                raise

    async def _settle(self) -> None:
        """Learns what the store has, where a round was lost.

        Raises:
            StorageError: The store does not answer, or the log is somebody else's.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._is_lost:
            async with self._changing:
                await self._own_again()

    async def _own_again(self) -> None:
        if not self._is_lost:
            return  # somebody else has waited for the same
        try:
            opened = await self._engine.store.own_again(self.log_id, self._owner)
        except Fenced as error:
            self._refusal = error
            raise
        self._owner = opened.owner
        self._unread_summary = None
        self.start_offset = opened.start_offset
        self.end_offset = self.durable_end_offset = opened.end_offset
        await self.learn()
        self._is_lost = False

    def _check_usable(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._is_lost:
            message = f"{self.name} waits for its store"
            raise StorageError(message)

    # --- reading

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """See ``EngineLog.read_warm``."""
        if not self._has_to_read(offset, before_offset):
            return []
        buffers: list[Buffer] = []
        at, remaining = offset, max_bytes
        while True:
            chunk = self._cached.find(at)
            if chunk is None:
                return None
            goes_on, remaining = _gather(chunk, buffers, at, remaining, before_offset)
            at = chunk.next_offset
            if not goes_on or at >= self.end_offset or at >= before_offset:
                return buffers

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        """See ``EngineLog.read``."""
        buffers: list[Buffer] = []
        fetched: dict[int, Chunk] = {}
        at, remaining = offset, max_bytes
        while self._has_to_read(offset, before_offset):
            chunk = fetched.get(at) or self._cached.find(at)
            if chunk is None:
                found = await self._fetch(at, before_offset, remaining)
                fetched = {each.base_offset: each for each in found}
                fetched[at] = chunk = found[0]
            goes_on, remaining = _gather(chunk, buffers, at, remaining, before_offset)
            at = chunk.next_offset
            if not goes_on or at >= self.end_offset or at >= before_offset:
                break
        return buffers

    def _has_to_read(self, offset: int, before_offset: int) -> bool:
        if self._refusal is not None:
            raise self._refusal
        if not self.start_offset <= offset <= self.end_offset:
            message = f"{self.name} holds {self.start_offset} to {self.end_offset}, not {offset}"
            raise OffsetTruncated(message)
        return offset < before_offset and offset != self.end_offset

    async def _fetch(self, offset: int, before_offset: int, max_bytes: int) -> list[Chunk]:
        """Chunks of the store from the one that answers for ``offset``; they are cached."""
        max_bytes = max(min(max_bytes, self._engine.config.cache_bytes // 4), 0)
        changes = self._changes
        found = await self._engine.store.read(self.log_id, offset, before_offset, max_bytes)
        if not found or not found[0].base_offset <= offset < found[0].next_offset:
            if self._refusal is not None:
                raise self._refusal
            if offset < self.start_offset:
                message = f"{self.name} starts at offset {self.start_offset} by now"
                raise OffsetTruncated(message)
            message = f"{self.name} is damaged: nothing holds offset {offset}"
            raise StorageError(message)
        for chunk in found:
            if chunk.next_offset <= self.durable_end_offset and changes == self._changes:
                self._cached.add(chunk)
        return found

    async def _stored_chunk(self, offset: int) -> Chunk:
        """The chunk that answers for ``offset``, as the store cuts them; the cache may differ."""
        return (await self._fetch(offset, offset + 1, 0))[0]

    async def find_timestamp(self, timestamp_ms: int) -> int:
        """See ``EngineLog.find_timestamp``; exact."""
        await self._settle()
        for segment in list(self._segments.all):
            if segment.max_timestamp_ms < timestamp_ms:
                continue
            at = max(segment.base_offset, self.start_offset)
            while at < min(segment.next_offset, self.durable_end_offset):
                chunk = await self._engine.store.find_timestamp(
                    self.log_id, timestamp_ms, max(at, self.start_offset)
                )
                if chunk is None or chunk.base_offset >= segment.next_offset:
                    break
                found = chunk.offset_of_timestamp(timestamp_ms, self.start_offset)
                if found is not None:
                    return found
                at = chunk.next_offset
        for gathered in (self._in_flight, *self._rounds):
            for chunk in gathered.chunks if gathered else ():
                found = chunk.offset_of_timestamp(timestamp_ms, self.start_offset)
                if found is not None:
                    return found
        return self.end_offset

    # --- extents

    def limit_segments(self, limits: SegmentLimits) -> None:
        """See ``EngineLog.limit_segments``."""
        self._limits = limits
        self._segments.limit(limits)

    async def extents(self) -> Sequence[LogExtent]:
        """See ``EngineLog.extents``."""
        await self._settle()
        return self._segments.extents(self.start_offset)

    async def truncate_before(self, offset: int) -> None:
        """See ``EngineLog.truncate_before``."""
        await self._settle()
        if offset <= self.start_offset:
            return
        self._check_not_behind_end(offset)
        if offset > self.durable_end_offset:
            await self.drain()
        async with self._change(self.start_offset):
            if offset > self.start_offset:
                await self._engine.store.truncate_before(self.log_id, self._owner, offset)
                self.start_offset = offset
                self._cached.drop_before(offset)
                await self._learn_start()

    async def truncate_after(self, offset: int) -> None:
        """See ``EngineLog.truncate_after``."""
        await self._settle()
        self._check_not_behind_end(offset)
        if offset < self.start_offset:
            message = f"{self.name} starts at offset {self.start_offset}, behind {offset}"
            raise OffsetTruncated(message)
        if offset == self.end_offset:
            return
        await self.drain()
        async with self._change(offset):
            self._unread_summary = None
            chunk = await self._stored_chunk(offset)
            if not chunk.is_base_offset(offset):
                message = f"no batch of {self.name} starts at offset {offset}"
                raise StorageError(message)
            last = chunk.before(offset) if chunk.base_offset < offset else None
            await self._engine.store.truncate_after(self.log_id, self._owner, offset, last)
            self._changes += 1
            self._cached.drop(offset, self.end_offset)
            self.end_offset = self.durable_end_offset = offset
            await self.learn()

    async def move(self, moving: Callable[[], Awaitable[object]]) -> None:
        """Lets the store keep the same batches in other chunks, while nothing else changes.

        Raises:
            StorageError: The log is not usable, or the store says no.
        """
        async with self._changing:
            self._check_usable()
            await moving()

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        """See ``EngineLog.replace``."""
        await self._settle()
        if self._is_replacing:
            message = f"a range of {self.name} is being replaced already"
            raise StorageError(message)
        self._is_replacing = True
        store = self._engine.store
        try:
            replaced = self._segments.range(base_offset, next_offset, self.start_offset)
            if next_offset > self.durable_end_offset:
                await self.drain()
            start_offset = self.start_offset
            replacement = Replacement(replaced[0].base_offset, next_offset, self._limits)
            await store.drop_replacement(self.log_id)
            async for data in batches:
                for chunk in replacement.add(data):
                    await store.prepare_replacement(self.log_id, [chunk])
            await store.prepare_replacement(self.log_id, replacement.finish())
            async with self._change(replaced[0].base_offset):
                still = self._segments.range(base_offset, next_offset, self.start_offset)
                if still != replaced or start_offset != self.start_offset:
                    message = f"{self.name} was cut while a range of it was being replaced"
                    raise StorageError(message)
                await store.replace(
                    self.log_id,
                    self._owner,
                    replaced[0].base_offset,
                    next_offset,
                    replacement.segments,
                )
                self._changes += 1
                self._cached.drop(replaced[0].base_offset, next_offset)
                self._segments.replace(replaced, replacement.segments)
                await self._learn_start()
        finally:
            self._is_replacing = False

    # --- summaries

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        """See ``EngineLog.save_snapshot``."""
        await self._settle()
        self._unread_summary = None
        self._check_not_behind_end(offset)
        if offset > self.durable_end_offset:
            await self.drain()
        await self._engine.store.save_snapshot(self.log_id, self._owner, offset, bytes(snapshot))

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        """See ``EngineLog.load_snapshot``."""
        await self._settle()
        unread, self._unread_summary = self._unread_summary, None
        if unread is not None:
            return unread[0]
        return await self._engine.store.load_snapshot(self.log_id)

    # --- life

    async def close(self) -> None:
        """See ``EngineLog.close``."""
        if self._refusal is not None:
            return
        try:
            await self.drain()
        finally:
            self.refuse(StorageError(f"{self.name} is closed"))
            await self._engine.store.close_log(self.log_id, self._owner)

    def refuse(self, error: StorageError) -> None:
        """Refuses everything from now on, and drops what is not durable."""
        if self._refusal is None:
            self._refusal = error
            self.lost(error)
            self._cached.drop_before(self.end_offset)

    def _check_not_behind_end(self, offset: int) -> None:
        if offset > self.end_offset:
            message = f"{self.name} ends at offset {self.end_offset}, before {offset}"
            raise OffsetTruncated(message)


def _gather(
    chunk: Chunk, buffers: list[Buffer], offset: int, remaining: int, before_offset: int
) -> tuple[bool, int]:
    """Adds what a chunk has of a read.

    Returns:
        Whether the next chunk may have more, and how many bytes of it are wanted.
    """
    found, goes_on = chunk.cut(offset, remaining, before_offset, is_first=not buffers)
    if found is not None:
        buffers.append(found)
        remaining -= len(found)
    return goes_on, max(remaining, 0)
