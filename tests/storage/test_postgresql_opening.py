"""Opening many logs of PostgreSQL at once: few statements, and the logs are what they were."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, LogName, SegmentLimits
from datacore.storage.postgresql.opening import SUMMARY_BYTES_MAX, TAIL_BYTES_MAX
from datacore.storage.postgresql.together import LOGS_AT_ONCE, Together
from datacore.testing.engine_harness import append_durably, check_extents, on_loop, read, running
from tests.storage.test_postgresql import PostgresqlHarness, config_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from datacore.storage.engine import Engine, EngineLog
    from datacore.storage.postgresql.engine import PostgresqlEngine
    from datacore.wire.buffer import Buffer
    from tests.storage.postgresql_server import PostgresqlServer

LOGS = 300
NAMES = [LogName(f"many-{at}") for at in range(LOGS)]


@pytest.fixture
def harness(postgresql_server: PostgresqlServer) -> PostgresqlHarness:
    return PostgresqlHarness(config_of(postgresql_server))


@contextmanager
def counted(engine: PostgresqlEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement, and every transaction, that is asked of the database."""
    asked: list[str] = []
    connections = engine.store.connections
    fetch, transaction = connections.fetch, connections.transaction

    async def count(statement: str, *values: object, timeout_s: float | None = None) -> Any:
        if "is_deleted limit" not in statement:  # the engine looks for that by itself
            asked.append(statement)
        return await fetch(statement, *values, timeout_s=timeout_s)

    def count_transaction() -> Any:
        asked.append("begin")
        return transaction()

    with monkeypatch.context() as patched:
        patched.setattr(connections, "fetch", count)
        patched.setattr(connections, "transaction", count_transaction)
        yield asked


async def open_all(engine: Engine) -> list[EngineLog]:
    """As a broker does that starts: each log is opened, asked for its summary, and read back."""

    async def open_one(name: LogName) -> EngineLog:
        log = await engine.open_log(name, epoch=0)
        kept = await log.load_snapshot()
        if log.end_offset:
            await log.read(kept[0] if kept else 0, max_bytes=1 << 20, before_offset=1 << 40)
        return log

    return await asyncio.gather(*(open_one(name) for name in NAMES))


