"""Retention end to end: old extents go, their space comes back, nothing else changes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.broker import now_ms
from datacore.broker.configs.changes import ConfigChange, ConfigOperation
from datacore.broker.topics import OFFSETS_TOPIC, NewTopic
from datacore.metadata.image import RESOURCE_TOPIC
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.memory import MemoryEngine
from datacore.testing.faults import FaultyFiles
from tests.broker.harness import HeldEngine, running, until, until_durable
from tests.broker.test_fetching import now, parked, partitions, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from datacore.broker.broker import Broker
    from datacore.log.partition_log import PartitionLog
    from datacore.storage.engine import Engine
    from datacore.wire.buffer import Buffer

pytestmark = pytest.mark.anyio

T = TopicName("t")
HOUR_MS = 3_600_000
SEGMENT_PER_BATCH = {"segment.ms": "1"}


@pytest.fixture(params=["memory", "disk"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return (
        MemoryEngine() if request.param == "memory" else DiskEngine(DiskConfig(data_dir=tmp_path))
    )


def append(log: PartitionLog, age_ms: int, size: int = 100) -> None:
    batch = encode_batch([Record(timestamp_ms=now_ms() - age_ms, value=bytes(size))])
    log.append(memoryview(batch), now_ms())


@asynccontextmanager
async def one_log(
    engine: Engine, *ages_h: int, size: int = 100, **configs: str
) -> AsyncIterator[tuple[Broker, PartitionLog]]:
    """A topic with a batch of each age, oldest first, each in an extent of its own; durable."""
    values = {name.replace("_", "."): value for name, value in configs.items()}
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1, configs=SEGMENT_PER_BATCH | values))
        log = broker.partitions.log(T, 0)
        for age_h in ages_h:
            append(log, age_h * HOUR_MS, size)
        await until_durable(log)
        yield broker, log


def batch_offsets(records: Buffer | None) -> list[int]:
    return [header.base_offset for _, header in iterate_headers(records or b"")]


def segment_files(data_dir: Path) -> list[str]:
    """What the topic's folder holds of batches, files on their way out included."""
    return [path.name for path in data_dir.glob("logs/t-0*/*.log*")]


async def offsets_left(log: PartitionLog) -> list[int]:
    """The offsets that can be read."""
    offsets: list[int] = []
    position = log.log_start_offset
    while position < log.high_watermark:
        for buffer in await log.read(position, 1, log.high_watermark):
            offsets += batch_offsets(buffer)
        position = offsets[-1] + 1
    return offsets


