"""Compaction end to end: the task finds dirty logs, cleans them, and disturbs nobody."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from datacore.broker.broker import now_ms
from datacore.broker.shards import partition_for
from datacore.broker.topics import OFFSETS_TOPIC, NewTopic
from datacore.log.deletion import delete_records_before
from datacore.protocol.names import TopicName
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, decode_records, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import SegmentLimits
from datacore.storage.memory import MemoryEngine
from tests.broker.groups.test_service import commit, committed
from tests.broker.harness import WAIT_MAX_S, running, until_durable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from datacore.log.partition_log import PartitionLog
    from datacore.storage.engine import Engine, EngineLog
    from datacore.wire.buffer import Buffer

pytestmark = pytest.mark.anyio

T = TopicName("t")
HOUR_MS = 3_600_000
COMPACTED = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0"}
SOON = {"log_cleaner_backoff_ms": 1}
LATER = {"log_cleaner_backoff_ms": HOUR_MS}


@pytest.fixture(params=["memory", "disk"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return (
        MemoryEngine() if request.param == "memory" else DiskEngine(DiskConfig(data_dir=tmp_path))
    )


def put(log: PartitionLog, key: str, value: str, age_ms: int) -> None:
    batch = encode_batch(
        [Record(timestamp_ms=now_ms() - age_ms, key=key.encode(), value=value.encode())]
    )
    log.append(memoryview(batch), now_ms())


async def values_of(log: PartitionLog) -> list[bytes | None]:
    values = []
    offset = log.log_start_offset
    while offset < log.high_watermark:
        for buffer in await log.read(offset, 1 << 20, log.high_watermark):
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                values += [record.value for record in decode_records(view[at:], header)]
                offset = header.next_offset
    return values


class Replacing:
    """Tells when a log's engine begins to replace a range, and when it has ended."""

    def __init__(self, log: PartitionLog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = anyio.Event()
        self.ended = anyio.Event()
        kind = type(log._engine_log)
        replace = kind.replace

        async def noting(
            log: EngineLog, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
        ) -> None:
            self.begun.set()
            try:
                await replace(log, base_offset, next_offset, batches)
            finally:
                self.ended.set()

        monkeypatch.setattr(kind, "replace", noting)

    async def another_end(self) -> None:
        """Waits for an end that this was not asked about yet."""
        await self.ended.wait()
        self.ended = anyio.Event()


def suffixes_in(data_dir: Path) -> set[str]:
    """Of the files of the topic's log."""
    (folder,) = data_dir.glob("logs/t-0*")
    return {path.suffix for path in folder.iterdir()}


async def test_the_task_compacts_by_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(engine, **SOON) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=COMPACTED))
        log = broker.partitions.log(T, 0)
        replacing = Replacing(log, monkeypatch)
        for age_ms in range(2000, 1000, -100):
            put(log, "key", str(age_ms), age_ms)
        await until_durable(log)
        with anyio.fail_after(WAIT_MAX_S):
            while len(await values_of(log)) > 2:
                await replacing.another_end()
        assert await values_of(log) == [b"1200", b"1100"]


async def test_without_the_cleaner_nothing_is_compacted() -> None:
    async with running(MemoryEngine(), log_cleaner_enable=False, **SOON) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=COMPACTED))
        log = broker.partitions.log(T, 0)
        for age_ms in (300, 200, 100):
            put(log, "key", str(age_ms), age_ms)
        await anyio.wait_all_tasks_blocked()
        assert len(await values_of(log)) == 3


async def test_the_dirtiest_log_comes_first_and_clean_ones_not_at_all(engine: Engine) -> None:
    async with running(engine, **LATER) as broker:
        await broker.topics.create(NewTopic(T, 3, configs=COMPACTED))
        logs = [broker.partitions.log(T, index) for index in range(3)]
        for log in logs[:2]:
            for age_ms in (900, 800, 700):
                put(log, "key", str(age_ms), age_ms)
            await until_durable(log)
        assert await broker.compaction.run_once()
        assert await broker.compaction.run_once()
        assert not await broker.compaction.run_once()
        put(logs[1], "key", "600", 600)
        put(logs[2], "key", "500", 500)
        put(logs[2], "key", "400", 400)
        for log in logs:
            await until_durable(log)
        cleaned = [log.cleaned_offset for log in logs]
        assert await broker.compaction.run_once()
        assert [log.cleaned_offset for log in logs] == [*cleaned[:2], 1]
        assert await broker.compaction.run_once()
        assert not await broker.compaction.run_once()


