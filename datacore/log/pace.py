"""Long work in pure Python beside an event loop that must not wait for it.

Rules:

- Work is a generator that yields often; it is run in a worker thread, a slice at a time. One thread
  of a process runs Python at a time, so whatever the loop has to do waits for the slice to end:
  a slice is short.
- Between two slices there is a rest, the longer the busier the loop is: work takes what the loop
  leaves, and a tenth of the time when it leaves nothing.
- What is read and written may be limited, for a device that others need.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

T = TypeVar("T")

SLICE_S: Final = 0.001
RESTS_PER_SLICE: Final = 10
"""How many times as long as a slice a busy loop has for itself."""

LONG_SLICE_S: Final = 0.01
"""What a slice counts at most: one call into a codec may take long, but leaves Python to others."""


class Pace:
    """The pace of one piece of work; called on the event loop's thread."""

    __slots__ = ("_began_s", "_bytes", "_bytes_per_s", "_clock_s", "_loop_s")

    def __init__(self, bytes_per_s: float = math.inf) -> None:
        """Begins.

        Args:
            bytes_per_s: How much may be read and written, together, on the average.
        """
        self._clock_s = self._began_s = time.perf_counter()
        self._loop_s = time.thread_time()
        self._bytes = 0
        self._bytes_per_s = bytes_per_s

    async def run(self, work: Iterator[T | None]) -> AsyncIterator[T]:
        """Runs a generator to its end; what it yields but None comes back.

        Raises:
            Exception: What the generator raises.
        """
        is_done = False
        while not is_done:
            done = await anyio.to_thread.run_sync(lambda: _run_slice(work))
            results: list[T] = done.results
            is_done = done.is_all
            await self._rest(done.cpu_s)
            for result in results:
                yield result

    async def finish(self, work: Iterator[None]) -> None:
        """Runs a generator that yields nothing of interest."""
        async for _ in self.run(work):
            pass

    async def spend(self, size_bytes: int) -> None:
        """Waits until so many bytes more may have been read or written."""
        self._bytes += size_bytes
        due_s = self._began_s + self._bytes / self._bytes_per_s
        if due_s > time.perf_counter():
            await anyio.sleep(due_s - time.perf_counter())

    async def _rest(self, slice_s: float) -> None:
        clock_s, loop_s = time.perf_counter(), time.thread_time()
        passed_s = max(clock_s - self._clock_s, 1e-6)
        busy = min((loop_s - self._loop_s) / passed_s, 1.0)
        self._clock_s, self._loop_s = clock_s, loop_s
        await anyio.sleep(min(slice_s, LONG_SLICE_S) * busy * RESTS_PER_SLICE)


class _Slice(NamedTuple, Generic[T]):
    results: list[T]
    is_all: bool
    cpu_s: float


def _run_slice(work: Iterator[T | None]) -> _Slice[T]:
    """In a worker thread: what came out, and whether that was all."""
    results: list[T] = []
    began_s = time.thread_time()
    for result in work:
        if result is not None:
            results.append(result)
        passed_s = time.thread_time() - began_s
        if passed_s > SLICE_S:
            return _Slice(results, is_all=False, cpu_s=passed_s)
    return _Slice(results, is_all=True, cpu_s=time.thread_time() - began_s)