@on_loop
async def test_hundreds_of_logs_are_opened_and_closed_with_a_few_statements(
    harness: PostgresqlHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = -(-LOGS // LOGS_AT_ONCE)
    async with running(harness) as engine:
        logs = await asyncio.gather(*(engine.open_log(name, epoch=0) for name in NAMES))
        await asyncio.gather(*(append_durably(log, 100) for log in logs))
    engine = harness()
    await engine.start()
    with counted(engine, monkeypatch) as asked:
        logs = await open_all(engine)
    assert len(asked) == 3 * at_once  # the logs, what is known of them, what no summary covers
    with counted(engine, monkeypatch) as asked:
        await asyncio.gather(*(log.save_snapshot(1, b"summary") for log in logs))
        await asyncio.gather(*(log.close() for log in logs))
    assert len(asked) == 2 * at_once
    with counted(engine, monkeypatch) as asked:
        logs = await open_all(engine)
    assert len(asked) == 2 * at_once
    assert {await log.load_snapshot() for log in logs} == {(1, b"summary")}
    await engine.close()


@on_loop
async def test_logs_that_are_opened_together_are_what_they_were(
    harness: PostgresqlHarness,
) -> None:
    async def replacing() -> AsyncIterator[Buffer]:
        yield (await log.read(2, max_bytes=1 << 20, before_offset=3))[0]

    found: dict[LogName, tuple[object, ...]] = {}
    async with running(harness) as engine:
        names = [LogName(f"log-{at}") for at in range(9)]
        empty, plain, cut, summed, large, long, huge, mended, closed = [
            await engine.open_log(name, epoch=0) for name in names
        ]
        await empty.save_snapshot(0, b"")
        for log in (plain, cut, summed, large, mended, closed):
            log.limit_segments(SegmentLimits(size_bytes=500, age_ms=1 << 40))
            await append_durably(log, *[100] * 10)
        log = cut
        await cut.truncate_before(4)
        await summed.save_snapshot(6, b"up to 6")
        await large.save_snapshot(8, bytes(SUMMARY_BYTES_MAX + 1))
        await append_durably(long, *[TAIL_BYTES_MAX // 3] * 7)
        await append_durably(huge, 2 * TAIL_BYTES_MAX)
        log = mended
        await mended.replace(0, 3, replacing())
        await closed.truncate_before(10)
        await closed.save_snapshot(10, b"nothing is left")
        for log in (empty, plain, cut, summed, large, long, huge, mended, closed):
            found[log.name] = await look_at(log)
    async with running(harness) as engine:
        logs = await asyncio.gather(*(engine.open_log(name, epoch=0) for name in names))
        for log in logs:
            assert await look_at(log) == found[log.name], log.name
            await append_durably(log, 100)
            await check_extents(log)
        assert {log.size_bytes for log in logs[1:3]} == {11 * 161, 7 * 161}


async def look_at(log: EngineLog) -> tuple[object, ...]:
    await check_extents(log)
    kept, again = await log.load_snapshot(), await log.load_snapshot()
    assert kept == again
    return (
        kept,
        log.start_offset,
        log.end_offset,
        log.size_bytes,
        await log.extents(),
        await read(log, log.start_offset),
    )


@on_loop
async def test_a_summary_that_came_with_the_opening_is_not_told_after_it_became_another(
    harness: PostgresqlHarness,
) -> None:
    async with running(harness) as engine:
        for name in NAMES[:2]:
            log = await engine.open_log(name, epoch=0)
            await append_durably(log, 10, 10)
            await log.save_snapshot(2, b"old")
    async with running(harness) as engine:
        saved, cut = [await engine.open_log(name, epoch=0) for name in NAMES[:2]]
        await saved.save_snapshot(1, b"new")
        await cut.truncate_after(1)
        assert await saved.load_snapshot() == (1, b"new")
        assert await cut.load_snapshot() is None


@on_loop
async def test_a_batch_of_openings_fences_only_whose_epoch_is_behind(
    harness: PostgresqlHarness,
) -> None:
    async with running(harness) as engine:
        for name, epoch in zip(NAMES[:3], (0, 7, 1), strict=True):
            await (await engine.open_log(name, epoch=epoch)).close()
    async with running(harness) as engine:
        first, second, third, new = await asyncio.gather(
            *(engine.open_log(name, epoch=1) for name in NAMES[:4]), return_exceptions=True
        )
        assert isinstance(second, Fenced)
        for log in (first, third, new):
            assert not isinstance(log, BaseException)
            await append_durably(log, 10)


# --- questions that are asked together


class Statements:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[dict[int, str]] = []
        self.is_asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, questions: Mapping[int, str]) -> dict[int, str]:
        self.asked.append(dict(questions))
        self.is_asked.set()
        await self.go_on.wait()
        error, self.error = self.error, None
        if error is not None:
            raise error
        return {log: question.upper() for log, question in questions.items() if question}


@on_loop
async def test_what_comes_while_a_statement_is_under_way_goes_together_into_the_next() -> None:
    statements = Statements()
    together = Together(statements)
    first = asyncio.create_task(together.ask(1, "a"))
    await statements.is_asked.wait()
    others = [asyncio.create_task(together.ask(*each)) for each in [(1, "b"), (2, ""), (1, "c")]]
    gone = asyncio.create_task(together.ask(3, "d"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    statements.go_on.set()
    assert [await first, *[await other for other in others]] == ["A", "B", None, "C"]
    assert statements.asked == [{1: "a"}, {1: "b", 2: ""}, {1: "c"}]


@on_loop
async def test_a_statement_that_fails_fails_for_those_in_it_alone() -> None:
    statements = Statements()
    together = Together(statements)
    failing = [asyncio.create_task(together.ask(log, "a")) for log in (1, 2)]
    await statements.is_asked.wait()
    later = asyncio.create_task(together.ask(1, "b"))
    await asyncio.sleep(0)
    statements.error = Unavailable("not now")
    statements.go_on.set()
    for each in failing:
        with pytest.raises(Unavailable, match="not now"):
            await each
    assert await later == "B"
