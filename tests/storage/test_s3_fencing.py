"""The S3 engine when another one wants the same logs, lives or is dead, or slept."""

from __future__ import annotations

import asyncio
import os

import pytest

from datacore.storage.engine import Fenced, StorageError
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.storage.s3.liveness import _process
from datacore.storage.s3.sweep import sweep
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    append_one,
    on_loop,
    read,
    running,
)
from tests.storage.test_s3 import StoreHarness, keys_of
from tests.storage.troubled_bucket import troubled


@pytest.fixture
def harness() -> StoreHarness:
    return StoreHarness()


@on_loop
async def test_another_engine_with_a_higher_epoch_fences_the_owner(harness: StoreHarness) -> None:
    async with running(harness) as first, running(harness) as second:
        old = await first.open_log(LOG, epoch=1)
        other = await first.open_log(OTHER_LOG, epoch=1)
        data = await append_durably(old, 10)
        new = await second.open_log(LOG, epoch=2)
        stale, lives = append_one(old), append_one(other)
        with pytest.raises(Fenced):
            await stale
        await lives
        with pytest.raises(Fenced):
            append(old, 1)
        with pytest.raises(Fenced):
            await old.truncate_before(1)
        data += await append_durably(new, 20)
        assert await read(new, 0) == data


@on_loop
async def test_a_log_that_another_engine_has_taken_is_not_put_in_order(
    harness: StoreHarness,
) -> None:
    async with running(harness) as first, running(harness) as second:
        assert isinstance(first, S3Engine)
        assert isinstance(second, S3Engine)
        await append_durably(await first.open_log(LOG, epoch=1), 10)
        await second.open_log(LOG, epoch=2)
        await first.journal.catch_up()
        await first.rewriter.run()
        await second.journal.catch_up()
        assert {key.split("/")[0] for key in second.journal.state.referenced()} == {"wal"}
        await second.rewriter.run()
        assert {key.split("/")[0] for key in second.journal.state.referenced()} == {"mixed"}


@on_loop
async def test_a_log_that_a_living_engine_has_open_is_not_opened_with_the_same_epoch(
    harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.engine.DYING_S", 0.0)
    async with running(harness) as second:
        async with running(harness) as first:
            await first.open_log(LOG, epoch=1)
            with pytest.raises(StorageError, match="another broker"):
                await second.open_log(LOG, epoch=1)
        await second.open_log(LOG, epoch=1)


async def dies(engine: S3Engine) -> None:
    """As when its process ends: no log is closed, nothing is said."""
    for task in [*engine._tasks, engine.journal._worker]:
        assert task is not None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await engine.flusher.close()


@on_loop
async def test_a_log_of_an_engine_that_gives_no_sign_of_life_is_opened_with_the_same_epoch(
    harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.liveness.DEAD_AFTER_S", 0.1)
    monkeypatch.setattr("datacore.storage.s3.liveness.LOOK_INTERVAL_S", 0.0)
    monkeypatch.setattr("datacore.storage.s3.engine.LOOK_INTERVAL_S", 0.02)
    dead = harness()
    await dead.start()
    data = await append_durably(await dead.open_log(LOG, epoch=1), 10)
    await dies(dead)
    async with running(harness) as engine:
        assert await read(await engine.open_log(LOG, epoch=1), 0) == data


@on_loop
async def test_an_engine_of_a_process_that_is_gone_is_dead_at_once(harness: StoreHarness) -> None:
    process = _process(os.getpid())
    if not process:
        pytest.skip("not run: this system does not tell processes apart")
    boot, names, pid, born = process.split(".")
    dead = harness()
    dead.liveness.instance = f"{boot}.{names}.{pid}.{int(born) + 1}.another"
    await dead.start()
    data = await append_durably(await dead.open_log(LOG, epoch=1), 10)
    await dies(dead)
    async with running(harness) as engine:
        assert not await engine.liveness.lives(dead.liveness.instance)  # type: ignore[attr-defined]  # this engine's own
        assert await read(await engine.open_log(LOG, epoch=1), 0) == data


async def take_over_and_sweep(harness: StoreHarness) -> bytes:
    """Another engine goes on with the log, until nothing of the journal is left."""
    async with running(harness) as other:
        assert isinstance(other, S3Engine)
        data = await append_durably(await other.open_log(LOG, epoch=2), 20)
        await other.rewriter.run()
        await other.journal._write_down(other.journal.state.number, other.journal.state.encode())
        await other.liveness.beat()
        await sweep(other.bucket, other.journal, other.liveness, grace_s=0)
        assert await keys_of(other, "wal/") == []
    return data


async def stored(harness: StoreHarness) -> bytes:
    async with running(harness) as engine:
        return await read(await engine.open_log(LOG, epoch=3), 0)


@on_loop
async def test_who_slept_while_its_number_was_used_and_swept_does_not_win_it_again(
    harness: StoreHarness,
) -> None:
    sleeper = harness()
    await sleeper.start()
    old = await sleeper.open_log(LOG, epoch=1)
    data = await append_durably(old, 10)
    data += await take_over_and_sweep(harness)
    sleeper.journal._at_end_s -= sleeper.config.grace_s
    with pytest.raises(Fenced):
        await append_one(old)
    await sleeper.close()
    assert await stored(harness) == data


@on_loop
async def test_a_create_that_takes_so_long_that_its_number_was_used_and_swept_does_not_count(
    harness: StoreHarness,
) -> None:
    sleeper, bucket = troubled(harness, S3Config())
    await sleeper.start()
    old = await sleeper.open_log(LOG, epoch=1)
    data = [await append_durably(old, 10)]

    async def long() -> None:
        data.append(await take_over_and_sweep(harness))
        sleeper.journal._at_end_s -= sleeper.config.grace_s

    bucket.before_create = long
    with pytest.raises(Fenced):
        await append_one(old)
    await sleeper.close()
    assert await stored(harness) == b"".join(data)


@on_loop
async def test_who_looks_for_the_end_while_it_is_used_and_swept_looks_again(
    harness: StoreHarness,
) -> None:
    sleeper, bucket = troubled(harness, S3Config())
    await sleeper.start()
    old = await sleeper.open_log(LOG, epoch=1)
    data = [await append_durably(old, 10)]

    async def meanwhile() -> None:
        data.append(await take_over_and_sweep(harness))

    sleeper.journal._at_end_s -= sleeper.config.grace_s
    bucket.before_read = meanwhile
    with pytest.raises(Fenced):
        await append_one(old)
    await sleeper.close()
    assert await stored(harness) == b"".join(data)
