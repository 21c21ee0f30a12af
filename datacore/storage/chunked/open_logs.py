"""The logs that an engine over a store of chunks has open: how one comes to be, and how all end.

Rules: a log is taken over from whoever had it. An owner in this very engine makes durable what it
has appended, then is refused; one elsewhere finds in its next round that the log is not its own any
more. An owner that has just died seems to live for a while, which is waited for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from datacore.storage.chunked.log import ChunkedLog
from datacore.storage.chunked.store import HeldElsewhere
from datacore.storage.engine import Fenced, StorageError
from datacore.storage.log_name import check_log_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.storage.chunked.log import LogStore
    from datacore.storage.chunked.store import OpenedLog
    from datacore.storage.engine import LogName


class OpenLogs:
    """All logs that were opened since the engine was made, by name."""

    __slots__ = ("_by_name", "_engine")

    def __init__(self, engine: LogStore) -> None:
        self._engine = engine
        self._by_name: dict[LogName, ChunkedLog] = {}

    def __iter__(self) -> Iterator[LogName]:
        return iter(list(self._by_name))

    def get(self, name: LogName) -> ChunkedLog | None:
        """The log that was opened last by this name."""
        return self._by_name.get(name)

    async def open(
        self, name: LogName, epoch: int, *, dying_s: float, look_interval_s: float
    ) -> ChunkedLog:
        """See ``Engine.open_log``.

        Args:
            name: Of the log.
            epoch: Its owner's.
            dying_s: How long an owner that is gone may seem to live.
            look_interval_s: How often to look whether it still does.
        """
        check_log_name(name)
        before = self._by_name.get(name)
        if before is not None and before.is_open:
            if epoch == before.epoch:
                message = f"{name} is open already, with the same epoch {epoch}"
                raise StorageError(message)
            if epoch > before.epoch:
                await before.drain()
        opened = await self._take_over(name, epoch, dying_s, look_interval_s)
        log = ChunkedLog(self._engine, name, epoch, opened)
        if before is not None:
            before.refuse(Fenced(f"{name} was opened with epoch {epoch}"))
        await log.begin(opened.learned)
        self._by_name[name] = log
        return log

    async def _take_over(
        self, name: LogName, epoch: int, dying_s: float, look_interval_s: float
    ) -> OpenedLog:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + dying_s
        while True:
            try:
                return await self._engine.store.open_log(name, epoch)
            except HeldElsewhere:
                if loop.time() > until_s:
                    raise
            await asyncio.sleep(look_interval_s)

    async def delete(self, name: LogName) -> None:
        """See ``Engine.delete_log``."""
        await self._engine.store.delete_log(name)
        log = self._by_name.pop(name, None)
        if log is not None:
            log.refuse(StorageError(f"{name} was deleted"))

    async def close(self) -> None:
        """Closes them all."""
        try:
            await asyncio.gather(*(log.close() for log in self._by_name.values()))
        finally:
            self._by_name.clear()
