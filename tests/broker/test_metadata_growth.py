"""The metadata's log is bounded by what exists, and a crash at no moment takes anything of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from datacore.broker import cluster_metadata
from datacore.broker.topics import NewTopic
from datacore.log.partition_log import PartitionLog
from datacore.protocol.names import TopicName
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import HeldEngine, running

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.broker.broker import Broker
    from datacore.log.partition_log import Appended
    from datacore.storage.engine import Engine

pytestmark = pytest.mark.anyio

GROWTH = {"metadata_log_max_record_bytes_between_snapshots": 2000}
KEPT = TopicName("kept")


async def come_and_go(broker: Broker, times: int) -> None:
    """Topics that are made and deleted: nothing of them is left."""
    for at in range(times):
        topic = await broker.topics.create(NewTopic(TopicName(f"passing-{at}"), 3))
        await broker.topics.delete(topic)


def facts(broker: Broker) -> tuple[object, ...]:
    image = broker.metadata.image
    return image.topics, image.configs, image.next_producer_id, broker.cluster_id


async def restarted(engine: Engine) -> tuple[object, ...]:
    async with running(engine, **GROWTH) as broker:
        return facts(broker)


async def metadata_bytes(engine: MemoryEngine) -> int:
    log = await engine.open_log(cluster_metadata.METADATA_LOG, epoch=0)
    size = log.size_bytes
    await log.close()
    return size


async def test_topics_that_come_and_go_leave_nothing_in_the_log() -> None:
    engine = MemoryEngine()
    async with running(engine, **GROWTH) as broker:
        await broker.topics.create(NewTopic(KEPT, 2, configs={"retention.ms": "5"}))
        await broker.producer_ids.allocate()
        await come_and_go(broker, 50)
        end_offset = broker.metadata.log_end_offset
        told = facts(broker)
        assert broker.metadata.image.removed_topic_ids == set()
    assert await metadata_bytes(engine) < 2 * 2000
    async with running(engine, **GROWTH) as broker:
        assert facts(broker) == told
        assert broker.metadata.log_end_offset == end_offset
        assert list(broker.partitions.by_topic[KEPT]) == [0, 1]


async def test_a_log_that_was_left_to_grow_is_summed_up_by_the_next_change() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await come_and_go(broker, 50)
    assert await metadata_bytes(engine) > 10_000
    async with running(engine, **GROWTH) as broker:
        await come_and_go(broker, 1)
    assert await metadata_bytes(engine) < 2 * 2000


async def test_a_kill_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_metadata, "RECORDS_AT_ONCE", 2)  # an image of many steps
    data_dir = tmp_path / "data"
    images: list[tuple[Path, tuple[object, ...]]] = []
    with monkeypatch.context() as patch:
        engine = DiskEngine(DiskConfig(data_dir=data_dir))
        async with running(engine, **GROWTH) as broker:

            def keep_image() -> None:
                image = tmp_path / f"image-{len(images)}"
                shutil.copytree(data_dir, image, ignore=shutil.ignore_patterns("*.deleted"))
                images.append((image, facts(broker)))

            await broker.topics.create(NewTopic(KEPT, 5, configs={"retention.ms": "5"}))
            await broker.producer_ids.allocate()
            await come_and_go(broker, 1)
            metadata_log = broker.metadata._log
            broker.metadata.growth_bytes_max = 0  # the next change sums the log up
            appended, moved = PartitionLog.append_own, PartitionLog.move_start

            def append(log: PartitionLog, batch: bytearray, now_ms: int) -> Appended:
                result = appended(log, batch, now_ms)
                if log is metadata_log and is_summing_up():
                    keep_image()
                return result

            async def move(log: PartitionLog, offset: int) -> None:
                keep_image()
                await moved(log, offset)
                keep_image()

            def is_summing_up() -> bool:
                return broker.metadata.image.next_producer_id == 2 * 1000

            patch.setattr(PartitionLog, "append_own", append)
            patch.setattr(PartitionLog, "move_start", move)
            broker.producer_ids._next = broker.producer_ids._end
            await broker.producer_ids.allocate()
            start_offset = metadata_log.log_start_offset if metadata_log else 0
    assert start_offset > 0
    assert len(images) > 5
    for image, told in images:
        assert await restarted(DiskEngine(DiskConfig(data_dir=image))) == told


async def test_an_engine_that_moves_no_start_has_the_log_grow_on() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine, **GROWTH) as broker:
        engine.only.refuses_truncation = True
        await come_and_go(broker, 20)
        assert engine.only.start_offset == 0
        told = facts(broker)
        engine.only.refuses_truncation = False
        await come_and_go(broker, 20)
        assert engine.only.start_offset > 0
        assert facts(broker) == told
    assert await restarted(engine) == told
