"""What tests of storage engines share: an event loop, an engine that runs, appends and reads."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol

import anyio
import anyio.lowlevel

from datacore.storage.batches import walk_batches
from datacore.storage.engine import LogName
from datacore.testing.batches import pack_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from datacore.storage.engine import Engine, EngineLog
    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer

P = ParamSpec("P")

LOG: Final = LogName("orders-0")
OTHER_LOG: Final = LogName("orders-1")
EVERYTHING: Final = 1 << 40


class EngineHarness(Protocol):
    """What a test file says about its engine."""

    @property
    def survives_restart(self) -> bool:
        """Whether an engine over the same store finds what one before it has kept."""

    def __call__(self) -> Engine:
        """A new engine, not started, over the store of this harness."""


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test to its end on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        anyio.run(functools.partial(test, *args, **kwargs))

    return run


@asynccontextmanager
async def running(harness: EngineHarness) -> AsyncIterator[Engine]:
    """A new engine, started, and closed in the end."""
    engine = harness()
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def opened(harness: EngineHarness) -> AsyncIterator[EngineLog]:
    """A log of a new engine."""
    async with running(harness) as engine:
        yield await engine.open_log(LOG, epoch=0)


def append(log: EngineLog, *payload_sizes: int, records: int = 1, timestamp_ms: int = 0) -> bytes:
    """Appends batches of these payload sizes in one call and returns their bytes."""
    base_offset = next_offset = log.end_offset
    data = b""
    for size in payload_sizes:
        data += pack_batch(next_offset, bytes(size), records=records, max_timestamp_ms=timestamp_ms)
        next_offset += records
    log.append(
        data, base_offset=base_offset, next_offset=next_offset, max_timestamp_ms=timestamp_ms
    )
    return data


def append_one(log: EngineLog) -> Pending[None]:
    """Appends a small batch to a log that syncs, and returns what settles when it is durable."""
    pending = log.append(
        pack_batch(log.end_offset, b"x" * 100),
        base_offset=log.end_offset,
        next_offset=log.end_offset + 1,
        max_timestamp_ms=0,
    )
    assert pending is not None
    return pending


async def append_durably(log: EngineLog, *payload_sizes: int, timestamp_ms: int = 0) -> bytes:
    """``append``, and waits until the engine calls it durable."""
    data = b""
    for size in payload_sizes:
        base_offset = log.end_offset
        batch = pack_batch(base_offset, bytes(size), max_timestamp_ms=timestamp_ms)
        data += batch
        pending = log.append(
            batch,
            base_offset=base_offset,
            next_offset=base_offset + 1,
            max_timestamp_ms=timestamp_ms,
        )
        if pending is not None:
            await pending
    return data


async def read(
    log: EngineLog, offset: int, *, max_bytes: int = EVERYTHING, before_offset: int = EVERYTHING
) -> bytes:
    """What both ways of reading return; fails where they differ."""
    warm = log.read_warm(offset, max_bytes=max_bytes, before_offset=before_offset)
    waited = await log.read(offset, max_bytes=max_bytes, before_offset=before_offset)
    again = log.read_warm(offset, max_bytes=max_bytes, before_offset=before_offset)
    data = b"".join(waited)
    for buffers in (warm, again):
        assert buffers is None or b"".join(buffers) == data
    for buffer in waited:
        assert whole_batches(buffer) > 0
    return data


async def replace(log: EngineLog, base_offset: int, next_offset: int, *batches: Buffer) -> None:
    """Replaces a range of a log, batch by batch."""

    async def each() -> AsyncIterator[Buffer]:
        for batch in batches:
            await anyio.lowlevel.checkpoint()
            yield batch

    await log.replace(base_offset, next_offset, each())


def whole_batches(buffer: Buffer) -> int:
    """How many batches ``buffer`` holds; fails where the last one is cut off."""
    extents = list(walk_batches(buffer))
    assert extents
    assert extents[-1].end == len(buffer)
    return len(extents)


async def check_extents(log: EngineLog) -> None:
    """Extents follow each other from the start to the end, and hold what the log holds."""
    offset = log.start_offset
    for extent in await log.extents():
        assert extent.base_offset == offset < extent.next_offset
        offset = extent.next_offset
    assert offset == log.end_offset
    assert sum(extent.size_bytes for extent in await log.extents()) == log.size_bytes