async def test_what_is_older_than_retention_ms_goes(engine: Engine) -> None:
    async with one_log(engine, 5, 4, 3, 2, 1, 0, retention_ms=str(5 * HOUR_MS // 2)) as (
        broker,
        log,
    ):
        size_bytes = log.size_bytes
        await broker.retention.run_once()
        assert (log.log_start_offset, log.log_end_offset) == (3, 6)
        assert log.size_bytes == size_bytes // 2
        assert await offsets_left(log) == [3, 4, 5]
        with pytest.raises(KafkaError) as refused:
            await log.read(2, 1000, 6)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


async def test_what_is_more_than_retention_bytes_goes(engine: Engine) -> None:
    async with one_log(engine, 5, 4, 3, 2, 1, 0, size=1000, retention_bytes="2500") as (
        broker,
        log,
    ):
        await broker.retention.run_once()
        assert await offsets_left(log) == [3, 4, 5]


async def test_a_log_that_is_old_as_a_whole_becomes_empty_and_goes_on(engine: Engine) -> None:
    async with one_log(engine, 5, 4, retention_ms=str(HOUR_MS)) as (broker, log):
        await broker.retention.run_once()
        assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (2, 2, 0)
        append(log, 0)
        await until_durable(log)
        assert await offsets_left(log) == [2]


async def test_an_altered_retention_counts_at_the_next_pass(engine: Engine) -> None:
    async with one_log(engine, 5, 4, 0) as (broker, log):
        await broker.retention.run_once()
        assert log.log_start_offset == 0
        change = ConfigChange("retention.ms", ConfigOperation.SET, str(HOUR_MS))
        await broker.configs.alter(RESOURCE_TOPIC, T, [change], validate_only=False)
        await broker.retention.run_once()
        assert log.log_start_offset == 2


async def test_the_task_makes_its_passes_by_itself() -> None:
    async with running(
        MemoryEngine(), log_retention_check_interval_ms=1, log_retention_ms=HOUR_MS, log_roll_ms=1
    ) as broker:
        await broker.topics.create(NewTopic(T, 1))
        log = broker.partitions.log(T, 0)
        append(log, 2 * HOUR_MS)
        append(log, 0)
        await until(lambda: log.log_start_offset == 1)


async def test_compacted_topics_are_left_alone() -> None:
    async with running(MemoryEngine(), log_retention_ms=1, log_retention_bytes=0) as broker:
        values = SEGMENT_PER_BATCH | {"cleanup.policy": "compact"}
        for name in (T, OFFSETS_TOPIC):
            await broker.topics.create(NewTopic(name, 1, configs=values))
            log = broker.partitions.log(name, 0)
            batch = encode_batch([Record(timestamp_ms=1, key=b"k", value=b"v")])
            log.append(memoryview(batch), now_ms())
        await broker.retention.run_once()
        assert broker.partitions.log(T, 0).log_start_offset == 0
        assert broker.partitions.log(OFFSETS_TOPIC, 0).log_start_offset == 0


async def test_what_is_not_durable_stays() -> None:
    engine = HeldEngine("t-")
    async with running(engine, log_retention_ms=1) as broker:
        await broker.topics.create(NewTopic(T, 1))
        log = broker.partitions.log(T, 0)
        append(log, HOUR_MS)
        engine.only.holds = True
        append(log, HOUR_MS)
        await broker.retention.run_once()
        assert log.log_start_offset == log.high_watermark == 1
        engine.only.flush()
        await broker.retention.run_once()
        assert log.log_start_offset == 2


async def test_a_log_that_fails_does_not_keep_others_from_their_turn() -> None:
    engine = HeldEngine("t-")
    async with running(engine, log_retention_ms=1, log_roll_ms=1) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.topics.create(NewTopic(TopicName("u"), 1))
        for name in (T, TopicName("u")):
            append(broker.partitions.log(name, 0), HOUR_MS)
        engine.only.refuses_truncation = True
        await broker.retention.run_once()
        assert broker.partitions.log(T, 0).log_start_offset == 0
        assert broker.partitions.log(TopicName("u"), 0).log_start_offset == 1


async def test_files_go_from_the_disk_and_a_restart_begins_where_retention_left_off(
    tmp_path: Path,
) -> None:
    ages = [*range(40, 0, -1), 0]
    retention_ms = str(21 * HOUR_MS // 2)
    engine = DiskEngine(DiskConfig(data_dir=tmp_path))
    async with one_log(engine, *ages, retention_ms=retention_ms, file_delete_delay_ms="0") as (
        broker,
        log,
    ):
        assert len(segment_files(tmp_path)) == 41
        await broker.retention.run_once()
        assert log.log_start_offset == 30
        left = await offsets_left(log)
    assert len(segment_files(tmp_path)) == 11
    async with running(DiskEngine(DiskConfig(data_dir=tmp_path))) as broker:
        log = broker.partitions.log(T, 0)
        assert (log.log_start_offset, log.log_end_offset) == (30, 41)
        assert await offsets_left(log) == left == list(range(30, 41))
        # The timestamps of files that this process has not written are found, too.
        change = ConfigChange("retention.ms", ConfigOperation.SET, str(11 * HOUR_MS // 2))
        await broker.configs.alter(RESOURCE_TOPIC, T, [change], validate_only=False)
        await broker.retention.run_once()
        assert log.log_start_offset == 35
        append(log, 0)
        await until_durable(log)
        assert await offsets_left(log) == list(range(35, 42))


async def test_a_read_from_the_device_ends_well_while_its_extent_goes(tmp_path: Path) -> None:
    files = FaultyFiles()
    files.is_cold = True
    engine = DiskEngine(DiskConfig(data_dir=tmp_path), files=files)
    async with one_log(engine, *range(20, 0, -1), retention_ms=str(HOUR_MS // 2)) as (broker, log):
        outcomes: list[object] = []

        async def read(offset: int) -> None:
            try:
                buffers = await log.read(offset, 1, log.high_watermark)
            except KafkaError as error:
                outcomes.append(error.code)
            else:
                outcomes.append(batch_offsets(buffers[0]) == [offset])

        async with anyio.create_task_group() as tasks:
            for offset in range(20):
                tasks.start_soon(read, offset)
            tasks.start_soon(broker.retention.run_once)
        assert len(outcomes) == 20
        assert set(outcomes) <= {True, ErrorCode.OFFSET_OUT_OF_RANGE}
        assert log.log_start_offset == 20


async def test_what_was_fetched_stays_what_it_was(engine: Engine) -> None:
    async with one_log(engine, 3, 2, 1, retention_ms=str(HOUR_MS // 2)) as (broker, log):
        (fetched,) = partitions(now(broker, request(0)))
        assert fetched.records is not None
        before = bytes(fetched.records)
        await broker.retention.run_once()
        for _ in range(50):
            append(log, 0, size=1000)
        assert bytes(fetched.records) == before


async def test_a_fetch_that_waits_at_the_end_gets_what_comes_after_the_old(engine: Engine) -> None:
    async with one_log(engine, 3, 2, retention_ms=str(HOUR_MS)) as (broker, log):
        waiting = parked(broker, request(2))
        await broker.retention.run_once()
        assert log.log_start_offset == 2
        assert not waiting.is_settled
        append(log, 0)
        await until(lambda: waiting.is_settled)
        (fetched,) = partitions(waiting.result())
        assert (fetched.error_code, fetched.log_start_offset) == (0, 2)
        assert batch_offsets(fetched.records) == [2]


async def test_a_fetch_that_waits_for_more_than_is_kept_is_told_that_it_is_gone(
    engine: Engine,
) -> None:
    async with one_log(engine, 3, 2, retention_ms=str(HOUR_MS)) as (broker, log):
        waiting = parked(broker, request(0, min_bytes=1 << 20))
        await broker.retention.run_once()
        append(log, 0)
        await until(lambda: waiting.is_settled)
        (fetched,) = partitions(waiting.result())
        assert fetched.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
