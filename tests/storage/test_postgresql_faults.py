"""The PostgreSQL engine when the database fails, is slow, or has another owner for a log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, LogName, StorageError
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.storage.postgresql.store import Store
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    append_one,
    check_extents,
    on_loop,
    read,
    running,
)
from tests.storage.postgresql_server import PostgresqlServer, running_server
from tests.storage.test_postgresql import PostgresqlHarness, config_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.chunked.store import Round
    from datacore.storage.postgresql.config import PostgresqlConfig


@pytest.fixture
def config(postgresql_server: PostgresqlServer) -> PostgresqlConfig:
    return replace(config_of(postgresql_server), flush_timeout_s=60.0)


@pytest.fixture
def own_server() -> Iterator[PostgresqlServer]:
    """A server that a test may stop."""
    with running_server() as server:
        yield server


class TroubledStore(Store):
    """A store whose rounds go wrong on demand."""

    def __init__(self, config: PostgresqlConfig) -> None:
        super().__init__(config)
        self.loses_answers = 0
        """So many rounds are written, and then nobody hears of it."""
        self.loses_cuts = False
        """The next cut is made, and then nobody hears of it."""
        self.surprises = False
        self.refuses = False
        self.refused_log: int | None = None

    async def truncate_before(self, log_id: int, owner: int, offset: int) -> None:
        await super().truncate_before(log_id, owner, offset)
        self._lose_cut()

    async def truncate_after(
        self, log_id: int, owner: int, offset: int, last: Chunk | None
    ) -> None:
        await super().truncate_after(log_id, owner, offset, last)
        self._lose_cut()

    def _lose_cut(self) -> None:
        loses, self.loses_cuts = self.loses_cuts, False
        if loses:
            message = "the test has lost the answer"
            raise Unavailable(message)

    async def append(self, rounds: Sequence[Round]) -> set[int]:
        surprises, self.surprises = self.surprises, False
        if surprises:
            message = "a surprise"
            raise LookupError(message)
        if self.refuses or self.refused_log in {each.log_id for each in rounds}:
            message = "the test has cut the connection"
            raise Unavailable(message)
        moved = await super().append(rounds)
        if self.loses_answers:
            self.loses_answers -= 1
            message = "the test has lost the answer"
            raise Unavailable(message)
        return moved


def troubled(config: PostgresqlConfig) -> tuple[PostgresqlEngine, TroubledStore]:
    engine = PostgresqlEngine(config)
    store = TroubledStore(config)
    engine.store = engine.flusher.store = store
    return engine, store


@on_loop
async def test_a_round_whose_answer_was_lost_is_there_once(config: PostgresqlConfig) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    store.loses_answers = 1
    data = await append_durably(log, 100)
    data += await append_durably(log, 200)
    assert await read(log, 0) == data
    await engine.close()
    async with running(PostgresqlHarness(config)) as other:
        assert await read(await other.open_log(LOG, epoch=0), 0) == data


@on_loop
async def test_what_the_store_does_not_take_in_time_fails_and_the_log_goes_on_afterwards(
    config: PostgresqlConfig,
) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    store.refuses = True
    engine.flusher._timeout_s = 0.2
    lost = [append_one(log), append_one(log)]
    for pending in lost:
        with pytest.raises(StorageError):
            await pending
    assert (log.end_offset, log.durable_end_offset, log.size_bytes) == (1, 1, len(data))
    with pytest.raises(StorageError, match="waits"):
        append(log, 1)
    store.refuses = False
    engine.flusher._timeout_s = 60.0
    assert await log.load_snapshot() is None
    data += await append_durably(log, 10, 20)
    assert await read(log, 0) == data
    await check_extents(log)
    await engine.close()


@on_loop
async def test_a_round_that_was_given_up_but_written_is_found_when_the_log_goes_on(
    config: PostgresqlConfig,
) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    store.loses_answers = 1 << 30
    engine.flusher._timeout_s = 0.2
    with pytest.raises(StorageError):
        await append_one(log)
    assert log.end_offset == 0
    store.loses_answers = 0
    engine.flusher._timeout_s = 60.0
    assert await log.load_snapshot() is None
    assert (log.end_offset, log.durable_end_offset) == (1, 1)
    await append_durably(log, 10)
    assert len(await read(log, 0)) == log.size_bytes
    await engine.close()


@on_loop
async def test_a_cut_whose_answer_was_lost_is_found_when_the_log_goes_on(
    config: PostgresqlConfig,
) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    await append_durably(log, 200)
    store.loses_cuts = True
    with pytest.raises(Unavailable):
        await log.truncate_after(1)
    with pytest.raises(StorageError, match="waits"):
        append(log, 1)
    assert await log.load_snapshot() is None
    assert (log.end_offset, log.durable_end_offset, log.size_bytes) == (1, 1, len(data))
    data += await append_durably(log, 300)
    assert await read(log, 0) == data
    await check_extents(log)
    await engine.close()


@on_loop
async def test_who_does_not_hear_that_it_owns_the_log_again_asks_again(
    config: PostgresqlConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    store.loses_cuts = True
    await log.truncate_after(log.end_offset)
    with pytest.raises(Unavailable):
        await log.truncate_before(1)
    fetch = store.connections.fetch

    async def lose(statement: str, *values: object, timeout_s: float | None = None) -> Any:
        rows = await fetch(statement, *values, timeout_s=timeout_s)
        if statement.startswith("update log set owner"):
            message = "the test has lost the answer"
            raise Unavailable(message)
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(store.connections, "fetch", lose)
        with pytest.raises(Unavailable):
            await log.load_snapshot()
    assert await log.load_snapshot() is None
    assert (log.start_offset, log.end_offset, len(data)) == (1, 1, 161)
    await append_durably(log, 200)
    await engine.close()


@on_loop
async def test_a_round_that_fails_as_nobody_expects_costs_that_round(
    config: PostgresqlConfig, caplog: pytest.LogCaptureFixture
) -> None:
    engine, store = troubled(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    for _ in range(4):  # one more than there are workers
        store.surprises = True
        with pytest.raises(StorageError, match="surprise"):
            await append_one(log)
        assert "in a way nobody expects" in caplog.text
        assert await log.load_snapshot() is None
    data = await append_durably(log, 100)
    assert await read(log, 0) == data
    await engine.close()


@on_loop
async def test_what_the_driver_raises_of_itself_may_be_tried_again(
    config: PostgresqlConfig,
) -> None:
    async with running(PostgresqlHarness(config)) as engine:
        assert isinstance(engine, PostgresqlEngine)
        with pytest.raises(Unavailable):
            async with engine.store.connections.transaction():
                raise asyncpg.InternalClientError("cannot switch to state 15")


@on_loop
async def test_no_log_fails_for_another(config: PostgresqlConfig) -> None:
    engine, store = troubled(config)
    await engine.start()
    good = await engine.open_log(LOG, epoch=0)
    bad = await engine.open_log(OTHER_LOG, epoch=0)
    engine.flusher._timeout_s = 1.0  # the good one is written when the bad one has used it up
    store.refused_log = bad.log_id  # type: ignore[attr-defined]  # this engine's logs have one
    fails, lives = append_one(bad), append_one(good)
    await lives
    with pytest.raises(StorageError):
        await fails
    await engine.close()


@on_loop
async def test_appends_are_refused_when_the_store_is_too_far_behind(
    config: PostgresqlConfig,
) -> None:
    engine, store = troubled(replace(config, unflushed_bytes_max=1 << 20))
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    store.refuses = True
    waiting = append_one(log)
    while engine.flusher.unflushed_bytes + 161 <= 1 << 20:
        waiting = append_one(log)
    with pytest.raises(StorageError, match="behind"):
        append(log, 100)
    assert not waiting.is_settled
    end_offset = log.end_offset
    store.refuses = False
    await log.close()
    assert log.durable_end_offset == end_offset
    assert engine.flusher.unflushed_bytes == 0
    await engine.close()


@on_loop
async def test_another_engine_with_a_higher_epoch_fences_the_owner(
    config: PostgresqlConfig,
) -> None:
    harness = PostgresqlHarness(config)
    async with running(harness) as first, running(harness) as second:
        old = await first.open_log(LOG, epoch=1)
        data = await append_durably(old, 10)
        new = await second.open_log(LOG, epoch=2)
        stale = append_one(old)
        with pytest.raises(Fenced):
            await stale
        with pytest.raises(Fenced):
            append(old, 1)
        with pytest.raises(Fenced):
            await old.truncate_before(1)
        data += await append_durably(new, 20)
        assert await read(new, 0) == data


@on_loop
async def test_a_log_that_a_living_engine_has_open_is_not_opened_with_the_same_epoch(
    config: PostgresqlConfig,
) -> None:
    harness = PostgresqlHarness(config)
    async with running(harness) as second:
        async with running(harness) as first:
            await first.open_log(LOG, epoch=1)
            with pytest.raises(StorageError, match="another broker"):
                await second.open_log(LOG, epoch=1)
        await second.open_log(LOG, epoch=1)


@on_loop
async def test_a_log_of_an_engine_that_has_died_is_opened_with_the_same_epoch(
    config: PostgresqlConfig,
) -> None:
    dead = PostgresqlEngine(config)
    await dead.start()
    data = await append_durably(await dead.open_log(LOG, epoch=1), 10)
    await dead.flusher.close()
    await dead.store.connections.close()  # as when its process ends: no log was closed
    async with running(PostgresqlHarness(config)) as engine:
        assert await read(await engine.open_log(LOG, epoch=1), 0) == data
    with pytest.raises(StorageError):
        await dead.close()


@on_loop
async def test_a_crash_of_the_server_costs_nothing_that_was_durable(
    own_server: PostgresqlServer,
) -> None:
    config = replace(config_of(own_server), flush_timeout_s=60.0)
    async with running(PostgresqlHarness(config)) as engine:
        log = await engine.open_log(LOG, epoch=0)
        data = await append_durably(log, 10, 2000)
        await asyncio.to_thread(own_server.stop, mode="immediate")
        pending = append_one(log)
        await asyncio.to_thread(own_server.start)
        await pending
        assert log.durable_end_offset == 3
        assert (await read(log, 0)).startswith(data)
    async with running(PostgresqlHarness(config)) as engine:
        again = await engine.open_log(LOG, epoch=0)
        assert (await read(again, 0)).startswith(data)
        assert again.end_offset == 3


@on_loop
async def test_the_space_of_deleted_logs_comes_back(
    postgresql_server: PostgresqlServer, config: PostgresqlConfig
) -> None:
    def rows(table: str) -> str:
        return postgresql_server.statement(
            f"select count(*) from {config.schema}.{table}", database="datacore"
        ).strip()

    async with running(PostgresqlHarness(config)) as engine:
        log = await engine.open_log(LOG, epoch=0)
        await append_durably(log, *([100] * 20))
        await log.save_snapshot(1, b"summary")
        await engine.delete_log(LOG)
    async with running(PostgresqlHarness(config)) as engine:
        while await engine.store.purge():  # type: ignore[attr-defined]  # this engine's own
            pass
        assert (rows("chunk"), rows("segment"), rows("snapshot")) == ("0", "0", "0")


@on_loop
async def test_engines_that_start_at_once_make_the_schema_once(config: PostgresqlConfig) -> None:
    engines = [PostgresqlEngine(config) for _ in range(4)]
    await asyncio.gather(*(engine.start() for engine in engines))
    for engine in engines:
        await engine.close()


@on_loop
async def test_rows_are_as_large_as_the_load_makes_them(
    postgresql_server: PostgresqlServer, config: PostgresqlConfig
) -> None:
    async with running(PostgresqlHarness(config)) as engine:
        logs = [await engine.open_log(LogName(f"log-{at}"), epoch=0) for at in range(3)]
        for log in logs:
            for _ in range(500):
                append(log, 100)
        for log in logs:
            await log.close()
    rows = postgresql_server.statement(
        f"select count(*) from {config.schema}.chunk", database="datacore"
    )
    assert int(rows) <= 3 * 3
