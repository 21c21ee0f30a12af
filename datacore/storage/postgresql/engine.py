"""The PostgreSQL engine: logs as rows of a database that others operate, back up and fail over.

Rules:

- No local state matters: another process over the same schema finds everything that was durable.
- An engine shows that it lives by an advisory lock. A log that a living engine has open can be
  opened elsewhere only with a higher epoch, and then the older owner's next round writes nothing.
- Durable is what PostgreSQL has committed with ``synchronous_commit=on``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.cache import ChunkCache
from datacore.storage.chunked.flusher import Flusher
from datacore.storage.chunked.open_logs import OpenLogs
from datacore.storage.engine import Space, StorageError
from datacore.storage.postgresql.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.engine import EngineLog, LogName
    from datacore.storage.postgresql.config import PostgresqlConfig

logger = logging.getLogger("datacore.storage.postgresql")

KEEP_ALIVE_INTERVAL_S: Final = 2.0
FLUSHERS: Final = 3
"""Transactions of group commit that may be under way."""
PURGE_RETRY_S: Final = 30.0
DYING_S: Final = 5.0
"""How long the server may need to notice that a process is gone."""
DYING_LOOK_S: Final = 0.1


class PostgresqlEngine:
    """One engine over one schema."""

    def __init__(self, config: PostgresqlConfig) -> None:
        self.config = config
        self.store = Store(config)
        self.flusher = Flusher(self.store, config, workers=FLUSHERS, splits=True)
        self.cache = ChunkCache(config.cache_bytes)
        self._logs = OpenLogs(self)
        self._tasks: list[asyncio.Task[None]] = []
        self._something_is_deleted: asyncio.Event

    @property
    def place(self) -> str:
        """See ``Engine.place``."""
        return self.store.connections.place

    async def space(self) -> Space:
        """See ``Engine.space``: a database does not tell."""
        return Space(-1, -1)

    async def start(self) -> None:
        """See ``Engine.start``."""
        await self.store.connections.open()
        self.flusher.start()
        self._something_is_deleted = asyncio.Event()
        self._something_is_deleted.set()  # what an engine before this one has left
        self._tasks = [
            asyncio.create_task(self._keep_alive()),
            asyncio.create_task(self._purge()),
        ]

    async def list_logs(self) -> Sequence[LogName]:
        """See ``Engine.list_logs``."""
        return await self.store.list_logs()

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        """See ``Engine.open_log``."""
        return await self._logs.open(name, epoch, dying_s=DYING_S, look_interval_s=DYING_LOOK_S)

    async def delete_log(self, name: LogName) -> None:
        """See ``Engine.delete_log``."""
        await self._logs.delete(name)
        self._something_is_deleted.set()

    async def close(self) -> None:
        """See ``Engine.close``."""
        try:
            await self._logs.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            await self.flusher.close()
            await self.store.connections.close()

    async def _keep_alive(self) -> None:
        """Shows that this engine lives, also after its connection was lost."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_INTERVAL_S)
            try:
                await self.store.connections.keep_alive()
            except StorageError as error:
                logger.warning("PostgreSQL does not answer: %s", error)

    async def _purge(self) -> None:
        """Frees the space of deleted logs, a slice at a time."""
        while True:
            await self._something_is_deleted.wait()
            self._something_is_deleted.clear()
            try:
                while await self.store.purge():
                    pass
            except StorageError as error:
                logger.warning("The space of deleted logs is not free yet: %s", error)
                self._something_is_deleted.set()
                await asyncio.sleep(PURGE_RETRY_S)
