"""End-to-end latency: from a program's send to another program's receipt, at a fixed rate.

The producer keeps to its schedule whatever the broker does, and a record's time is the one at which
it was due, so that a broker which holds up the producer is not excused (no coordinated omission).
The consumer is a process of its own; both read the machine's monotonic clock.
"""

from __future__ import annotations

import multiprocessing
import struct
import time
from typing import TYPE_CHECKING

import confluent_kafka

from benchmarks.bulk import KIB
from benchmarks.load import PAGE_CACHE, Load

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from benchmarks.load import Measured, Stage

_DUE = struct.Struct("<q")
_NO_ANSWER_S = 10.0
_processes = multiprocessing.get_context("spawn")


def _consume(bootstrap: str, topic: str, count: int, results: Connection) -> None:
    """The consumer's process: says that it waits at the end, then how late each record came."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    first = consumer.consume(1, _NO_ANSWER_S)
    results.send(len(first))
    waits_ms: list[float] = []
    while len(waits_ms) < count:
        messages = consumer.consume(1000, 0.001) or consumer.consume(1, _NO_ANSWER_S)
        now_ns = time.monotonic_ns()
        if not messages:
            break
        waits_ms += [
            (now_ns - _DUE.unpack_from(message.value() or b"")[0]) / 1e6 for message in messages
        ]
    consumer.close()
    results.send(waits_ms)


def _run(
    bootstrap: str, topic: str, *, count: int, rate: float, linger_ms: int
) -> tuple[list[float], float]:
    """How late each record came, and how long it took until the last was acknowledged."""
    ours, theirs = _processes.Pipe()
    consumer = _processes.Process(target=_consume, args=(bootstrap, topic, count, theirs))
    consumer.start()
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": linger_ms}
    )
    padding = bytes(KIB - _DUE.size)
    producer.produce(topic, _DUE.pack(0) + padding, partition=0)
    producer.flush(_NO_ANSWER_S)
    if ours.recv() != 1:
        raise RuntimeError("the consumer saw nothing")
    interval_ns = 1e9 / rate
    begun_ns = time.monotonic_ns()
    for number in range(count):
        due_ns = begun_ns + int(number * interval_ns)
        while (ahead_ns := due_ns - time.monotonic_ns()) > 0:
            producer.poll(0)
            if ahead_ns > 100_000:
                time.sleep((ahead_ns - 50_000) / 1e9)
        while True:
            try:
                producer.produce(topic, _DUE.pack(due_ns) + padding, partition=0)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(60)
    elapsed_s = (time.monotonic_ns() - begun_ns) / 1e9
    waits_ms: list[float] = ours.recv()
    consumer.join()
    if len(waits_ms) < count:
        raise RuntimeError(f"only {len(waits_ms)} of {count} records arrived")
    return waits_ms, elapsed_s


def paced_load(name: str, *, rate: float, seconds: float = 2.0) -> Load:
    """One producer and one consumer of a partition, records of 1 KB at that rate, no linger."""

    def run(stage: Stage) -> Measured:
        return _measured(stage, count=int(rate * seconds), rate=rate, linger_ms=0)

    return Load(name, "msg", run, PAGE_CACHE)


def half_saturated_load(name: str, *, saturating_records: int, seconds: float = 2.0) -> Load:
    """The same at half of what the slower side carries, which each side's first run finds out.

    Linger is librdkafka's own 5 ms.
    """
    saturated: dict[str, float] = {}

    def run(stage: Stage) -> Measured:
        if stage.side.name not in saturated:
            measured = _measured(stage, count=saturating_records, rate=float("inf"), linger_ms=5)
            saturated[stage.side.name] = measured.work / measured.elapsed_s
            return measured
        rate = min(saturated.values()) / 2
        return _measured(stage, count=int(rate * seconds), rate=rate, linger_ms=5)

    return Load(name, "msg", run, PAGE_CACHE)


def _measured(stage: Stage, *, count: int, rate: float, linger_ms: int) -> Measured:
    topic = stage.new_topic(1)
    records = max(count // stage.divisor, 10)
    elapsed_s = 0.0

    def act() -> list[float]:
        nonlocal elapsed_s
        waits_ms, elapsed_s = _run(
            stage.side.bootstrap, topic, count=records, rate=rate, linger_ms=linger_ms
        )
        return waits_ms

    measured = stage.measure(records, act)
    measured.elapsed_s = elapsed_s
    return measured
