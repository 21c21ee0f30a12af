"""``python -m benchmarks.processes``: one and two broker processes, beside Apache Kafka's one.

A DataCore process uses one core, and there is no cluster yet; so two processes are two brokers with
a folder of their own each, whose topics somebody has divided. Always two client processes load what
runs, each from half of the connections: on two brokers, each its own one. Rate and CPU are of all
brokers of a side together. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.__main__ import machine
from benchmarks.load import Stage, median_and_spread
from benchmarks.process_usage import cpu_time
from benchmarks.raw_client import Repeating, batch_of, check_produced, converse, produce_frame
from benchmarks.sides import Side, apache_kafka, datacore, has_java

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLIENTS: Final = 2
CONNECTIONS: Final = 16
REQUESTS: Final = 60_000
VALUE_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Brokers:
    """What is loaded together."""

    name: str
    sides: Sequence[Side]
    topics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    """Runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.processes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="whether it works: no figures")
    options = parser.parse_args()
    rounds, requests = (1, 200) if options.quick else (options.rounds, REQUESTS)
    print(machine(), end="\n\n")
    spawning = multiprocessing.get_context("spawn")
    with (
        _all_brokers(is_without_kafka=options.quick or not has_java()) as all_brokers,
        ProcessPoolExecutor(CLIENTS, mp_context=spawning) as clients,
    ):
        found: dict[str, list[Round]] = {brokers.name: [] for brokers in all_brokers}
        for turn in range(rounds + 2):
            for brokers in all_brokers:
                measured = _measure(brokers, clients, requests)
                if turn >= 2:  # the first ones warm
                    found[brokers.name].append(measured)
    print("| 16 connections, one small request in flight | req/s | p50, p99 | broker CPU |")
    print("| --- | --- | --- | --- |")
    for name, measurements in found.items():
        print(_line(name, measurements))


@contextlib.contextmanager
def _all_brokers(*, is_without_kafka: bool) -> Iterator[list[Brokers]]:
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(datacore("page-cache")) for _ in range(3)]
        found = [
            _with_topics("DataCore, one process", ours[:1]),
            _with_topics("DataCore, two processes", ours[1:]),
        ]
        if not is_without_kafka:
            theirs = stack.enter_context(apache_kafka("page-cache"))
            found.append(_with_topics(theirs.name, [theirs]))
        yield found


def _with_topics(name: str, sides: Sequence[Side]) -> Brokers:
    topics = [Stage(side, 1, {}).new_topic(1) for side in sides]
    for side, topic in zip(sides, topics, strict=True):
        check_produced(side.address, [_frame(topic)])
    return Brokers(name, sides, topics)


def _frame(topic: str) -> bytes:
    return produce_frame({(topic, 0): batch_of(bytes(VALUE_BYTES))})


def _measure(brokers: Brokers, clients: ProcessPoolExecutor, requests: int) -> Round:
    os.sync()
    pids = [side.pid for side in brokers.sides]
    before, began = [cpu_time(pid) for pid in pids], time.perf_counter()
    halves = [
        clients.submit(
            load, brokers.sides[at % len(pids)].address, brokers.topics[at % len(pids)], requests
        )
        for at in range(CLIENTS)
    ]
    waits_ms = sorted(wait for half in halves for wait in half.result())
    elapsed_s = time.perf_counter() - began
    cpu_s = sum(cpu_time(pid).since(at).total_s for pid, at in zip(pids, before, strict=True))
    count = len(waits_ms)
    return Round(
        count / elapsed_s, cpu_s / count * 1e6, waits_ms[count // 2], waits_ms[count * 99 // 100]
    )


def load(address: tuple[str, int], topic: str, requests: int) -> list[float]:
    """One client process's half; how long each request took, in ms."""
    talks = [Repeating([_frame(topic)]) for _ in range(CONNECTIONS // CLIENTS)]
    return converse(address, talks, requests=requests // CLIENTS).latencies_ms


def _line(name: str, rounds: Sequence[Round]) -> str:
    rate, low, high = median_and_spread([each.rate for each in rounds])
    cpu, cpu_low, cpu_high = median_and_spread([each.cpu_us for each in rounds])
    p50 = statistics.median(each.p50_ms for each in rounds)
    p99 = statistics.median(each.p99_ms for each in rounds)
    return (
        f"| {name} | {rate / 1000:.1f}k ({low / 1000:.1f}-{high / 1000:.1f}) "
        f"| {p50:.2f}, {p99:.2f} ms | {cpu:.0f} us ({cpu_low:.0f}-{cpu_high:.0f}) |"
    )


if __name__ == "__main__":
    main()
