"""Loads of librdkafka, as programs use it: records in, records out, as fast as it goes."""

from __future__ import annotations

import itertools
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import confluent_kafka

from benchmarks.load import PAGE_CACHE, Load
from benchmarks.process_usage import drop_from_page_cache
from benchmarks.sides import DURABILITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.load import Measured, Stage
    from benchmarks.sides import Durability, Side

KIB = 1024
PARTITIONS = 4
_NO_ANSWER_S = 10.0

NO_SETTINGS: Mapping[str, Any] = {}
LARGE_REQUESTS: Mapping[str, Any] = {"batch.size": 1_000_000, "message.max.bytes": 1_048_588}
SMALL_REQUESTS: Mapping[str, Any] = {"batch.size": 16_384}


def value_of(size: int) -> bytes:
    """A value of which half repeats: codecs find something to do in it, and yet not everything."""
    value = (uuid.uuid4().bytes * (size // 32 + 1))[: size // 2]
    return value + bytes(size - len(value))


def produce(
    side: Side,
    topic: str,
    *,
    count: int,
    value: bytes,
    settings: Mapping[str, Any],
    partitions: int = PARTITIONS,
    producers: int = 1,
    transaction_records: int = 0,
) -> list[float]:
    """Writes records to all partitions in turn, with acks=all."""
    failed: list[Any] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    clients = [
        confluent_kafka.Producer(
            {
                "bootstrap.servers": side.bootstrap,
                "acks": "all",
                "linger.ms": 20,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 1 << 20,
                **settings,
                **({"transactional.id": str(uuid.uuid4())} if transaction_records else {}),
            }
        )
        for _ in range(producers)
    ]
    if transaction_records:
        clients[0].init_transactions()
    for at in range(count):
        producer = clients[at % producers]
        if transaction_records and at % transaction_records == 0:
            if at:
                producer.commit_transaction()
            producer.begin_transaction()
        while True:
            try:
                producer.produce(
                    topic, value, partition=at // producers % partitions, on_delivery=delivered
                )
                break
            except BufferError:
                producer.poll(0.01)
        if at % 1000 < producers:
            producer.poll(0)
    if transaction_records:
        clients[0].commit_transaction()
    for producer in clients:
        producer.flush(120)
    if failed:
        raise RuntimeError(f"{len(failed)} records were not delivered: {failed[0]}")
    return []


def consume(
    side: Side,
    topic: str,
    count: int,
    settings: Mapping[str, Any],
    partitions: Sequence[int] = range(PARTITIONS),
) -> list[float]:
    """Reads that many records from the beginning of those partitions."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": side.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 1 << 20,
            "queued.max.messages.kbytes": 1 << 20,
            **settings,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, each, 0) for each in partitions])
    seen = 0
    while seen < count:
        messages = consumer.consume(min(count - seen, 10_000), _NO_ANSWER_S)
        if not messages:
            raise RuntimeError(f"only {seen} of {count} records came within {_NO_ANSWER_S} s")
        seen += len(messages)
    consumer.close()
    return []


def produce_load(
    name: str,
    *,
    count: int,
    value_bytes: int = KIB,
    producers: int = 1,
    transaction_records: int = 0,
    durabilities: Sequence[Durability] = DURABILITIES,
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> Load:
    """Four partitions, written by one producer or by several."""

    def run(stage: Stage) -> Measured:
        topic, records = stage.new_topic(PARTITIONS), count // stage.divisor
        value = value_of(value_bytes)
        return stage.measure(
            records * value_bytes / 1e9,
            lambda: produce(
                stage.side,
                topic,
                count=records,
                value=value,
                settings=settings,
                producers=producers,
                transaction_records=transaction_records,
            ),
            written_bytes=_stored_bytes(records, value_bytes),
        )

    return Load(name, "GB", run, durabilities)


def _stored_bytes(records: int, value_bytes: int) -> int:
    """Room for so many records, and a little more."""
    return records * (value_bytes + 32)


def consume_load(
    name: str,
    *,
    count: int,
    batch_bytes: int,
    partitions: int = PARTITIONS,
    consumers: int = 1,
    is_first_time: bool = False,
    is_cold: bool = False,
    durabilities: Sequence[Durability] = PAGE_CACHE,
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> Load:
    """Everything from the beginning: out of the page cache, or cold, when nothing of it is there.

    Whether it is the first time that anybody does has a row of its own: it tells whether a broker
    lets the page cache keep what was just produced (docs/decisions/0015).
    """

    def fill(stage: Stage) -> str:
        topic = stage.new_topic(partitions)
        produce(
            stage.side,
            topic,
            count=count // stage.divisor,
            value=bytes(KIB),
            settings={"batch.size": batch_bytes},
            partitions=partitions,
        )
        return topic

    def run(stage: Stage) -> Measured:
        records = count // stage.divisor
        topic = fill(stage) if is_first_time else stage.once("topic", lambda: fill(stage))
        if is_cold:
            drop_from_page_cache(stage.side.data_dir)
        shares = [range(at, partitions, consumers) for at in range(consumers)]

        def act() -> list[float]:
            with ThreadPoolExecutor(consumers) as pool:
                each = [
                    pool.submit(consume, stage.side, topic, records // consumers, settings, share)
                    for share in shares
                ]
            return list(itertools.chain.from_iterable(future.result() for future in each))

        return stage.measure(records * KIB / 1e9, act)

    return Load(name, "GB", run, durabilities)


def tail_load(name: str, *, count: int, settings: Mapping[str, Any]) -> Load:
    """A consumer at the end of a topic while a producer writes to it: broker CPU is of both."""

    def run(stage: Stage) -> Measured:
        topic, records = stage.new_topic(PARTITIONS), count // stage.divisor

        def act() -> list[float]:
            reader = threading.Thread(target=consume, args=(stage.side, topic, records, {}))
            reader.start()
            produce(stage.side, topic, count=records, value=value_of(KIB), settings=settings)
            reader.join()
            return []

        return stage.measure(records * KIB / 1e9, act, written_bytes=_stored_bytes(records, KIB))

    return Load(name, "GB", run, PAGE_CACHE)
