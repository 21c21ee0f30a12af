"""The S3 engine when the bucket fails, or loses answers."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from hypothesis.stateful import run_state_machine_as_test
from obstore.exceptions import GenericError

from datacore.storage.engine import StorageError
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.storage.s3.sweep import sweep
from datacore.testing.engine_harness import (
    LOG,
    append,
    append_durably,
    append_one,
    check_extents,
    on_loop,
    read,
    running,
)
from datacore.testing.engine_model import EngineModel
from tests.storage.test_s3 import (
    FORGETFUL,
    MODEL_SETTINGS,
    RestlessHarness,
    StoreHarness,
    keys_of,
    trusted,
)
from tests.storage.troubled_bucket import troubled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from datacore.testing.engine_harness import EngineHarness


TROUBLE = 0.1
"""How often a request goes wrong."""


@pytest.fixture
def harness() -> StoreHarness:
    return StoreHarness()


@on_loop
async def test_a_round_whose_answer_was_lost_is_there_once(harness: StoreHarness) -> None:
    engine, bucket = troubled(harness)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    bucket.loses_answers = 1
    data = await append_durably(log, 100)
    bucket.loses_answers = 1
    await log.save_snapshot(1, b"summary")
    data += await append_durably(log, 200)
    assert await read(log, 0) == data
    await engine.close()
    async with running(harness) as other:
        again = await other.open_log(LOG, epoch=0)
        assert await read(again, 0) == data
        assert await again.load_snapshot() == (1, b"summary")


@on_loop
async def test_what_the_bucket_does_not_take_in_time_fails_and_the_log_goes_on_afterwards(
    harness: StoreHarness,
) -> None:
    engine, bucket = troubled(harness)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    bucket.refuses_creates = True
    lost = [append_one(log), append_one(log)]
    for pending in lost:
        with pytest.raises(StorageError):
            await pending
    assert (log.end_offset, log.durable_end_offset, log.size_bytes) == (1, 1, len(data))
    with pytest.raises(StorageError, match="waits"):
        append(log, 1)
    bucket.refuses_creates = False
    assert await log.load_snapshot() is None
    data += await append_durably(log, 10, 20)
    assert await read(log, 0) == data
    await check_extents(log)
    await engine.close()


@on_loop
async def test_a_round_that_was_given_up_but_written_is_found_when_the_log_goes_on(
    harness: StoreHarness,
) -> None:
    engine, bucket = troubled(harness)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    bucket.loses_answers, bucket.refuses_reads = 1 << 30, True
    with pytest.raises(StorageError):
        await append_one(log)
    assert log.end_offset == 0
    bucket.loses_answers, bucket.refuses_reads = 0, False
    assert await log.load_snapshot() is None
    assert (log.end_offset, log.durable_end_offset) == (1, 1)
    await append_durably(log, 10)
    assert len(await read(log, 0)) == log.size_bytes
    await engine.close()


@on_loop
async def test_what_was_on_its_way_from_the_bucket_while_it_was_cut_off_is_not_kept(
    harness: StoreHarness,
) -> None:
    async with running(harness) as before:
        log = await before.open_log(LOG, epoch=0)
        data = await append_durably(log, 10)
        await append_durably(log, 20)
        await append_durably(log, 30)
    engine, bucket = troubled(harness)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)

    async def cut_off() -> None:
        nonlocal data
        await log.truncate_after(1)
        data += await append_durably(log, 50)

    bucket.after_read = cut_off
    await read(log, 0)
    assert await read(log, 0) == data
    await engine.close()


@on_loop
async def test_appends_are_refused_when_the_bucket_is_too_far_behind(
    harness: StoreHarness,
) -> None:
    engine, bucket = troubled(harness, S3Config(unflushed_bytes_max=1 << 20))
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    bucket.refuses_creates = True
    waiting = append_one(log)
    while engine.flusher.unflushed_bytes + 161 <= 1 << 20:
        waiting = append_one(log)
    with pytest.raises(StorageError, match="behind"):
        append(log, 100)
    assert not waiting.is_settled
    end_offset = log.end_offset
    bucket.refuses_creates = False
    await log.close()
    assert log.durable_end_offset == end_offset
    assert engine.flusher.unflushed_bytes == 0
    await engine.close()


@on_loop
async def test_a_listing_that_lacks_the_newest_state_costs_nothing(harness: StoreHarness) -> None:
    async with running(harness) as engine:
        data = await append_durably(await engine.open_log(LOG, epoch=0), 10, 20)
    async with running(harness) as engine:
        assert isinstance(engine, S3Engine)
        await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=0)
    forgetting, bucket = troubled(harness)
    bucket.list_lacks = "state/"
    await forgetting.start()
    assert await read(await forgetting.open_log(LOG, epoch=0), 0) == data
    await forgetting.close()


@on_loop
async def test_only_what_nothing_refers_to_and_is_old_enough_is_deleted(
    harness: StoreHarness,
) -> None:
    async with running(harness) as engine:
        assert isinstance(engine, S3Engine)
        log = await engine.open_log(LOG, epoch=0)
        data = await append_durably(log, 10, 20)
        await log.save_snapshot(2, bytes(100_000))
        orphan = f"logs/orders-0/{0:020}.{uuid.uuid4().hex}"
        await engine.bucket.put(orphan, b"of a writer that died")
        await engine.bucket.put("logs/notes.txt", b"of somebody else")
        assert await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=60) == 0
        await engine.liveness.beat()
        assert await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=0) == 1
        assert await keys_of(engine, "logs/") == ["logs/notes.txt"]
        assert await read(log, 0) == data
        assert await log.load_snapshot() == (2, bytes(100_000))


class Unreliable:
    """What the bucket asks of obstore, with trouble: requests fail before or after they are done,
    and listings lack something. The same request does not fail twice in a row.
    """

    def __init__(self) -> None:
        self.troubles = 0
        self._chance = random.Random(20261125)
        self._just_failed: set[str] = set()

    def _trips(self, request: str) -> bool:
        if request in self._just_failed:
            self._just_failed.remove(request)
            return False
        if self._chance.random() >= TROUBLE:
            return False
        self._just_failed.add(request)
        self.troubles += 1
        return True

    async def _ask(self, request: str, answer: Awaitable[Any]) -> Any:
        is_late = self._chance.random() < 0.5
        trips = self._trips(request)
        if trips and not is_late:
            asyncio.ensure_future(answer).cancel()
            raise GenericError("503 Slow Down")  # as the library raises it
        result = await answer
        if trips:
            raise GenericError("connection closed before message completed")
        return result

    async def put_async(self, store: Any, key: str, data: bytes, **options: Any) -> Any:
        return await self._ask(f"put {key}", obstore.put_async(store, key, data, **options))

    async def get_async(self, store: Any, key: str) -> Any:
        return await self._ask(f"get {key}", obstore.get_async(store, key))

    async def get_range_async(self, store: Any, key: str, **options: Any) -> Any:
        return await self._ask(f"get {key}", obstore.get_range_async(store, key, **options))

    async def delete_async(self, store: Any, keys: list[str]) -> Any:
        return await self._ask(f"delete {keys}", obstore.delete_async(store, keys))

    async def list(self, store: Any, prefix: str | None) -> AsyncIterator[Any]:
        async for page in obstore.list(store, prefix=prefix):
            yield page[self._trips(f"list {prefix}") :]


class UnreliableModel(EngineModel):
    def make_harness(self) -> EngineHarness:
        return RestlessHarness(FORGETFUL)


def test_with_an_unreliable_bucket_it_does_what_a_list_of_batches_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unreliable = Unreliable()
    monkeypatch.setattr("datacore.storage.s3.bucket.obstore", unreliable)
    monkeypatch.setattr("datacore.storage.s3.bucket.RETRY_DELAY_S", 0)
    monkeypatch.setattr("datacore.storage.s3.journal.RETRY_DELAY_MIN_S", 0)
    monkeypatch.setattr("datacore.storage.s3.engine.probe", trusted)
    run_state_machine_as_test(UnreliableModel, settings=MODEL_SETTINGS)
    assert unreliable.troubles > 20
