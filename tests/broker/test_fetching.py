"""Fetch over real partitions: what is read now, what waits, and what ends the waiting."""

from pathlib import Path

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore.broker.broker import Broker
from datacore.broker.context import RequestContext
from datacore.broker.down_conversion import CONVERTED_BYTES_MAX
from datacore.broker.topics import NewTopic
from datacore.log.partition_log import PartitionLog
from datacore.protocol.names import TopicName
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.memory import MemoryEngine
from datacore.storage.pending import Pending
from datacore.wire.buffer import Buffer
from tests.broker.harness import HeldEngine, request_context, running, until
from tests.log.held_engine import HeldLog

pytestmark = pytest.mark.anyio

T = TopicName("t")
LONG_MS, LARGE = 60_000, 1 << 20


def batch(size: int = 10) -> bytearray:
    return encode_batch([Record(timestamp_ms=1, value=b"x" * size)])


SMALL = len(batch())


def produce(broker: Broker, partition: int = 0, *, size: int = 10) -> None:
    broker.partitions.log(T, partition).append(memoryview(batch(size)), 1)


def request(
    *offsets: int,
    max_wait_ms: int = LONG_MS,
    min_bytes: int = 1,
    max_bytes: int = LARGE,
    partition_max_bytes: int = LARGE,
    session_epoch: int = -1,
) -> FetchRequest:
    """A request for partitions 0, 1, 2 ... from these offsets on."""
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        session_epoch=session_epoch,
        topics=[
            FetchTopic(
                topic=T,
                partitions=[
                    FetchPartition(
                        partition=index,
                        fetch_offset=offset,
                        partition_max_bytes=partition_max_bytes,
                    )
                    for index, offset in enumerate(offsets)
                ],
            )
        ],
    )


def at_version_12() -> RequestContext:
    return request_context(ApiKey.FETCH, 12)


def now(broker: Broker, asked: FetchRequest) -> FetchResponse:
    """An answer that must be there at once."""
    answer = broker.fetching.fetch(at_version_12(), asked)
    assert isinstance(answer, FetchResponse)
    return answer


def parked(
    broker: Broker, asked: FetchRequest, context: RequestContext | None = None
) -> Pending[FetchResponse]:
    """An answer that must not be there yet."""
    answer = broker.fetching.fetch(context or at_version_12(), asked)
    assert isinstance(answer, Pending)
    assert not answer.is_settled
    return answer


def partitions(response: FetchResponse) -> list[FetchedPartition]:
    return [partition for topic in response.responses for partition in topic.partitions]


def sizes(response: FetchResponse) -> list[int]:
    return [len(partition.records or b"") for partition in partitions(response)]


