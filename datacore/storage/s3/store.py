"""Logs in a bucket, as ``chunked`` asks for them: changes go to the journal, data comes in ranges.

Rules: what was changed is durable when the journal has it. Objects that the journal refers to are
written before; one that it does not refer to half a grace later must not be referred to any more,
because it may be deleted.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.chunk import Chunk
from datacore.storage.chunked.segments import Segment
from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, LogName, StorageError
from datacore.storage.s3.disk_cache import DiskCache
from datacore.storage.s3.journal import uptime_s
from datacore.storage.s3.read_ahead import ReadAhead
from datacore.storage.s3.state import (
    Append,
    Close,
    Delete,
    Open,
    OwnAgain,
    Piece,
    Replace,
    SaveSnapshot,
    Snapshot,
    Stretch,
    TruncateAfter,
    TruncateBefore,
    opened,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datacore.storage.chunked.store import OpenedLog, Round
    from datacore.storage.s3.bucket import Bucket
    from datacore.storage.s3.config import S3Config
    from datacore.storage.s3.journal import Journal
    from datacore.storage.s3.liveness import Liveness
    from datacore.storage.s3.state import Change, LogState

LOGS: Final = "logs/"
SNAPSHOTS: Final = "snapshot/"
READ_AHEAD_BYTES: Final = 2 * 1024 * 1024
PIECES_AT_ONCE: Final = 64
OBJECT_BYTES: Final = 32 * 1024 * 1024
"""What an object of one log holds at most, unless a single chunk is larger."""
SNAPSHOT_INLINE_BYTES: Final = 16 * 1024


class _Prepared:
    """What is to take the place of a range, so far."""

    __slots__ = ("chunks", "pieces", "since_s", "size")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.chunks: list[Chunk] = []
        """Of the object in the making."""
        self.size = 0
        self.since_s = uptime_s()


class Store:
    """The logs of one prefix."""

    def __init__(
        self, bucket: Bucket, journal: Journal, liveness: Liveness, config: S3Config
    ) -> None:
        self.bucket = bucket
        self.journal = journal
        self.liveness = liveness
        self._config = config
        self._prepared: dict[int, _Prepared] = {}
        folder = config.disk_cache_dir
        self.disk_cache = DiskCache(folder, config.disk_cache_bytes) if folder else None
        self.read_ahead = ReadAhead(self._fetch_cached)

    # --- logs

    async def list_logs(self) -> list[LogName]:
        """Every log that exists."""
        return [LogName(name) for name in self.journal.state.names]

    async def open_log(self, name: LogName, epoch: int) -> OpenedLog:
        """Makes this engine the owner of a log, made when missing.

        Raises:
            Fenced: It was opened before with a higher epoch.
            HeldElsewhere: It is open with this one, in an engine that lives.
        """
        over = 0
        log = self.journal.state.names.get(name)
        instance = self.liveness.instance
        if (
            log is not None
            and log.epoch == epoch
            and log.instance not in {None, instance}
            and not await self.liveness.lives(log.instance or "")
        ):
            over = log.owner
        return opened(await self._change(name, Open(name, epoch, instance, over)))

    async def own_again(self, log_id: int, owner: int) -> OpenedLog:
        """See ``ChunkStore.own_again``."""
        return opened(await self._change(self._name(log_id), OwnAgain(log_id, owner)))

    async def close_log(self, log_id: int, owner: int) -> None:
        """See ``ChunkStore.close_log``."""
        with suppress(Fenced):  # then others may open it already
            await self._change(self._name(log_id), Close(log_id, owner))

    async def delete_log(self, name: LogName) -> None:
        """Forgets a log; its objects are deleted later."""
        if name in self.journal.state.names:
            await self.journal.submit(name, Delete(name))

    async def segments(self, log_id: int) -> list[Segment]:
        """See ``ChunkStore.segments``."""
        return [
            Segment(
                each.base_offset,
                each.next_offset,
                each.size_bytes,
                each.first_timestamp_ms,
                each.max_timestamp_ms,
                each.size_bytes,
            )
            for each in self._log(log_id).segments
        ]

    # --- appending

    async def append(self, rounds: Sequence[Round]) -> set[int]:
        """See ``RoundStore.append``."""
        results = await asyncio.gather(
            *(self._submit_round(each) for each in rounds), return_exceptions=True
        )
        moved: set[int] = set()
        for round_, result in zip(rounds, results, strict=True):
            if not isinstance(result, BaseException):
                moved.add(round_.log_id)
                self.bucket.requests.appended_bytes += sum(each.size for each in round_.chunks)
            elif isinstance(result, Unavailable) or not isinstance(result, StorageError):
                raise result
        return moved

    def _submit_round(self, round_: Round) -> asyncio.Future[LogState | None]:
        at = 0
        pieces: list[Piece] = []
        for chunk in round_.chunks:
            pieces.append(piece_of(chunk, "", at))
            at += chunk.size
        change = Append(
            round_.log_id,
            round_.owner,
            round_.base_offset,
            round_.next_offset,
            [_stretch(each) for each in round_.segments],
            pieces,
        )
        return self.journal.submit(
            self._name(round_.log_id), change, [chunk.data for chunk in round_.chunks]
        )

    async def owned_ends(self, rounds: Iterable[Round]) -> dict[int, int]:
        """See ``RoundStore.owned_ends``."""
        ends = {}
        for each in rounds:
            log = self.journal.state.logs.get(each.log_id)
            if log is not None and log.owner == each.owner:
                ends[each.log_id] = log.end_offset
        return ends

    # --- reading

    async def read(
        self, log_id: int, offset: int, before_offset: int, max_bytes: int
    ) -> list[Chunk]:
        """See ``ChunkStore.read``; some more is read ahead."""
        wanted = self._wanted(log_id, offset, before_offset, max_bytes)
        try:
            return await self.read_ahead.read(
                log_id, wanted, lambda next_offset: self._following(log_id, next_offset)
            )
        except StorageError:
            again = self._wanted(log_id, offset, before_offset, max_bytes)
            if again == wanted:
                raise
        return await self.fetch(again)  # rewritten meanwhile, and what it was is deleted already

    def _following(self, log_id: int, offset: int) -> list[Piece]:
        log = self.journal.state.logs.get(log_id)
        if log is None or offset >= log.end_offset:
            return []
        return self._wanted(log_id, offset, log.end_offset, READ_AHEAD_BYTES)

    def _wanted(self, log_id: int, offset: int, before_offset: int, max_bytes: int) -> list[Piece]:
        log = self._log(log_id)
        at = log.first_piece(offset)
        wanted: list[Piece] = []
        left = max(max_bytes, READ_AHEAD_BYTES)
        for piece in log.pieces[at : at + PIECES_AT_ONCE]:
            if wanted and (left < piece.size or piece.base_offset >= before_offset):
                break
            wanted.append(piece)
            left -= piece.size
        return wanted

    async def find_timestamp(self, log_id: int, timestamp_ms: int, offset: int) -> Chunk | None:
        """See ``ChunkStore.find_timestamp``."""
        log = self._log(log_id)
        for piece in log.pieces[log.first_piece(offset) :]:
            if piece.max_timestamp_ms >= timestamp_ms:
                return (await self._fetch_cached([piece]))[0]
        return None

    async def stored_bytes(self, log_id: int, offset: int, next_offset: int) -> int:
        """See ``ChunkStore.stored_bytes``."""
        log = self._log(log_id)
        return sum(
            piece.size
            for piece in log.pieces[log.first_piece(offset) :]
            if piece.base_offset < next_offset
        )

    async def _fetch_cached(self, pieces: Sequence[Piece]) -> list[Chunk]:
        """Chunks from this machine's disk where they are there, else from the bucket."""
        cache = self.disk_cache
        if cache is None:
            return await self.fetch(pieces)
        found = await asyncio.gather(*(cache.get(p.key, p.at, p.size) for p in pieces))
        missing = [piece for piece, data in zip(pieces, found, strict=True) if data is None]
        fetched = iter(await self.fetch(missing))
        chunks = []
        for piece, data in zip(pieces, found, strict=True):
            if data is not None:
                chunks.append(chunk_of(piece, data))
            else:
                chunk = next(fetched)
                await cache.put(piece.key, piece.at, chunk.data)
                chunks.append(chunk)
        return chunks

    async def fetch(self, pieces: Sequence[Piece]) -> list[Chunk]:
        """Chunks of the bucket, with a request for each stretch of an object."""
        found = await asyncio.gather(*(self._fetch_run(run) for run in _runs(pieces)))
        return [chunk for chunks in found for chunk in chunks]

    async def _fetch_run(self, run: Sequence[Piece]) -> list[Chunk]:
        first = run[0]
        size = sum(piece.size for piece in run)
        data = await self.read_range(first.key, first.at, size)
        if len(run) == 1:
            return [chunk_of(first, data)]
        return [
            chunk_of(piece, data[piece.at - first.at : piece.at - first.at + piece.size])
            for piece in run
        ]

    async def read_range(self, key: str, start: int, size: int) -> bytes:
        """Bytes that the state says are there.

        Raises:
            StorageError: They are not.
        """
        data = await self.bucket.get_range(key, start, size) if size else b""
        if data is None or len(data) != size:
            message = f"{key} is damaged: it has no {size} bytes at {start}"
            raise StorageError(message)
        return data

    # --- truncating

    async def truncate_before(self, log_id: int, owner: int, offset: int) -> None:
        """See ``ChunkStore.truncate_before``."""
        await self._change(self._name(log_id), TruncateBefore(log_id, owner, offset))

    async def truncate_after(
        self, log_id: int, owner: int, offset: int, last: Chunk | None
    ) -> None:
        """See ``ChunkStore.truncate_after``."""
        size, timestamp_ms = (-1, -1) if last is None else (last.size, last.max_timestamp_ms)
        await self._change(
            self._name(log_id), TruncateAfter(log_id, owner, offset, size, timestamp_ms)
        )

    # --- replacing

    async def prepare_replacement(self, log_id: int, chunks: Sequence[Chunk]) -> None:
        """See ``ChunkStore.prepare_replacement``."""
        prepared = self._prepared.setdefault(log_id, _Prepared())
        for chunk in chunks:
            if prepared.chunks and prepared.size + chunk.size > OBJECT_BYTES:
                await self._put_prepared(log_id, prepared)
            prepared.chunks.append(chunk)
            prepared.size += chunk.size

    async def _put_prepared(self, log_id: int, prepared: _Prepared) -> None:
        chunks, prepared.chunks, prepared.size = prepared.chunks, [], 0
        prepared.pieces += await self.put_chunks(self._name(log_id), chunks)

    async def put_chunks(self, name: str, chunks: Sequence[Chunk]) -> list[Piece]:
        """Writes chunks of one log into an object of their own, which nothing refers to yet."""
        key = f"{LOGS}{name}/{chunks[0].base_offset:020}.{uuid.uuid4().hex}"
        pieces = []
        at = 0
        for chunk in chunks:
            pieces.append(piece_of(chunk, key, at))
            at += chunk.size
        await self.bucket.put(key, b"".join(chunk.data for chunk in chunks))
        return pieces

    def check_in_time(self, since_s: float) -> None:
        """Refuses to refer to what was written so long ago that it may be gone.

        Raises:
            StorageError: Half a grace is over.
        """
        if uptime_s() - since_s > self._config.grace_s / 2:
            message = "what was to be referred to was written too long ago"
            raise StorageError(message)

    async def replace(
        self, log_id: int, owner: int, base_offset: int, next_offset: int, segments: list[Segment]
    ) -> None:
        """See ``ChunkStore.replace``."""
        prepared = self._prepared.pop(log_id)
        if prepared.chunks:
            await self._put_prepared(log_id, prepared)
        self.check_in_time(prepared.since_s)
        await self._change(
            self._name(log_id),
            Replace(
                log_id,
                owner,
                base_offset,
                next_offset,
                [_stretch(each) for each in segments],
                prepared.pieces,
            ),
        )

    async def drop_replacement(self, log_id: int) -> None:
        """See ``ChunkStore.drop_replacement``."""
        self._prepared.pop(log_id, None)

    # --- summaries

    async def save_snapshot(self, log_id: int, owner: int, offset: int, data: bytes) -> None:
        """See ``ChunkStore.save_snapshot``."""
        snapshot = Snapshot(offset, data, "")
        since_s = uptime_s()
        if len(data) > SNAPSHOT_INLINE_BYTES:
            snapshot = Snapshot(offset, b"", f"{SNAPSHOTS}{uuid.uuid4().hex}")
            await self.bucket.put(snapshot.key, data)
        self.check_in_time(since_s)
        await self._change(self._name(log_id), SaveSnapshot(log_id, owner, snapshot))

    async def load_snapshot(self, log_id: int) -> tuple[int, bytes] | None:
        """See ``ChunkStore.load_snapshot``."""
        snapshot = self._log(log_id).snapshot
        if snapshot is None:
            return None
        if not snapshot.key:
            return snapshot.next_offset, snapshot.data
        data = await self.bucket.get(snapshot.key)
        return None if data is None else (snapshot.next_offset, data)

    # --- the journal

    async def _change(self, subject: str, change: Change) -> LogState:
        log = await self.journal.submit(subject, change)
        assert log is not None
        return log

    def _log(self, log_id: int) -> LogState:
        log = self.journal.state.logs.get(log_id)
        if log is None:
            message = "the log was deleted"
            raise Fenced(message)
        return log

    def _name(self, log_id: int) -> str:
        log = self.journal.state.logs.get(log_id)
        return log.name if log is not None else f"#{log_id}"


def piece_of(chunk: Chunk, key: str, at: int) -> Piece:
    """Where a chunk lies."""
    return Piece(chunk.base_offset, chunk.next_offset, chunk.size, chunk.max_timestamp_ms, key, at)


def _stretch(segment: Segment) -> Stretch:
    return Stretch(
        segment.base_offset,
        segment.next_offset,
        segment.size_bytes,
        segment.first_timestamp_ms,
        segment.max_timestamp_ms,
    )


def chunk_of(piece: Piece, data: bytes) -> Chunk:
    """What lies there.

    Raises:
        StorageError: It is not whole batches.
    """
    return Chunk(
        data,
        base_offset=piece.base_offset,
        next_offset=piece.next_offset,
        max_timestamp_ms=piece.max_timestamp_ms,
    )


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that lie behind each other in one object, together."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        last = runs[-1][-1] if runs else None
        if last is not None and last.key == piece.key and last.at + last.size == piece.at:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs
