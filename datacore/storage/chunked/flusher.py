"""Group commit: what many logs have gathered becomes durable at once.

Rules:

- Nothing lingers. A round takes all logs that have something when a worker is free; what comes
  meanwhile is the next round. So the rounds grow with the load, by themselves.
- A log is in one round at a time, for its offsets follow each other. Several workers let a log that
  is not in the round under way begin another one.
- A round whose answer is lost is asked again: the store does nothing the second time, and the logs'
  ends tell what became of the first. That goes on until ``flush_timeout_s`` are over.
- A round that fails is split where that may help, so that no log fails for another. One that has
  used up its time is not: a store that is silent would be asked for each log, one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.chunked.config import ChunkedConfig
    from datacore.storage.chunked.round import Gathered
    from datacore.storage.chunked.store import Round, RoundStore

logger = logging.getLogger("datacore.storage")

RETRY_DELAY_MIN_S: Final = 0.05
RETRY_DELAY_MAX_S: Final = 1.0


class Flushable(Protocol):
    """A log, as far as its flusher knows it."""

    def take_round(self) -> tuple[Gathered, Round] | None:
        """The oldest round that nobody has taken."""

    def stored(self, gathered: Gathered, round_: Round) -> None:
        """The store has a round."""

    def lost(self, error: StorageError) -> None:
        """The store has it not, or nobody knows."""


class _Taken:
    """One log's part of a transaction."""

    __slots__ = ("gathered", "log", "round")

    def __init__(self, log: Flushable, gathered: Gathered, round_: Round) -> None:
        self.log = log
        self.gathered = gathered
        self.round = round_


class Flusher:
    """The workers, and the logs that have something for them."""

    def __init__(
        self, store: RoundStore, config: ChunkedConfig, *, workers: int, splits: bool
    ) -> None:
        """Takes what it writes to.

        Args:
            store: Where rounds go.
            config: Limits.
            workers: How many rounds may be under way.
            splits: Whether a round may fail for one of its logs, so that parts of it may succeed.
        """
        self.unflushed_bytes = 0
        self.store = store
        self._workers_count = workers
        self._splits = splits
        self._bytes_max = config.flush_bytes
        self._timeout_s = config.flush_timeout_s
        self._waiting: dict[Flushable, None] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._wake: asyncio.Event

    def start(self) -> None:
        """Begins to work."""
        self._wake = asyncio.Event()
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._workers_count)]

    async def close(self) -> None:
        """Ends the work; every log has been closed before."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()

    def note(self, log: Flushable) -> None:
        """A log has gathered something, and none of its rounds is under way."""
        self._waiting[log] = None
        self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            taken = self._take()
            if taken:
                try:
                    await self._write(taken, asyncio.get_running_loop().time() + self._timeout_s)
                except Exception as error:  # who ends here leaves its logs waiting
                    logger.exception("A round of group commit has failed in a way nobody expects")
                    for each in taken:
                        each.log.lost(StorageError(f"a round has failed: {error}"))

    def _take(self) -> list[_Taken]:
        taken: list[_Taken] = []
        size = 0
        while self._waiting and size < self._bytes_max:
            log = next(iter(self._waiting))
            del self._waiting[log]
            found = log.take_round()
            if found is not None:
                taken.append(_Taken(log, *found))
                size += found[0].size
        if not self._waiting:
            self._wake.clear()
        return taken

    async def _write(self, taken: Sequence[_Taken], deadline_s: float) -> None:
        loop = asyncio.get_running_loop()
        delay_s = RETRY_DELAY_MIN_S
        while True:
            try:
                await self._write_once(taken)
            except Unavailable as error:
                if self._splits and len(taken) > 1 and loop.time() < deadline_s:
                    await self._write_each(taken, deadline_s, error)
                    return
                if loop.time() + delay_s > deadline_s:
                    logger.warning("A round of group commit is given up: %s", error)
                    for each in taken:
                        each.log.lost(error)
                    return
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_DELAY_MAX_S)
            else:
                return

    async def _write_each(
        self, taken: Sequence[_Taken], deadline_s: float, error: StorageError
    ) -> None:
        """Gives each log a try of its own, unless those before it have met silence for long."""
        for each in taken:
            if asyncio.get_running_loop().time() < deadline_s + self._timeout_s:
                await self._write([each], deadline_s)
            else:
                each.log.lost(error)

    async def _write_once(self, taken: Sequence[_Taken]) -> None:
        moved = await self.store.append([each.round for each in taken])
        doubtful = [each for each in taken if each.round.log_id not in moved]
        ends = await self.store.owned_ends(each.round for each in doubtful) if doubtful else {}
        for each in taken:
            log_id = each.round.log_id
            if log_id in moved or ends.get(log_id) == each.round.next_offset:
                each.log.stored(each.gathered, each.round)
            else:
                each.log.lost(Fenced("the log was opened by somebody else, or deleted"))
