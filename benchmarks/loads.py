"""The loads: what a client does, and what is measured while it does it."""

from __future__ import annotations

import itertools
import statistics
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import confluent_kafka

from benchmarks import raw_client
from benchmarks.process_usage import CpuTime, cpu_time
from datacore.client.admin import create_topic
from datacore.client.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.sides import Side

KIB = 1024
_PARTITIONS = 4
_names = (f"bench-{uuid.uuid4().hex[:8]}-{n}" for n in itertools.count())


@dataclass(slots=True)
class Measured:
    """One run of one load on one side."""

    work: float
    """Bytes in GB, or requests, by the load's unit."""
    elapsed_s: float
    cpu: CpuTime
    latencies_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Latency below which that share of the requests stayed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@dataclass(frozen=True, slots=True)
class Load:
    """A row of the benchmark."""

    name: str
    unit: str
    """``GB`` or ``req``: what ``Measured.work`` counts."""
    run: Callable[[Side, int], Measured]
    """Takes the side and a divisor that makes the run smaller."""


def new_topic(side: Side, partitions: int = _PARTITIONS) -> str:
    """Makes a topic and waits until it can be used."""
    name = next(_names)
    with Cluster(side.bootstrap) as cluster:
        create_topic(cluster, name, partitions=partitions, replication_factor=1)
    return name


def _measure(side: Side, work: float, act: Callable[[], list[float]]) -> Measured:
    cpu_before, started = cpu_time(side.pid), time.perf_counter()
    latencies_ms = act()
    elapsed_s = time.perf_counter() - started
    return Measured(work, elapsed_s, cpu_time(side.pid).since(cpu_before), latencies_ms)


def _produce(
    side: Side, topic: str, *, count: int, value: bytes, settings: dict[str, Any]
) -> list[float]:
    failed: list[Any] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": side.bootstrap,
            "acks": "all",
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 1 << 20,
            **settings,
        }
    )
    for at in range(count):
        while True:
            try:
                producer.produce(topic, value, partition=at % _PARTITIONS, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.01)
        if at % 1000 == 0:
            producer.poll(0)
    producer.flush(120)
    if failed:
        raise RuntimeError(f"{len(failed)} records were not delivered: {failed[0]}")
    return []


def produce_load(name: str, *, count: int, value_bytes: int, **settings: Any) -> Load:
    """librdkafka, acks=all, four partitions."""

    def run(side: Side, divisor: int) -> Measured:
        topic, records = new_topic(side), count // divisor
        # Half of it repeats, so that codecs find something to do and yet not everything.
        value = (uuid.uuid4().bytes * (value_bytes // 32 + 1))[: value_bytes // 2]
        value += bytes(value_bytes - len(value))
        gigabytes = records * value_bytes / 1e9
        return _measure(
            side,
            gigabytes,
            lambda: _produce(side, topic, count=records, value=value, settings=settings),
        )

    return Load(name, "GB", run)


def consume_load(
    name: str, *, count: int, value_bytes: int, batch_bytes: int, is_first_time: bool = False
) -> Load:
    """librdkafka reads everything from the beginning, out of the page cache.

    Whether it is the first time that anybody does has a row of its own: it tells whether a broker
    lets the page cache keep what was just produced (docs/decisions/0015).
    """

    def run(side: Side, divisor: int) -> Measured:
        topic, records = new_topic(side), count // divisor
        _produce(
            side,
            topic,
            count=records,
            value=bytes(value_bytes),
            settings={"batch.size": batch_bytes},
        )
        if not is_first_time:
            _consume(side, topic, records)
        return _measure(side, records * value_bytes / 1e9, lambda: _consume(side, topic, records))

    return Load(name, "GB", run)


def _consume(side: Side, topic: str, count: int) -> list[float]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": side.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 1 << 20,
            "queued.max.messages.kbytes": 1 << 20,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(_PARTITIONS)])
    seen = 0
    while seen < count:
        messages = consumer.consume(10_000, 10)
        if not messages:
            raise RuntimeError(f"only {seen} of {count} records came within 10 s")
        seen += len(messages)
    consumer.close()
    return []


def raw_load(name: str, *, connections: int, requests: int, value_bytes: int = 200) -> Load:
    """Raw connections, one produce request in flight on each, acks=all."""

    def run(side: Side, divisor: int) -> Measured:
        topic = new_topic(side, 1)
        total = requests // divisor
        return _measure(
            side,
            total,
            lambda: (
                raw_client.run(
                    side.bootstrap,
                    topic,
                    connections=connections,
                    requests=total,
                    value_bytes=value_bytes,
                    acks=-1,
                ).latencies_ms
            ),
        )

    return Load(name, "req", run)


LOADS = [
    produce_load(
        "produce 1 KB, 1 MB requests",
        count=300_000,
        value_bytes=KIB,
        **{"batch.size": 1_000_000, "message.max.bytes": 1_048_588},
    ),
    produce_load(
        "produce 1 KB, 16 KB requests", count=150_000, value_bytes=KIB, **{"batch.size": 16_384}
    ),
    produce_load(
        "produce 1 KB, lz4, 1 MB requests",
        count=300_000,
        value_bytes=KIB,
        **{"batch.size": 1_000_000, "compression.type": "lz4"},
    ),
    produce_load(
        "produce 100 B, 1 MB requests",
        count=500_000,
        value_bytes=100,
        **{"batch.size": 1_000_000, "batch.num.messages": 10_000},
    ),
    consume_load(
        "consume 1 KB, 1 MB batches", count=300_000, value_bytes=KIB, batch_bytes=1_000_000
    ),
    consume_load("consume 1 KB, 16 KB batches", count=300_000, value_bytes=KIB, batch_bytes=16_384),
    consume_load(
        "consume 1 KB, 16 KB batches, first time",
        count=300_000,
        value_bytes=KIB,
        batch_bytes=16_384,
        is_first_time=True,
    ),
    raw_load("16 connections, one in flight", connections=16, requests=60_000),
    raw_load("latency, 1 connection, linger 0", connections=1, requests=5_000),
]


def median_and_spread(values: list[float]) -> tuple[float, float, float]:
    """Median, least, most."""
    return statistics.median(values), min(values), max(values)
