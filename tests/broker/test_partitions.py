import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.broker import Broker
from datacore.broker.partitions import log_name
from datacore.broker.topics import NewTopic
from datacore.log import kept_summary
from datacore.log.partition_log import PartitionLog
from datacore.metadata.image import TopicImage
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName
from datacore.record.records import Record, encode_batch
from datacore.storage.log_name import check_log_name
from tests.broker.harness import HeldEngine, running, until

pytestmark = pytest.mark.anyio

T = TopicName("t")


def batch() -> memoryview:
    return memoryview(encode_batch([Record(timestamp_ms=1, value=b"v")]))


async def one_log(broker: Broker) -> PartitionLog:
    await broker.topics.create(NewTopic(T, 1))
    return broker.partitions.log(T, 0)


async def test_a_log_whose_engine_failed_takes_appends_again() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        log = await one_log(broker)
        engine.only.holds = True
        log.append(batch(), 1)
        engine.only.fail()
        with pytest.raises(KafkaError) as refused:
            log.append(batch(), 1)
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        broker.partitions.recover_soon(log)
        broker.partitions.recover_soon(log)
        await until(lambda: not log.needs_recovery)
        assert log.append(batch(), 1).base_offset == 0


async def test_what_does_not_exist_is_unknown() -> None:
    async with running(HeldEngine("t-")) as broker:
        await one_log(broker)
        for name, index in ((T, 1), (T, -1), (TopicName("no"), 0)):
            with pytest.raises(KafkaError) as refused:
                broker.partitions.log(name, index)
            assert refused.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("name", ["t", "t" * 249, "a.b-c_d"])
def test_the_longest_topic_has_a_log_name_that_engines_take(name: str) -> None:
    topic = TopicImage(TopicName(name), TopicId(b"\xff" * 16))
    check_log_name(log_name(topic, 2**31 - 1))


async def test_a_producer_that_fell_silent_is_forgotten() -> None:
    async with running(HeldEngine("t-"), producer_id_expiration_ms=1_000) as broker:
        log = await one_log(broker)
        for producer_id, now_ms in ((1, 5_000), (2, 6_000)):
            records = encode_batch(
                [Record(value=b"v")], producer_id=producer_id, producer_epoch=0, base_sequence=0
            )
            log.append(memoryview(records), now_ms)
        broker.partitions.put_in_order(6_500)
        assert list(log.producers.by_id) == [2]


async def test_a_log_that_has_grown_is_summed_up_for_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_summary, "UNSUMMED_BYTES_MAX", 3 * len(batch()) - 1)
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        log = await one_log(broker)
        for appended in range(1, 8):
            log.append(batch(), 1)
            await anyio.wait_all_tasks_blocked()
            kept = await engine.only.load_snapshot()
            assert (kept[0] if kept else 0) == appended // 3 * 3
        # What a crash leaves: the summary of 6, and one batch behind it.
        crashed = await PartitionLog.open(engine.only, log.config, 0)
        assert crashed.unsummed_bytes == len(batch())