async def test_both_policies_compact_and_delete(engine: Engine) -> None:
    configs = COMPACTED | {"cleanup.policy": "compact,delete", "retention.ms": str(5 * HOUR_MS)}
    async with running(engine, **LATER) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=configs))
        log = broker.partitions.log(T, 0)
        for key, age_h in (("old", 9), ("a", 4), ("a", 3), ("b", 2), ("b", 1)):
            put(log, key, str(age_h), age_h * HOUR_MS)
        await until_durable(log)
        assert await broker.compaction.run_once()
        assert await values_of(log) == [b"9", b"3", b"2", b"1"]
        await broker.retention.run_once()
        put(log, "b", "0", 0)
        await until_durable(log)
        assert await broker.compaction.run_once()
        await broker.retention.run_once()
        assert await values_of(log) == [b"9", b"3", b"1", b"0"]


async def test_offsets_of_groups_are_compacted_and_known_after_a_restart(engine: Engine) -> None:
    kafka = LATER | {"offsets_topic_num_partitions": 1}
    async with running(engine, **kafka) as broker:
        await broker.topics.create(NewTopic(T, 3))
        await broker.groups.shards.create_topic_if_missing()
        assert await commit(broker, "group", 0) == [0]
        log = broker.partitions.log(OFFSETS_TOPIC, partition_for("group", 1))
        log._engine_log.limit_segments(SegmentLimits(size_bytes=2000, age_ms=1 << 40))
        for _ in range(100):
            await commit(broker, "group", 0, 1, 2)
        size_bytes = log.size_bytes
        assert await broker.compaction.run_once()
        assert log.size_bytes < size_bytes / 3
        before = await committed(broker, "group", 0, 1, 2)
    if isinstance(engine, DiskEngine):
        async with running(DiskEngine(engine._config), **kafka) as broker:
            assert await committed(broker, "group", 0, 1, 2) == before == [10, 11, 12]


async def test_a_log_whose_start_moves_meanwhile_is_tried_again(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = COMPACTED | {"cleanup.policy": "compact,delete"}
    async with running(engine, **LATER) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=configs))
        log = broker.partitions.log(T, 0)
        for age_ms in range(900, 0, -100):
            put(log, "key", str(age_ms), age_ms)
        await until_durable(log)
        replace = log._engine_log.replace

        async def late(*arguments: object) -> None:
            await delete_records_before(log, 2)
            await replace(*arguments)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(type(log._engine_log), "replace", lambda _, *args: late(*args))
        caplog.set_level(logging.WARNING)
        assert await broker.compaction.run_once()
        assert "Compaction of t-0 has failed" in caplog.text
        monkeypatch.undo()
        assert not await broker.compaction.run_once()  # until the next wait is over
        broker.compaction._failed.clear()
        assert await broker.compaction.run_once()
        assert await values_of(log) == [b"200", b"100"]


async def test_a_topic_that_is_deleted_while_it_is_compacted_is_gone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(engine, **SOON) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=COMPACTED))
        log = broker.partitions.log(T, 0)
        replacing = Replacing(log, monkeypatch)
        for number in range(300):
            put(log, f"key-{number % 7}", "x" * 1000, 10_000 - 2 * number)
        await replacing.begun.wait()
        await broker.delete_topic(broker.topics.by_name[T])
        await replacing.ended.wait()
        assert T not in broker.partitions.by_topic


async def test_a_broker_that_stops_while_it_compacts_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DiskConfig(data_dir=tmp_path)
    async with running(DiskEngine(config), **SOON) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=COMPACTED))
        log = broker.partitions.log(T, 0)
        replacing = Replacing(log, monkeypatch)
        for number in range(300):
            put(log, f"key-{number % 7}", f"{number}" + "x" * 1000, 10_000 - 2 * number)
        kept = [f"{number}".encode() + b"x" * 1000 for number in range(293, 300)]
        await replacing.begun.wait()
    assert suffixes_in(tmp_path) <= {"", ".log", ".index", ".timeindex"}
    async with running(DiskEngine(config), **LATER) as broker:
        log = broker.partitions.log(T, 0)
        assert (await values_of(log))[-7:] == kept
        assert await broker.compaction.run_once() or log.cleaned_offset > 0


async def test_a_log_that_brings_out_a_fault_does_not_end_the_task(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    async with running(MemoryEngine(), **LATER) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=COMPACTED))
        log = broker.partitions.log(T, 0)
        for age_ms in (900, 800, 700):
            put(log, "key", str(age_ms), age_ms)
        monkeypatch.setattr(type(log._engine_log), "replace", fail)
        assert await broker.compaction.run_once()
        assert "ZeroDivisionError" in caplog.text
        assert broker.compaction._keys.count == 0
        assert not await broker.compaction.run_once()
