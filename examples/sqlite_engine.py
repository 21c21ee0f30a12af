"""A fifth engine, as an example: a journal in one SQLite file, over the memory engine's logs.

    PYTHONPATH=examples datacore broker start --storage-engine sqlite_engine:SqliteEngine

Rules: what is done to a log is done in memory at once and written behind it, in the same order; a
transaction takes all that waits (group commit). A start does everything again. What cannot be
written is taken back, and nothing is taken any more until the next start. Two limits that a real
engine should not have: all logs lie in memory, and the file only shrinks when logs are deleted.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from datacore.storage.engine import CannotStart, LogName, SegmentLimits, Space, StorageError
from datacore.storage.memory import MemoryEngine
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.config import Config
    from datacore.storage.engine import EngineLog
    from datacore.wire.buffer import Buffer

SCHEMA = """
pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;
create table if not exists done (at integer primary key, log text, what text, how text, data blob);
create index if not exists done_to on done (log);
"""
WAITING_BYTES_MAX = 64 << 20
Change: TypeAlias = tuple[LogName, str, dict[str, int], bytes, Pending[None]]


class SqliteEngine:
    def __init__(self, config: Config) -> None:
        self.place = str(Path(config.broker.data_dir, "datacore.sqlite").absolute())
        self.broken: StorageError | None = None
        self._waiting: list[Change] = []
        self._memory = MemoryEngine()
        self._logs: dict[LogName, SqliteLog] = {}

    async def start(self) -> None:
        try:
            Path(self.place).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.place, timeout=0, check_same_thread=False)
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise CannotStart(f"{self.place} cannot be used: {error}") from None
        for row in self._db.execute("select log, what, how, data from done order by at"):
            await self._again(*row)
        await self._memory.close()
        self._wake = asyncio.Event()
        self._writer = asyncio.create_task(self._write())

    async def _again(self, name: LogName, what: str, how: str, data: bytes) -> None:
        arguments = json.loads(how)
        if what == "open":
            if name in self._logs:
                await self._logs[name].inner.close()
            self._logs[name] = SqliteLog(self, await self._memory.open_log(name, **arguments))
            return
        log = self._logs[name].inner
        if what == "append":
            log.append(data, **arguments)
        elif what == "limit_segments":
            log.limit_segments(SegmentLimits(**arguments))
        elif what == "replace":
            await log.replace(**arguments, batches=_once(data))
        elif what == "save_snapshot":
            await log.save_snapshot(**arguments, snapshot=data)
        else:
            await getattr(log, what)(**arguments)

    def check(self, size: int) -> None:
        if self.broken is not None:
            raise self.broken
        if sum(len(data) for *_, data, _ in self._waiting) + size > WAITING_BYTES_MAX:
            raise StorageError("the disk is behind")

    def write(self, name: LogName, what: str, data: bytes = b"", **how: int) -> Pending[None]:
        pending: Pending[None] = Pending()
        self._waiting.append((name, what, how, data, pending))
        self._wake.set()
        return pending

    async def _write(self) -> None:
        while await self._wake.wait():
            self._wake.clear()
            changes, self._waiting = self._waiting, []
            try:
                self.check(0)
                await asyncio.to_thread(self._commit, changes)
            except (sqlite3.Error, StorageError) as error:
                self.broken = self.broken or StorageError(f"{self.place}: {error}")
                for log in self._logs.values():
                    with suppress(StorageError):
                        await log.inner.truncate_after(log.durable_end_offset)
            for name, what, how, _, pending in changes:
                if self.broken is not None:
                    pending.fail(self.broken)
                    continue
                if what == "append" and name in self._logs:
                    self._logs[name].durable_end_offset = how["next_offset"]
                pending.resolve(None)

    def _commit(self, changes: list[Change]) -> None:
        with self._db as db:
            for name, what, how, data, _ in changes:
                if what == "delete":
                    db.execute("delete from done where log = ?", (name,))
                else:
                    row = (None, name, what, json.dumps(how), data)
                    db.execute("insert into done values (?, ?, ?, ?, ?)", row)

    async def space(self) -> Space:
        return Space(-1, -1)

    async def list_logs(self) -> list[LogName]:
        return list(await self._memory.list_logs())

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        inner = await self._memory.open_log(name, epoch=epoch)
        await self.write(name, "open", epoch=epoch)
        self._logs[name] = log = SqliteLog(self, inner)
        return cast("EngineLog", log)

    async def delete_log(self, name: LogName) -> None:
        await self._memory.delete_log(name)
        self._logs.pop(name, None)
        await self.write(name, "delete")

    async def close(self) -> None:
        for log in self._logs.values():
            await log.close()
        self._writer.cancel()
        self._db.close()


class SqliteLog:
    def __init__(self, engine: SqliteEngine, inner: EngineLog) -> None:
        self.engine, self.inner = engine, inner
        self.durable_end_offset = inner.end_offset
        self.last: Pending[None] | None = None

    def __getattr__(self, name: str) -> Any:  # what only reads is done in memory
        return getattr(self.inner, name)

    def append(self, data: Buffer, **offsets: int) -> Pending[None]:
        self.engine.check(len(data))
        self.inner.append(data, **offsets)
        self.last = self.engine.write(self.name, "append", bytes(data), **offsets)
        return self.last

    def limit_segments(self, limits: SegmentLimits) -> None:
        self.inner.limit_segments(limits)
        limits_in_memory = {k: v for k, v in asdict(limits).items() if k != "files"}
        self.last = self.engine.write(self.name, "limit_segments", **limits_in_memory)

    async def truncate_before(self, offset: int) -> None:
        await self.inner.truncate_before(offset)
        await self.engine.write(self.name, "truncate_before", offset=offset)

    async def truncate_after(self, offset: int) -> None:
        if self.last is not None:
            await self.last
        await self.inner.truncate_after(offset)
        self.durable_end_offset = self.inner.end_offset
        await self.engine.write(self.name, "truncate_after", offset=offset)

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        kept: list[bytes] = []
        await self.inner.replace(base_offset, next_offset, _kept(batches, kept))
        range_ = {"base_offset": base_offset, "next_offset": next_offset}
        await self.engine.write(self.name, "replace", b"".join(kept), **range_)

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        await self.inner.save_snapshot(offset, snapshot)
        await self.engine.write(self.name, "save_snapshot", bytes(snapshot), offset=offset)

    async def close(self) -> None:
        if self.last is not None and self.engine.broken is None:
            await self.last
        await self.inner.close()


async def _kept(batches: AsyncIterator[Buffer], kept: list[bytes]) -> AsyncIterator[Buffer]:
    async for data in batches:
        kept.append(bytes(data))
        yield data


async def _once(data: bytes) -> AsyncIterator[Buffer]:
    yield data
