"""A broker's life: how soon it is ready, what memory it takes, how it comes back with much data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmarks.bulk import KIB, LARGE_REQUESTS, PARTITIONS, produce, value_of
from benchmarks.crowds import open_idle_connections
from benchmarks.load import Stage, median_and_spread
from benchmarks.process_usage import cpu_time, memory_mib
from benchmarks.sides import KAFKA_VERSION, Side
from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IDLE_S = 3.0

Figures = dict[str, tuple[float, float, float]]
"""Median, least, most by what was measured; the unit is in its name."""


class Restartable(Protocol):
    """Either side's process."""

    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> object: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


class Subject(NamedTuple):
    """One side that may be started again and again."""

    name: str
    process: Restartable
    side: Callable[[], Side]


def subjects(*, is_without_kafka: bool) -> Iterator[Subject]:
    """Each side with its page-cache settings, not started."""
    ours = BrokerProcess(disk_sync=False)
    yield Subject(
        "DataCore",
        ours,
        lambda: Side("DataCore", ours.bootstrap_servers, ours.pid, 0.0, ours.data_dir),
    )
    if not is_without_kafka:
        theirs = ApacheKafka(KAFKA_VERSION)
        name = f"Apache Kafka {KAFKA_VERSION}"
        yield Subject(
            name, theirs, lambda: Side(name, theirs.bootstrap, theirs.pid, 0.0, theirs.data_dir)
        )


def measure_life(subject: Subject, *, starts: int, records: int, idle: int) -> Figures:
    """Starts, fills, stops, kills and starts again; ends with the process and its data gone."""
    found: Figures = {}
    process = subject.process

    def ready_s() -> float:
        began = time.perf_counter()
        process.start()
        return time.perf_counter() - began

    def note(name: str, *values: float) -> None:
        found[name] = median_and_spread(values)

    try:
        note("first start, s", ready_s())
        took = []
        for _ in range(starts):
            process.stop()
            took.append(ready_s())
        note("start, s", *took)
        note("memory idle, anonymous, MiB", memory_mib(process.pid)["RssAnon"])
        note("memory idle, resident, MiB", memory_mib(process.pid)["VmRSS"])
        _measure_idle_connections(subject, idle, note)
        size_gb = records * KIB / 1e9
        stage = Stage(subject.side(), 1, {})
        topic = stage.new_topic(PARTITIONS)
        produce(
            stage.side, topic, count=records, value=value_of(KIB), settings=dict(LARGE_REQUESTS)
        )
        note(
            f"memory behind {size_gb:.1f} GB produced, anonymous, MiB",
            memory_mib(process.pid)["RssAnon"],
        )
        began = time.perf_counter()
        process.stop()
        note(f"clean stop with {size_gb:.1f} GB, s", time.perf_counter() - began)
        note(f"start with {size_gb:.1f} GB behind a clean stop, s", ready_s())
        process.kill()
        note(f"start with {size_gb:.1f} GB behind a kill, s", ready_s())
        stage = Stage(subject.side(), 1, {})
        topic = stage.new_topic(PARTITIONS)
        produce(
            stage.side,
            topic,
            count=records // 10,
            value=value_of(KIB),
            settings=dict(LARGE_REQUESTS),
        )
        process.kill()
        note("the same, killed behind another tenth just produced, s", ready_s())
    finally:
        process.close()
    return found


def _measure_idle_connections(subject: Subject, idle: int, note: Callable[..., None]) -> None:
    """What connections cost that say nothing."""
    stage = Stage(subject.side(), 1, {})
    pid = subject.process.pid
    before_mib = memory_mib(pid)["RssAnon"]
    open_idle_connections(stage, idle)
    note(f"memory of {idle:,} idle connections, MiB", memory_mib(pid)["RssAnon"] - before_mib)
    cpu_before = cpu_time(pid)
    time.sleep(_IDLE_S)
    used_ms = cpu_time(pid).since(cpu_before).total_s / _IDLE_S * 1000
    note(f"CPU with {idle:,} idle connections, ms/s", used_ms)
    stage.close()
