"""What a row of the benchmark is: a load, where it runs, and what one run of it measured."""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from benchmarks.process_usage import CpuTime, cpu_time, take_back_free_memory
from benchmarks.sides import DURABILITIES
from datacore.client.cluster import Cluster
from datacore.client.topics import create_topic, delete_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from benchmarks.raw_client import RawConnection
    from benchmarks.sides import Durability, Side

T = TypeVar("T")
Unit = Literal["GB", "req", "msg"]
PAGE_CACHE: tuple[Durability, ...] = ("page-cache",)

_names = (f"bench-{uuid.uuid4().hex[:8]}-{n}" for n in itertools.count())


@dataclass(slots=True)
class Measured:
    """One run of one load on one side."""

    work: float
    """Bytes in GB, or requests, or messages, by the load's unit."""
    elapsed_s: float
    cpu: CpuTime
    latencies_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Latency below which that share of the requests stayed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Stage:
    """One side while one load runs on it: its topics, and what is kept from round to round."""

    def __init__(self, side: Side, divisor: int, lasting_topics: dict[int, str]) -> None:
        self.side = side
        self.divisor = divisor
        """Makes the load smaller."""
        self._lasting_topics = lasting_topics
        """Of this side, by number of partitions."""
        self._kept: dict[Hashable, Any] = {}
        self._topics: list[str] = []
        self._open = contextlib.ExitStack()

    def new_topic(self, partitions: int) -> str:
        """Makes a topic and waits until it can be used."""
        name = self._create(partitions)
        self._topics.append(name)
        return name

    def lasting_topic(self, partitions: int) -> str:
        """One for all loads that write little: thousands of partitions take long to make."""
        if partitions not in self._lasting_topics:
            self._lasting_topics[partitions] = self._create(partitions)
        return self._lasting_topics[partitions]

    def smaller(self, count: int) -> int:
        """So many, or fewer where the loads are made smaller."""
        return max(count // self.divisor, 1)

    def _create(self, partitions: int) -> str:
        name = next(_names)
        with Cluster(self.side.bootstrap) as cluster:
            create_topic(cluster, name, partitions=partitions, replication_factor=1)
        return name

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What the first round has made, such as a topic full of records."""
        if key not in self._kept:
            self._kept[key] = make()
        made: T = self._kept[key]
        return made

    def keep_open(self, connection: RawConnection) -> None:
        """Has it closed when the load is over."""
        self._open.callback(connection.close)

    def measure(
        self, work: float, act: Callable[[], list[float]], *, written_bytes: int = 0
    ) -> Measured:
        """Runs a part of the load, and counts what the broker uses for it.

        What was written before is on its device by then: or the kernel would write it meanwhile.

        Args:
            work: See ``Measured``.
            act: The load.
            written_bytes: What it has the broker write at most.
        """
        os.sync()
        if written_bytes:
            # Beside its data, for those of some engines are not in a folder.
            take_back_free_memory(self.side.data_dir.parent, written_bytes)
        pid = self.side.pid
        cpu_before, started = cpu_time(pid), time.perf_counter()
        latencies_ms = act()
        elapsed_s = time.perf_counter() - started
        return Measured(work, elapsed_s, cpu_time(pid).since(cpu_before), latencies_ms)

    def close(self) -> None:
        """Deletes the topics: what thirty loads write fills a disk."""
        self._open.close()
        with Cluster(self.side.bootstrap) as cluster:
            for name in self._topics:
                delete_topic(cluster, name)
        self._topics.clear()
        self._kept.clear()


@dataclass(frozen=True, slots=True)
class Load:
    """A row of the benchmark."""

    name: str
    unit: Unit
    run: Callable[[Stage], Measured]
    durabilities: Sequence[Durability] = DURABILITIES


def median_and_spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least, most."""
    return statistics.median(values), min(values), max(values)
