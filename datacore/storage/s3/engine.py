"""The S3 engine: logs in a bucket, ordered by a journal that conditional creates give its order.

Rules:

- No local state matters: another process over the same prefix finds everything that was durable.
- Durable is what lies in an object of the journal (``journal.py``). A log that a living engine has
  open can be opened elsewhere only with a higher epoch, and then the older owner's next round finds
  that in the journal before it can write.
- A server that does not order conditional creates is refused at start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.cache import ChunkCache
from datacore.storage.chunked.flusher import Flusher
from datacore.storage.chunked.open_logs import OpenLogs
from datacore.storage.engine import CannotStart, Space, StorageError
from datacore.storage.s3.bucket import Bucket, open_bucket
from datacore.storage.s3.journal import Journal
from datacore.storage.s3.liveness import DEAD_AFTER_S, INTERVAL_S, LOOK_INTERVAL_S, Liveness
from datacore.storage.s3.probe import probe
from datacore.storage.s3.rewrite import Rewriter
from datacore.storage.s3.store import Store
from datacore.storage.s3.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.engine import EngineLog, LogName
    from datacore.storage.s3.config import S3Config

logger = logging.getLogger("datacore.storage.s3")

DYING_S: Final = DEAD_AFTER_S + 2 * INTERVAL_S
"""How long it may take until an engine that is gone is known to be."""
SWEEPS_PER_GRACE: Final = 4
FIRST_SWEEP_S: Final = 60.0
COUNTS_INTERVAL_S: Final = 600.0


class S3Engine:
    """One engine over one prefix of a bucket."""

    def __init__(self, config: S3Config, bucket: Bucket | None = None) -> None:
        """Takes its settings.

        Args:
            config: What they are.
            bucket: Instead of the one that they name.
        """
        self.config = config
        self.bucket = bucket or open_bucket(config, os.environ)
        self.journal = Journal(self.bucket, config)
        self.liveness = Liveness(self.bucket)
        self.store = Store(self.bucket, self.journal, self.liveness, config)
        # One round at a time: the next one's number is not known before.
        self.flusher = Flusher(self.store, config, workers=1, splits=False)
        self.cache = ChunkCache(config.cache_bytes)
        self._logs = OpenLogs(self)
        self.rewriter = Rewriter(self.store, self._logs)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def place(self) -> str:
        """See ``Engine.place``."""
        return self.bucket.place

    async def space(self) -> Space:
        """See ``Engine.space``: a bucket has no end."""
        return Space(-1, -1)

    async def start(self) -> None:
        """See ``Engine.start``: reads before it writes, so that a refusal leaves nothing.

        Raises:
            CannotStart: The bucket cannot be used.
        """
        if self.store.disk_cache is not None:
            self.store.disk_cache.start()
        try:
            await self.journal.catch_up()
            await probe(self.bucket)
            await self.liveness.beat()
        except StorageError as error:
            said = str(error)
            where = "" if self.place in said else f"{self.place} cannot be used: "
            raise CannotStart(where + said) from None
        self.journal.start()
        self.flusher.start()
        self._tasks = [
            asyncio.create_task(self._keep_alive()),
            asyncio.create_task(self._keep_in_order()),
            asyncio.create_task(self._keep_clean()),
            asyncio.create_task(self._keep_account()),
        ]

    async def list_logs(self) -> Sequence[LogName]:
        """See ``Engine.list_logs``."""
        await self.journal.catch_up()
        return await self.store.list_logs()

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        """See ``Engine.open_log``."""
        return await self._logs.open(name, epoch, dying_s=DYING_S, look_interval_s=LOOK_INTERVAL_S)

    async def delete_log(self, name: LogName) -> None:
        """See ``Engine.delete_log``."""
        await self._logs.delete(name)

    async def close(self) -> None:
        """See ``Engine.close``."""
        if self.store.disk_cache is not None:
            self.store.disk_cache.close()
        if not self._tasks:
            return  # it was refused
        try:
            await self._logs.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            await self.store.read_ahead.close()
            await self.flusher.close()
            await self.journal.close()
            with suppress(StorageError):  # then others see that it beats no more
                await self.liveness.end()
            self._tell_requests()

    async def _keep_alive(self) -> None:
        """Shows that this engine lives, also when the bucket was away for a while."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.liveness.beat()
            except StorageError as error:
                logger.warning("The bucket does not answer: %s", error)

    async def _keep_in_order(self) -> None:
        """Rewrites what rounds have written."""
        while True:
            await asyncio.sleep(self.config.rewrite_interval_s)
            try:
                await self.rewriter.run()
            except StorageError as error:
                logger.warning("What was written is not put in order yet: %s", error)

    async def _keep_clean(self) -> None:
        """Deletes what nothing needs; the first time soon, for a broker may never run for long."""
        delay_s = min(FIRST_SWEEP_S, self.config.grace_s / SWEEPS_PER_GRACE)
        while True:
            await asyncio.sleep(delay_s)
            delay_s = self.config.grace_s / SWEEPS_PER_GRACE
            try:
                await sweep(self.bucket, self.journal, self.liveness, self.config.grace_s)
            except StorageError as error:
                logger.warning("What nothing needs is not deleted yet: %s", error)

    async def _keep_account(self) -> None:
        """Tells what the bucket was asked for, as it is what the bucket costs."""
        while True:
            await asyncio.sleep(COUNTS_INTERVAL_S)
            self._tell_requests()

    def _tell_requests(self) -> None:
        logger.info(
            "Since the start: %s stored_bytes=%d, in %s",
            self.bucket.requests,
            self.journal.state.stored_bytes(),
            self.place,
        )