def watchers(broker: Broker, partition: int = 0) -> int:
    return len(broker.partitions.log(T, partition)._watchers)


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets at which logs are read in memory from now on."""
    looks: list[int] = []
    read_warm = PartitionLog.read_warm

    def counted(
        log: PartitionLog, offset: int, max_bytes: int, before_offset: int
    ) -> list[Buffer] | None:
        looks.append(offset)
        return read_warm(log, offset, max_bytes, before_offset)

    monkeypatch.setattr(PartitionLog, "read_warm", counted)
    return looks


async def test_what_is_there_is_answered_at_once() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        produce(broker)
        assert sizes(now(broker, request(0))) == [SMALL]


async def test_nothing_to_wait_for_is_answered_at_once() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        assert sizes(now(broker, request(0, max_wait_ms=0))) == [0]
        assert sizes(now(broker, request(0, min_bytes=0))) == [0]
        assert partitions(now(broker, request())) == []


async def test_an_append_costs_a_request_that_waits_one_look_at_one_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 50))
        produce(broker, 7)
        waiting = parked(broker, request(*[0] * 50, min_bytes=4 * SMALL))
        looks = counted_looks(monkeypatch)
        produce(broker, 7)
        produce(broker, 31)
        assert len(looks) == 2
        assert not waiting.is_settled
        produce(broker, 7)
        assert sum(sizes(waiting.result())) == 4 * SMALL
        assert sizes(waiting.result())[7] == 3 * SMALL
        assert [watchers(broker, index) for index in (0, 7, 31)] == [0, 0, 0]


async def test_what_wakes_a_request_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        alone, session = parked(broker, request(0)), parked(broker, request(0, 0, session_epoch=0))
        looks = counted_looks(monkeypatch)
        produce(broker)
        assert sizes(alone.result()) == [SMALL]
        assert sizes(session.result()) == [SMALL, 0]
        assert len(looks) == 2


async def test_a_partition_that_is_named_twice_is_waited_for_and_told_once() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        asked = request(0)
        asked.topics *= 2
        waiting = parked(broker, asked)
        produce(broker)
        assert sizes(waiting.result()) == [SMALL]
        assert watchers(broker) == 0


async def test_what_wakes_a_request_takes_no_more_room_than_there_is_at_its_place() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        for _ in range(3):
            produce(broker, 0)
        limits = {"max_bytes": 4 * SMALL, "partition_max_bytes": 3 * SMALL}
        waiting = parked(broker, request(1, 0, min_bytes=4 * SMALL, **limits))
        produce(broker, 1)
        assert not waiting.is_settled
        produce(broker, 1, size=10 + SMALL)
        assert not waiting.is_settled  # a batch that does not fit
        produce(broker, 0)
        assert sizes(waiting.result()) == [3 * SMALL, SMALL]


async def test_what_one_partition_may_not_bring_is_not_counted_while_a_request_waits() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        asked = request(0, 0, min_bytes=2 * SMALL, partition_max_bytes=SMALL)
        waiting = parked(broker, asked)
        for _ in range(3):
            produce(broker, 0)
            assert not waiting.is_settled
        produce(broker, 1)
        assert sizes(waiting.result()) == [SMALL, SMALL]


async def test_one_answer_converts_a_little_for_clients_of_message_sets() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        for _ in range(4):
            produce(broker, size=100_000)
        asked = request(0, max_bytes=LARGE, partition_max_bytes=LARGE)
        old = broker.fetching.fetch(request_context(ApiKey.FETCH, 3), asked)
        assert isinstance(old, Pending)
        old = await old
        assert 200_000 < sizes(old)[0] < CONVERTED_BYTES_MAX
        assert sizes(now(broker, asked))[0] > 400_000


async def test_an_append_wakes_whoever_waits_for_it() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        waiting = parked(broker, request(0, 0))
        produce(broker, 1)
        assert sizes(waiting.result()) == [0, SMALL]
        assert (watchers(broker, 0), watchers(broker, 1)) == (0, 0)


async def test_min_bytes_are_waited_for_over_all_partitions() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        waiting = parked(broker, request(0, 0, min_bytes=2 * SMALL))
        produce(broker, 0)
        assert not waiting.is_settled
        produce(broker, 1)
        assert sizes(waiting.result()) == [SMALL, SMALL]


async def test_max_wait_ends_the_waiting_with_what_there_is() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        produce(broker)
        waiting = parked(broker, request(0, max_wait_ms=1, min_bytes=LARGE))
        assert sizes(await waiting) == [SMALL]
        assert watchers(broker) == 0


async def test_records_are_fetched_when_they_are_durable_and_not_before() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1))
        engine.only.holds = True
        waiting = parked(broker, request(0))
        produce(broker)
        assert not waiting.is_settled
        assert partitions(now(broker, request(0, max_wait_ms=0)))[0].high_watermark == 0
        engine.only.flush()
        assert sizes(waiting.result()) == [SMALL]
        assert partitions(waiting.result())[0].high_watermark == 1


async def test_the_first_batch_comes_whole_however_small_the_limits() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        for partition in (0, 0, 1):
            produce(broker, partition, size=1_000)
        one = len(batch(1_000))
        assert sizes(now(broker, request(0, 0, max_bytes=1))) == [one, 0]
        assert sizes(now(broker, request(0, 0, partition_max_bytes=1, max_bytes=LARGE))) == [one, 0]
        assert sizes(now(broker, request(2, 0, max_bytes=1, max_wait_ms=0))) == [0, one]


async def test_the_limit_of_the_response_is_shared_by_its_partitions() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 3))
        for partition in (0, 0, 1, 1, 2):
            produce(broker, partition)
        assert sizes(now(broker, request(0, 0, 0, max_bytes=3 * SMALL))) == [
            2 * SMALL,
            SMALL,
            0,
        ]


async def test_the_brokers_own_limit_holds_too() -> None:
    async with running(MemoryEngine(), fetch_max_bytes=1_024) as broker:
        await broker.topics.create(NewTopic(T, 1))
        for _ in range(9):
            produce(broker, size=400)
        assert sizes(now(broker, request(0))) == [2 * len(batch(400))]


async def test_what_is_wrong_with_one_partition_is_told_at_once() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        codes = [p.error_code for p in partitions(now(broker, request(0, 0)))]
        assert codes == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
        (behind,) = partitions(now(broker, request(1)))
        assert behind.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


async def test_a_topic_that_is_deleted_ends_the_waiting_for_it() -> None:
    async with running(MemoryEngine()) as broker:
        topic = await broker.topics.create(NewTopic(T, 1))
        waiting = parked(broker, request(0))
        await broker.delete_topic(topic)
        (gone,) = partitions(waiting.result())
        assert gone.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_a_client_that_goes_away_leaves_nothing_waiting() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        context = at_version_12()
        waiting = parked(broker, request(0), context)
        assert watchers(broker) == 1
        assert context.session.abandon is not None
        context.session.abandon()
        assert watchers(broker) == 0
        produce(broker)
        assert not waiting.is_settled


class ColdLog(HeldLog):
    """A log that a device must be asked for."""

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        super().read_warm(offset, max_bytes=max_bytes, before_offset=before_offset)
        return None

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        return super().read_warm(offset, max_bytes=max_bytes, before_offset=before_offset) or []


async def with_cold_logs(broker: Broker, engine: HeldEngine, count: int) -> None:
    await broker.topics.create(NewTopic(T, count))
    for log in engine.held.values():
        log.__class__ = ColdLog


async def test_a_device_is_asked_for_each_cold_partition() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        await with_cold_logs(broker, engine, 3)
        for partition in (0, 2):
            produce(broker, partition)
        assert sizes(await parked(broker, request(0, 0, 0))) == [SMALL, 0, SMALL]


async def test_a_cold_partition_is_read_when_the_wait_for_it_ends() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        await with_cold_logs(broker, engine, 1)
        waiting = parked(broker, request(0))
        produce(broker)
        await until(lambda: waiting.is_settled)
        assert sizes(waiting.result()) == [SMALL]


async def test_cold_records_that_are_too_few_are_waited_for_as_warm_ones_are() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        await with_cold_logs(broker, engine, 1)
        produce(broker)
        waiting = parked(broker, request(0, min_bytes=2 * SMALL))
        await until(lambda: watchers(broker))
        assert not waiting.is_settled
        produce(broker)
        await until(lambda: waiting.is_settled)
        assert sizes(waiting.result()) == [2 * SMALL]


async def test_sessions_tell_news_only() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        opened = now(broker, request(0, 0, max_wait_ms=0, session_epoch=0))
        assert len(partitions(opened)) == 2
        produce(broker, 1)
        asked = FetchRequest(session_id=opened.session_id, session_epoch=1, min_bytes=1)
        (news,) = partitions(now(broker, asked))
        assert (news.partition_index, len(news.records or b"")) == (1, SMALL)


async def test_a_client_that_goes_away_during_a_cold_read_is_not_waited_for() -> None:
    engine = HeldEngine("t-")
    async with running(engine) as broker:
        await with_cold_logs(broker, engine, 1)
        produce(broker)
        context = at_version_12()
        waiting = parked(broker, request(0, min_bytes=LARGE), context)
        assert context.session.abandon is not None
        context.session.abandon()
        # The device's answer comes; behind it nobody watches and nobody is told.
        reads = await parked(broker, request(0))
        assert sizes(reads) == [SMALL]
        assert (watchers(broker), waiting.is_settled) == (0, False)


@pytest.mark.parametrize("limits", [{"partition_max_bytes": -(2**31)}, {"max_bytes": -100}])
async def test_a_limit_below_zero_still_gets_the_first_batch(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    async with running(DiskEngine(DiskConfig(data_dir=tmp_path))) as broker:
        await broker.topics.create(NewTopic(T, 1))
        log = broker.partitions.log(T, 0)
        for offset in range(2):  # the second read goes on where the first one ended
            durable = log.append(memoryview(batch()), 1).durable
            assert durable is not None
            await durable
            assert sizes(now(broker, request(offset))) == [SMALL]
            assert sizes(now(broker, request(offset, **limits))) == [SMALL]


async def test_more_than_an_answer_may_carry_is_not_waited_for() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        produce(broker)
        produce(broker)
        asked = request(0, min_bytes=2**31 - 1, max_bytes=2 * SMALL)
        assert sizes(now(broker, asked)) == [2 * SMALL]


async def test_a_parked_fetch_that_breaks_harms_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        broken, sound = parked(broker, request(0)), parked(broker, request(0, min_bytes=LARGE))
        with monkeypatch.context() as patch:
            patch.setattr(PartitionLog, "read_warm", lambda *_: 1 / 0)
            produce(broker)
        assert isinstance(broken.error, ZeroDivisionError)
        assert isinstance(sound.error, ZeroDivisionError)
        assert watchers(broker) == 0


async def test_a_cold_read_that_breaks_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> list[Buffer]:
        raise RuntimeError("can't start new thread")

    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        produce(broker)
        monkeypatch.setattr(PartitionLog, "read_warm", lambda *_: None)
        monkeypatch.setattr(PartitionLog, "read", breaks)
        answer = parked(broker, request(0))
        await until(lambda: answer.is_settled)
        assert isinstance(answer.error, RuntimeError)


async def test_a_full_answer_starves_no_partition_of_a_session() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 3))
        for index in range(3):
            produce(broker, index)
        first = now(broker, request(0, 0, 0, max_bytes=SMALL, session_epoch=0))
        served = [next(p.partition_index for p in partitions(first) if p.records)]
        for epoch in (1, 2):
            again = FetchRequest(
                max_bytes=SMALL, session_id=first.session_id, session_epoch=epoch, min_bytes=1
            )
            served += [p.partition_index for p in partitions(now(broker, again)) if p.records]
        assert sorted(served) == [0, 1, 2]
