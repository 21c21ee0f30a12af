"""What a start may delete: nothing that the metadata has not given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacore.broker.partitions import log_name
from datacore.broker.topics import NewTopic
from datacore.metadata.image import TopicImage
from datacore.protocol.names import TopicId, TopicName
from datacore.record.records import Record, encode_batch
from datacore.storage.engine import LogName, StorageError
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import running

if TYPE_CHECKING:
    from datacore.broker.broker import Broker
    from datacore.storage.engine import EngineLog

pytestmark = pytest.mark.anyio

T = TopicName("t")
STRANGER = TopicImage(TopicName("stranger"), TopicId(bytes(range(16))))


async def with_records(broker: Broker, partitions: int) -> TopicImage:
    topic = await broker.topics.create(NewTopic(T, partitions))
    for index in range(partitions):
        broker.partitions.log(T, index).append(memoryview(batch()), 1)
    return topic


def batch() -> bytearray:
    return encode_batch([Record(timestamp_ms=1, value=b"v")])


async def leave_a_log(engine: MemoryEngine, name: LogName, *, records: int) -> None:
    log = await engine.open_log(name, epoch=0)
    for offset in range(records):
        data = batch()
        data[:8] = offset.to_bytes(8, "big")
        log.append(data, base_offset=offset, next_offset=offset + 1, max_timestamp_ms=1)
    await log.close()


async def test_a_start_that_cannot_open_one_log_keeps_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        topic = await with_records(broker, 3)
    opened = engine.open_log

    async def refusing(name: LogName, *, epoch: int) -> EngineLog:
        if name == log_name(topic, 2):
            raise StorageError("it is damaged")
        return await opened(name, epoch=epoch)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "open_log", refusing)
        with pytest.raises(StorageError, match="it is damaged"):
            async with running(engine):
                pass
    async with running(engine) as broker:
        ends = [broker.partitions.log(T, index).log_end_offset for index in range(3)]
    assert ends == [1, 1, 1]


async def test_records_of_a_topic_that_the_metadata_never_heard_of_are_kept() -> None:
    engine = MemoryEngine()
    name = log_name(STRANGER, 0)
    await leave_a_log(engine, name, records=2)
    async with running(engine):
        assert name in await engine.list_logs()


async def test_an_empty_log_of_a_topic_that_was_never_made_goes() -> None:
    engine = MemoryEngine()
    name = log_name(STRANGER, 0)
    await leave_a_log(engine, name, records=0)
    async with running(engine):
        assert name not in await engine.list_logs()


async def test_what_a_deletion_left_behind_goes() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        topic = await with_records(broker, 1)
        await broker.delete_topic(topic)
    await leave_a_log(engine, log_name(topic, 0), records=2)
    async with running(engine):
        assert log_name(topic, 0) not in await engine.list_logs()


async def test_a_topic_is_deleted_though_the_engine_cannot_delete_its_logs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        topic = await with_records(broker, 2)

        async def refusing(name: LogName) -> None:
            raise StorageError(f"{name}: read-only file system")

        with monkeypatch.context() as patch:
            patch.setattr(engine, "delete_log", refusing)
            await broker.delete_topic(topic)
        assert T not in broker.topics.by_name
    async with running(engine):
        assert log_name(topic, 0) not in await engine.list_logs()
