"""A fetch session looks at partitions that have news, however many it holds, and misses none."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from datacore.broker.broker import Broker
from datacore.broker.fetch_reading import FetchReading
from datacore.broker.fetch_sessions import WantedPartition
from datacore.broker.topics import NewTopic
from datacore.log.partition_log import PartitionLog
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import running
from tests.broker.test_fetch_committed import write
from tests.broker.test_fetching import (
    LARGE,
    LONG_MS,
    SMALL,
    T,
    now,
    parked,
    partitions,
    produce,
    request,
    sizes,
    watchers,
)

pytestmark = pytest.mark.anyio


class Consumer:
    """A client that fetches in a session, as KafkaConsumer does."""

    def __init__(self, broker: Broker, count: int) -> None:
        self.broker = broker
        self.session_id = 0
        self.epoch = 0
        opened = now(broker, request(*[0] * count, max_wait_ms=0, session_epoch=0))
        self.session_id = opened.session_id

    def asks(
        self,
        *moved: tuple[int, int],
        max_wait_ms: int = LONG_MS,
        min_bytes: int = 1,
        isolation_level: int = 0,
        forgotten: tuple[int, ...] = (),
    ) -> FetchRequest:
        """The next request, which names those (partition, offset)s."""
        self.epoch += 1
        named = [
            FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=LARGE)
            for index, offset in moved
        ]
        return FetchRequest(
            session_id=self.session_id,
            session_epoch=self.epoch,
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=LARGE,
            isolation_level=isolation_level,
            topics=[FetchTopic(topic=T, partitions=named)] if named else [],
            forgotten_topics_data=[ForgottenTopic(topic=T, partitions=list(forgotten))],
        )


async def test_a_request_looks_at_what_has_news_and_at_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 50))
        consumer = Consumer(broker, 50)
        looks = 0
        log_of = FetchReading.log_of

        def counted(reading: FetchReading, wanted: WantedPartition) -> PartitionLog:
            nonlocal looks
            looks += 1
            return log_of(reading, wanted)

        monkeypatch.setattr(FetchReading, "log_of", counted)
        produce(broker, 7)
        produce(broker, 31)
        assert [p.partition_index for p in partitions(now(broker, consumer.asks()))] == [7, 31]
        assert looks == 2
        assert not parked(broker, consumer.asks((7, 1), (31, 1))).is_settled
        assert looks < 10


async def test_a_partition_that_rests_wakes_a_request_that_waits() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 3))
        consumer = Consumer(broker, 3)
        waiting = parked(broker, consumer.asks())
        produce(broker, 2)
        (news,) = partitions(waiting.result())
        assert (news.partition_index, len(news.records or b"")) == (2, SMALL)
        assert watchers(broker, 2) == 0


async def test_min_bytes_are_waited_for_over_partitions_that_wake_one_after_another() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 3))
        consumer = Consumer(broker, 3)
        waiting = parked(broker, consumer.asks(min_bytes=4 * SMALL))
        for partition in (0, 2, 2):
            produce(broker, partition)
            assert not waiting.is_settled
        produce(broker, 1)
        assert sorted(sizes(waiting.result())) == [SMALL, SMALL, 2 * SMALL]


async def test_what_came_between_two_requests_is_in_the_second() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        consumer = Consumer(broker, 2)
        waiting = parked(broker, consumer.asks(max_wait_ms=1))
        assert partitions(await waiting) == []
        produce(broker, 1)
        assert sizes(now(broker, consumer.asks())) == [SMALL]
        assert partitions(now(broker, consumer.asks((1, 1), max_wait_ms=0))) == []
        produce(broker, 1)
        assert sizes(now(broker, consumer.asks())) == [SMALL]


async def test_a_start_that_moves_is_told() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        for _ in range(2):
            produce(broker, 1)
        consumer = Consumer(broker, 2)
        assert partitions(now(broker, consumer.asks((1, 2), max_wait_ms=0))) == []
        await broker.partitions.log(T, 1).move_start(1)
        (news,) = partitions(now(broker, consumer.asks(max_wait_ms=0)))
        assert (news.partition_index, news.log_start_offset) == (1, 1)


async def test_a_topic_that_is_deleted_is_told_until_the_client_forgets_it() -> None:
    async with running(MemoryEngine()) as broker:
        topic = await broker.topics.create(NewTopic(T, 1))
        consumer = Consumer(broker, 1)
        waiting = parked(broker, consumer.asks())
        await broker.delete_topic(topic)
        for answer in (waiting.result(), now(broker, consumer.asks())):
            (gone,) = partitions(answer)
            assert gone.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert partitions(now(broker, consumer.asks(forgotten=(0,)))) == []


async def test_who_reads_uncommitted_from_now_on_gets_what_rested() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        consumer = Consumer(broker, 2)
        write(broker.partitions.log(T, 0), 0)  # of a transaction that stays open
        (told,) = partitions(now(broker, consumer.asks(isolation_level=1, max_wait_ms=0)))
        assert (told.high_watermark, told.records) == (1, b"")
        assert partitions(now(broker, consumer.asks(isolation_level=1, max_wait_ms=0))) == []
        (news,) = partitions(now(broker, consumer.asks(isolation_level=0)))
        assert news.records


async def test_a_session_that_ends_leaves_nothing_watching() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        consumer = Consumer(broker, 2)
        assert (watchers(broker, 0), watchers(broker, 1)) == (1, 1)
        now(broker, consumer.asks(forgotten=(0,), max_wait_ms=0))
        assert (watchers(broker, 0), watchers(broker, 1)) == (0, 1)
        closing = FetchRequest(session_id=consumer.session_id, session_epoch=-1, max_wait_ms=0)
        now(broker, closing)
        assert (watchers(broker, 0), watchers(broker, 1)) == (0, 0)


async def test_a_silent_session_costs_a_log_one_call() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        Consumer(broker, 1)
        assert watchers(broker) == 1
        produce(broker)
        assert watchers(broker) == 0
