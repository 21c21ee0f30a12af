"""Reads on for those who read a log from front to back, so that they need not wait for a bucket.

Rules: whoever asks for what lies right behind what was asked for last is believed to go on; then
what follows is asked for before it is wanted, one step for each log. What is fetched is only used
where the log still has the very same pieces; for a step that nobody came for, bytes were read in
vain, once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.s3.state import Piece

LOGS_MAX: Final = 32
"""Of so many logs a step is held; the one that was asked for longest ago goes first."""


class _Step:
    """What is fetched before it is wanted."""

    __slots__ = ("pieces", "task")

    def __init__(self, pieces: list[Piece], task: asyncio.Task[list[Chunk]]) -> None:
        self.pieces = pieces
        self.task = task


class ReadAhead:
    """Where each log is read, and what is on its way for it."""

    __slots__ = ("_expected", "_fetch", "_steps")

    def __init__(self, fetch: Callable[[Sequence[Piece]], Awaitable[list[Chunk]]]) -> None:
        self._fetch = fetch
        self._expected: dict[int, int] = {}
        """By log: the offset behind what was asked for last."""
        self._steps: dict[int, _Step] = {}

    async def read(
        self, log_id: int, wanted: list[Piece], following: Callable[[int], list[Piece]]
    ) -> list[Chunk]:
        """The chunks of some pieces of a log.

        Args:
            log_id: Of the log.
            wanted: What is asked for.
            following: What would be, from an offset on.

        Raises:
            StorageError: They are not to be had.
        """
        if not wanted:
            return []
        goes_on = self._expected.pop(log_id, None) == wanted[0].base_offset
        step = self._steps.pop(log_id, None)
        chunks = await self._taken(step, wanted)
        if chunks is None:
            chunks = await self._fetch(wanted)
        next_offset = chunks[-1].next_offset
        self._expected[log_id] = next_offset
        if goes_on and (pieces := following(next_offset)):
            self._steps[log_id] = _Step(pieces, asyncio.create_task(self._fetched(pieces)))
        self._forget_the_oldest()
        return chunks

    async def _fetched(self, pieces: list[Piece]) -> list[Chunk]:
        with suppress(StorageError):  # whoever comes for it asks again, and is told
            return await self._fetch(pieces)
        return []

    async def _taken(self, step: _Step | None, wanted: list[Piece]) -> list[Chunk] | None:
        """What a step has of that; it may be more, or less and then the rest is asked for later."""
        if step is None:
            return None
        common = min(len(step.pieces), len(wanted))
        if step.pieces[:common] != wanted[:common]:
            step.task.cancel()
            return None
        return await step.task or None

    def _forget_the_oldest(self) -> None:
        while len(self._expected) > LOGS_MAX:
            log_id = next(iter(self._expected))
            del self._expected[log_id]
            step = self._steps.pop(log_id, None)
            if step is not None:
                step.task.cancel()

    async def close(self) -> None:
        """Nobody comes any more."""
        tasks = [step.task for step in self._steps.values()]
        self._steps.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
