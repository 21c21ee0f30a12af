"""The S3 engine when the bucket fails, loses answers, or has another owner for a log."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from hypothesis.stateful import run_state_machine_as_test
from obstore.exceptions import GenericError

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import Fenced, StorageError
from datacore.storage.s3.bucket import Bucket, Listed
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.storage.s3.liveness import _process
from datacore.storage.s3.sweep import sweep
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    check_extents,
    on_loop,
    read,
    running,
)
from datacore.testing.engine_model import EngineModel
from tests.storage.s3_server import running_s3_server
from tests.storage.test_s3 import (
    FORGETFUL,
    MODEL_SETTINGS,
    RestlessHarness,
    ServerHarness,
    StoreHarness,
    config_of,
    keys_of,
    trusted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from obstore.store import MemoryStore

    from datacore.storage.engine import EngineLog
    from datacore.storage.pending import Pending
    from datacore.testing.engine_harness import EngineHarness
    from tests.storage.s3_server import S3Server

FIGHTS = 200 if os.environ.get("DATACORE_HYPOTHESIS") else 40
TROUBLE = 0.1
"""How often a request goes wrong."""
IMPATIENT = S3Config(flush_timeout_s=0.2)


class TroubledBucket(Bucket):
    """A bucket whose requests go wrong on demand."""

    def __init__(self, objects: MemoryStore) -> None:
        super().__init__(objects, "cluster", "memory of the test")
        self.loses_answers = 0
        """So many creates are done, and then nobody hears of it."""
        self.refuses_creates = False
        self.refuses_reads = False
        self.list_lacks = ""
        self.before_create: Callable[[], Awaitable[None]] | None = None
        self.before_read: Callable[[], Awaitable[None]] | None = None
        self.after_read: Callable[[], Awaitable[None]] | None = None

    async def create(self, key: str, data: bytes) -> bool:
        meanwhile, self.before_create = self.before_create, None
        if meanwhile is not None:
            await meanwhile()
        if self.refuses_creates:
            message = "the test has cut the connection"
            raise Unavailable(message)
        won = await super().create(key, data)
        if self.loses_answers:
            self.loses_answers -= 1
            message = "the test has lost the answer"
            raise Unavailable(message)
        return won

    async def get_range(self, key: str, start: int, size: int) -> bytes | None:
        if self.refuses_reads:
            message = "the test has cut the connection"
            raise Unavailable(message)
        meanwhile, self.before_read = self.before_read, None
        if meanwhile is not None:
            await meanwhile()
        data = await super().get_range(key, start, size)
        meanwhile, self.after_read = self.after_read, None
        if meanwhile is not None:
            await meanwhile()
        return data

    async def list(self, prefix: str = "") -> list[Listed]:
        listed = await super().list(prefix)
        return [each for each in listed if not self.list_lacks or self.list_lacks not in each.key]


def troubled(
    harness: StoreHarness, config: S3Config = IMPATIENT
) -> tuple[S3Engine, TroubledBucket]:
    bucket = TroubledBucket(harness.objects)
    return S3Engine(config, bucket), bucket


def append_one(log: EngineLog) -> Pending[None]:
    pending = log.append(
        pack_batch(log.end_offset, b"x" * 100),
        base_offset=log.end_offset,
        next_offset=log.end_offset + 1,
        max_timestamp_ms=0,
    )
    assert pending is not None
    return pending


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
async def test_two_engines_that_fight_for_a_log_lose_nothing_and_give_no_offset_twice(
    harness: StoreHarness,
) -> None:
    async with running(harness) as first, running(harness) as second:
        engines = [first, second]
        owner = await first.open_log(LOG, epoch=1)
        acknowledged: list[tuple[int, bytes]] = []
        for epoch in range(2, 202):
            batch = pack_batch(owner.end_offset, str(epoch).encode())
            offset = owner.end_offset
            pending = owner.append(
                batch, base_offset=offset, next_offset=offset + 1, max_timestamp_ms=0
            )
            assert pending is not None
            challenger = await engines[(epoch + 1) % 2].open_log(LOG, epoch=epoch)
            try:
                await pending
            except Fenced:
                assert challenger.end_offset == offset
            else:
                acknowledged.append((offset, batch))
                assert challenger.end_offset == offset + 1
            owner = challenger
        stored = await read(owner, 0)
        assert stored == b"".join(batch for _, batch in acknowledged)
        assert [offset for offset, _ in acknowledged] == list(range(owner.end_offset))


def test_two_processes_that_fight_for_a_log_lose_nothing_and_give_no_offset_twice(
    s3_server: S3Server,
) -> None:
    config = config_of(s3_server)
    fighters = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.storage.fight_for_log",
                s3_server.endpoint,
                config.prefix,
                str(epoch),
                str(FIGHTS // 2),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for epoch in (1, 2)
    ]
    acknowledged: dict[int, bytes] = {}
    for fighter in fighters:
        said, _ = fighter.communicate(timeout=60)
        assert fighter.returncode == 0
        for line in said.splitlines():
            offset, payload = line.split()
            assert int(offset) not in acknowledged
            acknowledged[int(offset)] = pack_batch(int(offset), payload.encode())

    async def everything() -> bytes:
        async with running(ServerHarness(config)) as engine:
            log = await engine.open_log(LOG, epoch=1 << 30)
            assert log.end_offset == len(acknowledged)
            return await read(log, 0)

    assert asyncio.run(everything()) == b"".join(
        acknowledged[offset] for offset in sorted(acknowledged)
    )


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
        await engine.bucket.put("logs/orders-0/orphan", b"of a writer that died")
        assert await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=60) == 0
        await engine.liveness.beat()
        assert await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=0) == 1
        assert await keys_of(engine, "logs/") == []
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


class RacyBucket(TroubledBucket):
    """It looks first and stores afterwards, as some servers do."""

    async def create(self, key: str, data: bytes) -> bool:
        if await self.get(key) is not None:
            return False
        await asyncio.sleep(0)
        await self.put(key, data)
        return True


@on_loop
async def test_a_server_that_races_is_refused(harness: StoreHarness) -> None:
    engine = S3Engine(IMPATIENT, RacyBucket(harness.objects))
    with pytest.raises(StorageError, match="conditional creates"):
        await engine.start()
    assert await keys_of(engine, "") == []


@on_loop
async def test_a_server_that_ignores_conditions_is_refused() -> None:
    with (
        running_s3_server(ignores_conditions=True) as server,
        pytest.raises(StorageError, match="let 16 succeed"),
    ):
        await S3Engine(config_of(server)).start()


@on_loop
async def test_a_server_that_orders_creates_is_trusted(s3_server: S3Server) -> None:
    engine = S3Engine(config_of(s3_server))
    await engine.start()
    await engine.close()
    assert engine.bucket.puts > 160


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match=r"/nowhere/ca\.pem cannot be read"):
        S3Engine(S3Config(endpoint="https://localhost:1", ca_file="/nowhere/ca.pem"))


@pytest.mark.parametrize("trouble", ["no bucket", "no server"])
@on_loop
async def test_who_cannot_use_a_bucket_is_told_where_and_sees_no_secret(
    s3_server: S3Server, *, trouble: str
) -> None:
    config = config_of(s3_server)
    if trouble == "no bucket":
        config = replace(config, bucket="missing")
    else:
        config = replace(config, endpoint="http://127.0.0.1:1")
    with pytest.raises(StorageError, match=r"^s3://.* cannot be used: ") as refused:
        await S3Engine(config).start()
    assert "sesame" not in str(refused.value)
    assert "sesame" not in repr(config)
    assert len(str(refused.value)) < 500


ENDS_AT_ONCE = """
import asyncio
from obstore.store import MemoryStore
from datacore.storage.s3.bucket import Bucket

async def main():
    bucket = Bucket(MemoryStore(), "", "memory")
    await asyncio.gather(*(bucket.create(str(number), b"x") for number in range(16)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_process_that_ends_right_after_its_last_request_ends_well() -> None:
    for _ in range(30):
        subprocess.run([sys.executable, "-c", ENDS_AT_ONCE], check=True, timeout=30)
