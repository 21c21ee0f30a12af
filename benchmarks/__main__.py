"""``make bench``: DataCore and Apache Kafka 4.1.1, alternating in one run, same client.

Prints a Markdown table with machine, date and versions, and writes the figures as JSON. Broker CPU
is the operating system's; throughput is often the client's limit, so CPU per GB and per request are
the figures to compare. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import confluent_kafka

import datacore
from benchmarks.loads import LOADS, Load, Measured, median_and_spread
from benchmarks.process_usage import memory_mib
from benchmarks.sides import KAFKA_VERSION, Durability, Side, apache_kafka
from benchmarks.sides import datacore as datacore_side

if TYPE_CHECKING:
    from collections.abc import Sequence

_DURABILITIES: tuple[Durability, ...] = ("page-cache", "flush")


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--divisor", type=int, default=1, help="makes every load smaller")
    parser.add_argument("--only", default="", help="loads whose name contains this")
    parser.add_argument("--durability", choices=_DURABILITIES, action="append")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench.json"))
    parser.add_argument("--without-kafka", action="store_true", help="for a quick look only")
    options = parser.parse_args()
    # An installed package has its bytecode beside it; ours shall too, whatever this shell says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    loads = [load for load in LOADS if options.only in load.name]
    print(machine())
    results: dict[str, Any] = {"machine": machine()}
    for durability in options.durability or _DURABILITIES:
        results[durability] = _compare(durability, loads, options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} x {model}, "
        f"Linux {platform.release()}, CPython {platform.python_version()}, "
        f"DataCore {datacore.__version__}, Apache Kafka {KAFKA_VERSION}, "
        f"librdkafka {confluent_kafka.libversion()[0]}"
    )


def _compare(
    durability: Durability, loads: Sequence[Load], options: argparse.Namespace
) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(datacore_side(durability))]
        if not options.without_kafka:
            sides.append(stack.enter_context(apache_kafka(durability)))
        idle = {side.name: memory_mib(side.pid) for side in sides}
        runs: dict[str, dict[str, list[Measured]]] = {}
        for load in loads:
            for side in sides:
                for _ in range(2):  # warms the JVM, the page cache, and us
                    load.run(side, options.divisor)
            for _ in range(options.rounds):
                for side in sides:
                    measured = load.run(side, options.divisor)
                    runs.setdefault(load.name, {}).setdefault(side.name, []).append(measured)
            print(f"  {load.name}: done", file=sys.stderr)
        loaded = {side.name: memory_mib(side.pid) for side in sides}
    print(f"\n### Durability: {durability}\n")
    rows = [_row(load, runs[load.name]) for load in loads]
    _print_table(rows, [side.name for side in sides])
    _print_sides(sides, idle, loaded)
    return {
        "rows": rows,
        "start_up_s": {side.name: side.start_up_s for side in sides},
        "memory_idle_mib": idle,
        "memory_after_mib": loaded,
    }


def _row(load: Load, by_side: dict[str, list[Measured]]) -> dict[str, Any]:
    row: dict[str, Any] = {"load": load.name, "unit": load.unit}
    for name, runs in by_side.items():
        figures: dict[str, Any] = {
            "rate": median_and_spread([run.work / run.elapsed_s for run in runs]),
            "cpu_s": median_and_spread([run.cpu.total_s / run.work for run in runs]),
            "user_cpu_s": median_and_spread([run.cpu.user_s / run.work for run in runs]),
        }
        if runs[0].latencies_ms:
            for share in (0.5, 0.99, 0.999):
                figures[f"p{share * 100:g}_ms"] = median_and_spread(
                    [run.percentile(share) for run in runs]
                )
        row[name] = figures
    return row


def _print_table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    heads = [f"{name}: rate | CPU (user)" for name in names]
    print(f"| load | {' | '.join(heads)} | ratios: rate, CPU |")
    print(f"|---|{'---|' * (2 * len(names) + 1)}")
    for row in rows:
        cells = [row["load"]]
        for name in names:
            cells += _cells(row["unit"], row[name])
        if len(names) == 2:
            ours, theirs = row[names[0]], row[names[1]]
            rate = ours["rate"][0] / theirs["rate"][0]
            cpu = ours["cpu_s"][0] / theirs["cpu_s"][0]
            cells.append(f"{rate:.2f}, {cpu:.2f}")
        print(f"| {' | '.join(cells)} |")


def _cells(unit: str, figures: dict[str, Any]) -> list[str]:
    rate, low, high = figures["rate"]
    cpu, cpu_low, cpu_high = figures["cpu_s"]
    user = figures["user_cpu_s"][0]
    if unit == "GB":
        return [
            f"{rate * 1000:.0f} MB/s ({low * 1000:.0f}-{high * 1000:.0f})",
            f"{cpu:.2f} s/GB ({cpu_low:.2f}-{cpu_high:.2f}; user {user:.2f})",
        ]
    latency = ", ".join(
        f"{share} {figures[f'{share}_ms'][0]:.2f}" for share in ("p50", "p99", "p99.9")
    )
    return [
        f"{rate:.0f} req/s; {latency} ms",
        f"{cpu * 1e6:.0f} us/req ({cpu_low * 1e6:.0f}-{cpu_high * 1e6:.0f}; user {user * 1e6:.0f})",
    ]


def _print_sides(
    sides: Sequence[Side],
    idle: dict[str, dict[str, float]],
    loaded: dict[str, dict[str, float]],
) -> None:
    print("\n| | ready after start | memory idle: resident (anonymous) | after the loads |")
    print("|---|---|---|---|")
    for side in sides:
        first, last = idle[side.name], loaded[side.name]
        print(
            f"| {side.name} | {side.start_up_s:.2f} s "
            f"| {first['VmRSS']:.0f} ({first['RssAnon']:.0f}) MiB "
            f"| {last['VmRSS']:.0f} ({last['RssAnon']:.0f}) MiB |"
        )


if __name__ == "__main__":
    main()
