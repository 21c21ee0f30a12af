"""Puts what rounds have written in order, log by log, so that reading and retention stay cheap.

Rules:

- A round's object holds a little of every log. A pass reads such objects whole, oldest first, and
  writes what a log has there into an object of its own where that is much, else together with what
  other logs have little of. Later the small pieces of a log are joined in the same way.
- Batches stay as they are, pieces grow to a chunk's size and never span two segments.
- What was written is referred to by one change of each log. A log that was changed meanwhile
  refuses it, and keeps what it had; ``sweep`` finds what nobody refers to.
- Only logs that this engine has open are rewritten.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from datacore.storage.chunked.chunk import CHUNK_BYTES, joined
from datacore.storage.engine import LogName, StorageError
from datacore.storage.s3.journal import WAL, uptime_s
from datacore.storage.s3.state import Rewrite
from datacore.storage.s3.store import OBJECT_BYTES, chunk_of, piece_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.chunked.open_logs import OpenLogs
    from datacore.storage.s3.state import LogState, Piece
    from datacore.storage.s3.store import Store

logger = logging.getLogger("datacore.storage.s3")

MIXED: Final = "mixed/"
"""Where objects of many logs lie."""
PASS_BYTES: Final = 64 * 1024 * 1024
"""What a pass holds in memory, about."""
OWN_OBJECT_BYTES: Final = CHUNK_BYTES
"""From here on a log gets an object of its own."""
SMALL_PIECES_JOINED: Final = 64
"""So many in a row are worth as many requests."""
READ_AT_ONCE: Final = 4


class _Run(NamedTuple):
    """Pieces of one segment, one behind the other."""

    log: LogState
    pieces: list[Piece]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)


class Rewriter:
    """Rewrites the logs of one engine."""

    def __init__(self, store: Store, logs: OpenLogs) -> None:
        self._store = store
        self._logs = logs

    async def run(self) -> None:
        """Rewrites all that there is to.

        Raises:
            StorageError: The bucket does not answer.
        """
        while await self._empty_rounds():
            pass
        for log in self._open_logs():
            for run in _runs(log, _is_small):
                if len(run.pieces) >= SMALL_PIECES_JOINED:
                    chunks = await self._store.fetch(run.pieces)
                    await self._write_runs([(run, chunks)])
                    break  # the log's other runs are not where they were

    def _open_logs(self) -> Iterator[LogState]:
        names = self._store.journal.state.names
        for name in self._logs:
            log = names.get(name)
            # What another engine took over is its to move: nobody asks the locks of this one there.
            if log is not None and log.instance == self._store.liveness.instance:
                yield log

    async def _empty_rounds(self) -> bool:
        """Moves what some objects of rounds hold; whether there may be more."""
        wanted: dict[str, list[Piece]] = {}
        for log in self._open_logs():
            for piece in log.pieces:
                if piece.key.startswith(WAL):
                    wanted.setdefault(piece.key, []).append(piece)
        size = 0
        chosen: set[str] = set()
        for key in sorted(wanted):
            if chosen and size >= PASS_BYTES:
                break
            chosen.add(key)
            size += sum(piece.size for piece in wanted[key])
        if not chosen:
            return False
        runs = [
            run
            for log in self._open_logs()
            for run in _runs(log, lambda piece: piece.key in chosen)
        ]
        objects = await self._read({key: wanted[key] for key in chosen})
        moved = await self._write_runs(
            [(run, [_cut(objects, piece) for piece in run.pieces]) for run in runs]
        )
        return len(chosen) < len(wanted) and moved > 0

    async def _read(self, wanted: Mapping[str, Sequence[Piece]]) -> dict[str, tuple[int, bytes]]:
        """The part of each object that has its pieces, and where it begins."""
        found: dict[str, tuple[int, bytes]] = {}
        at_once = asyncio.Semaphore(READ_AT_ONCE)

        async def read(key: str, pieces: Sequence[Piece]) -> None:
            start = min(piece.at for piece in pieces)
            size = max(piece.at + piece.size for piece in pieces) - start
            async with at_once:
                found[key] = (start, await self._store.read_range(key, start, size))

        await asyncio.gather(*(read(key, pieces) for key, pieces in wanted.items()))
        return found

    async def _write_runs(self, runs: Sequence[tuple[_Run, Sequence[Chunk]]]) -> int:
        """Writes runs elsewhere; how many of them lie there then."""
        since_s = uptime_s()
        moves: list[tuple[_Run, list[Piece]]] = []
        little: list[tuple[_Run, list[Chunk]]] = []
        for run, chunks in runs:
            if run.size >= OWN_OBJECT_BYTES or len(run.pieces) >= SMALL_PIECES_JOINED:
                pieces: list[Piece] = []
                for some in _at_most(joined(chunks), OBJECT_BYTES):
                    pieces += await self._store.put_chunks(run.log.name, some)
                moves.append((run, pieces))
            else:
                little.append((run, joined(chunks)))
        moves += await self._write_mixed(little)
        self._store.check_in_time(since_s)
        moved = await asyncio.gather(*(self._move(run, pieces) for run, pieces in moves))
        return sum(moved)

    async def _write_mixed(
        self, little: Sequence[tuple[_Run, list[Chunk]]]
    ) -> list[tuple[_Run, list[Piece]]]:
        """Writes an object of what many logs have little of."""
        if not little:
            return []
        key = f"{MIXED}{uuid.uuid4().hex}"
        at = 0
        data: list[bytes] = []
        moves = []
        for run, chunks in little:
            mixed: list[Piece] = []
            for chunk in chunks:
                mixed.append(piece_of(chunk, key, at))
                data.append(chunk.data)
                at += chunk.size
            moves.append((run, mixed))
        await self._store.bucket.put(key, b"".join(data))
        return moves

    async def _move(self, run: _Run, pieces: list[Piece]) -> bool:
        log = self._logs.get(LogName(run.log.name))
        if log is None or log.log_id != run.log.log_id:
            return False
        try:
            await log.move(
                lambda: self._store.journal.submit(
                    run.log.name, Rewrite(run.log.log_id, run.log.owner, run.pieces, pieces)
                )
            )
        except StorageError as error:
            logger.debug("%s is not rewritten: %s", run.log.name, error)
            return False
        return True


def _is_small(piece: Piece) -> bool:
    return piece.size < OWN_OBJECT_BYTES // 2 and not piece.key.startswith(WAL)


def _runs(log: LogState, is_wanted: Callable[[Piece], bool]) -> list[_Run]:
    """The wanted pieces of a log, in rows that a segment holds."""
    bases = [segment.base_offset for segment in log.segments]
    runs: list[_Run] = []
    groups = itertools.groupby(
        log.pieces,
        key=lambda piece: (is_wanted(piece), bisect_right(bases, piece.base_offset)),
    )
    for (is_one, _), pieces in groups:
        if is_one:
            runs.append(_Run(log, [msgspec.structs.replace(piece) for piece in pieces]))
    return runs


def _at_most(chunks: Iterable[Chunk], size_max: int) -> Iterator[list[Chunk]]:
    """Chunks in rows that an object holds."""
    row: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if row and size + chunk.size > size_max:
            yield row
            row, size = [], 0
        row.append(chunk)
        size += chunk.size
    if row:
        yield row


def _cut(objects: Mapping[str, tuple[int, bytes]], piece: Piece) -> Chunk:
    start, data = objects[piece.key]
    at = piece.at - start
    return chunk_of(piece, data[at : at + piece.size])
