"""``python -m benchmarks.cleaning``: what retention and compaction cost those who produce.

Two brokers take turns. One deletes and compacts nothing; on the other a large dirty topic is being
compacted and the topic that is written to loses its oldest segments, all the time. Printed are rate
and latency of producers on both, medians of the rounds. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import confluent_kafka

from benchmarks import raw_client
from benchmarks.__main__ import machine
from datacore.client.admin import create_topic
from datacore.client.cluster import Cluster
from datacore.testing.broker_process import BrokerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEYS = 40_000
DIRTY_RECORDS = 400_000
WRITTEN_RECORDS = 150_000
REQUESTS = 5_000
VALUE_BYTES = 1024

_QUIET = {"log.cleaner.enable": False, "log.retention.check.interval.ms": 3_600_000}
_BUSY = {"log.cleaner.backoff.ms": 50, "log.retention.check.interval.ms": 200}
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.bytes": str(16 << 20),
}
_DELETED_FROM = {"retention.bytes": str(16 << 20), "segment.bytes": str(8 << 20)}


class Round(NamedTuple):
    """What one round on one broker gave."""

    mb_per_s: float
    p50_ms: float
    p99_ms: float
    compacted_rounds: int


def _new_topic(broker: BrokerProcess, configs: Mapping[str, str], partitions: int) -> str:
    name = f"cleaning-{uuid.uuid4().hex[:8]}"
    with Cluster(broker.bootstrap_servers) as cluster:
        create_topic(
            cluster, name, partitions=partitions, replication_factor=1, configs=dict(configs)
        )
    return name


def _produce(broker: BrokerProcess, topic: str, keys: Iterator[bytes | None], count: int) -> float:
    """Writes records at full speed and returns the seconds that it took."""
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "acks": "all",
            "linger.ms": 20,
            "batch.size": 16_384,
            "queue.buffering.max.messages": 200_000,
        }
    )
    value = bytes(VALUE_BYTES)
    started_s = time.perf_counter()
    for key in itertools.islice(keys, count):
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.01)
    if producer.flush(120):
        raise RuntimeError("not everything was delivered")
    return time.perf_counter() - started_s


def _round(broker: BrokerProcess) -> Round:
    dirty = _new_topic(broker, _COMPACTED, 1)
    keys = (str(number % KEYS).encode() for number in itertools.count())
    _produce(broker, dirty, keys, DIRTY_RECORDS)
    before = broker.log().count("compacted up to")
    written = _new_topic(broker, _DELETED_FROM, 4)
    elapsed_s = _produce(broker, written, itertools.repeat(None), WRITTEN_RECORDS)
    asked = _new_topic(broker, _DELETED_FROM, 1)
    small = raw_client.run(
        broker.bootstrap_servers, asked, connections=1, requests=REQUESTS, value_bytes=200, acks=-1
    )
    latencies_ms = sorted(small.latencies_ms)
    return Round(
        WRITTEN_RECORDS * VALUE_BYTES / elapsed_s / 1e6,
        statistics.median(latencies_ms),
        latencies_ms[len(latencies_ms) * 99 // 100],
        broker.log().count("compacted up to") - before,
    )


def main() -> None:
    """Runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.cleaning", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(machine())
    with BrokerProcess(kafka=_QUIET) as quiet, BrokerProcess(kafka=_BUSY) as busy:
        sides = {"deletes and compacts nothing": quiet, "deletes and compacts": busy}
        results: dict[str, list[Round]] = {name: [] for name in sides}
        for _ in range(rounds + 1):
            for name, broker in sides.items():
                results[name].append(_round(broker))
    print("| broker | MB/s | p50 ms | p99 ms | rounds of compaction meanwhile |")
    print("|---|---|---|---|---|")
    for name, all_rounds in results.items():
        columns = list(zip(*all_rounds[1:], strict=True))  # the first one warms
        figures = [f"{statistics.median(column):.2f}" for column in columns[:3]]
        spreads = [f"{min(column):.2f}-{max(column):.2f}" for column in columns[:3]]
        cells = [f"{figure} ({spread})" for figure, spread in zip(figures, spreads, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {sum(columns[3])} |")


if __name__ == "__main__":
    main()
