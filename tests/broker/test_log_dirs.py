import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.log_dirs import LogDirs
from datacore.broker.topics import NewTopic
from datacore.protocol.names import TopicName
from datacore.storage.engine import Space, StorageError
from datacore.storage.memory import MemoryEngine
from datacore.testing.batches import pack_batch
from tests.broker.harness import running

pytestmark = pytest.mark.anyio

TOPIC = TopicName("orders")


class UnreachableEngine(MemoryEngine):
    """Nobody can say how much room it has."""

    async def space(self) -> Space:
        raise StorageError("Connection refused.")


async def test_a_log_counts_the_bytes_of_its_batches() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(TOPIC, num_partitions=2))
        batch = pack_batch(0, b"payload")
        log_dirs = broker.log_dirs
        before = (await log_dirs.describe([(TOPIC, 0)])).space.usable_bytes
        broker.partitions.log(TOPIC, 0).append_own(bytearray(batch), 0)
        found = await log_dirs.describe([(TOPIC, 0), (TOPIC, 1), (TOPIC, 2)])
        assert found.sizes_bytes == {TOPIC: {0: len(batch), 1: 0}}
        assert found.space.usable_bytes == before - len(batch)
        assert (await log_dirs.describe(None)).sizes_bytes == found.sizes_bytes
        assert (await log_dirs.describe([(TopicName("missing"), 0)])).sizes_bytes == {}


async def test_a_store_that_does_not_answer_is_a_storage_error_of_its_directory() -> None:
    engine = UnreachableEngine()
    async with running(engine) as broker:
        found = await LogDirs(engine, broker.partitions).describe(None)
        assert (found.path, found.error_code) == (engine.place, ErrorCode.KAFKA_STORAGE_ERROR)
        assert (found.space, found.sizes_bytes) == (Space(-1, -1), {})


async def test_a_replica_stays_where_it_is_and_goes_nowhere_else() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(TOPIC, num_partitions=1))
        move = broker.log_dirs.move
        assert move(TOPIC, 0, "memory") == ErrorCode.NONE
        assert move(TOPIC, 1, "memory") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert move(TOPIC, 0, "/elsewhere") == ErrorCode.LOG_DIR_NOT_FOUND
