"""``make bench``: DataCore and Apache Kafka 4.1.1, alternating in one run, same client.

Prints Markdown tables with machine, date and versions, and writes all figures as JSON, of which
``python -m benchmarks.publish`` makes docs/performance.md and its pictures. Broker CPU is the
operating system's; throughput is often the client's limit, so CPU per GB and per request are the
figures to compare. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import confluent_kafka

import datacore
from benchmarks.life import measure_life, subjects
from benchmarks.load import Measured, Stage
from benchmarks.process_usage import memory_mib
from benchmarks.results import figures_table, row_of, rows_table
from benchmarks.rows import GROWTH, LOADS
from benchmarks.sides import DURABILITIES, KAFKA_VERSION, apache_kafka, has_java
from benchmarks.sides import datacore as datacore_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.load import Load
    from benchmarks.sides import Durability, Side

WARM_UPS = 2
GROWTH_ROUNDS = 3
SECTIONS = (*LOADS, "growth", "life", "codecs", "engines", "processes")


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--divisor", type=int, default=1, help="makes every load smaller")
    parser.add_argument("--only", default="", help=f"sections, of {', '.join(SECTIONS)}")
    parser.add_argument("--rows", default="", help="loads whose name contains this")
    parser.add_argument("--durability", choices=DURABILITIES, action="append")
    parser.add_argument("--restart-gb", type=float, default=10.0, help="what a start has to find")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench.json"))
    parser.add_argument("--without-kafka", action="store_true", help="for a quick look only")
    parser.add_argument("--quick", action="store_true", help="whether it works: no figures")
    options = parser.parse_args()
    sections = options.only.split(",") if options.only else list(SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    options.warm_ups, options.starts, options.idle = WARM_UPS, 5, 2_000
    if options.quick:
        options.rounds, options.warm_ups, options.divisor = 1, 0, 100
        options.starts, options.idle, options.restart_gb = 1, 50, 0.01
        options.without_kafka = options.without_kafka or not has_java()
    # An installed package has its bytecode beside it; ours shall too, whatever this shell says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _allow_open_files()
    results = _run(sections, options)
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


def _allow_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(sections: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    began_s = time.monotonic()
    results: dict[str, Any] = {
        "machine": machine(),
        "load_average": os.getloadavg()[0],
        "rounds": options.rounds,
        "loads": {},
        "figures": {},
    }
    print(f"{results['machine']}; load average {results['load_average']:.1f}")
    for durability in options.durability or DURABILITIES:
        loads = _loads_of(sections, durability, options.rows)
        if loads or (durability == "page-cache" and "growth" in sections):
            _compare(durability, loads, sections, options, results)
    if "life" in sections:
        lives = {
            subject.name: measure_life(
                subject,
                starts=options.starts,
                records=int(options.restart_gb * 1e9 / 1024),
                idle=options.idle,
            )
            for subject in subjects(is_without_kafka=options.without_kafka)
        }
        results["figures"]["life"] = lives
        print(f"\n### A broker's life\n\n{figures_table(lives)}")
    for section, module in (
        ("codecs", "codec"),
        ("engines", "engines"),
        ("processes", "processes"),
    ):
        if section in sections and importlib.util.find_spec(f"benchmarks.{module}"):
            results[section] = _run_module(module, is_quick=options.quick)
    results["took_s"] = round(time.monotonic() - began_s)
    print(f"\nTook {results['took_s']} s.")
    return results


def _loads_of(sections: Sequence[str], durability: Durability, text: str) -> dict[str, list[Load]]:
    chosen = {
        section: [
            load for load in LOADS[section] if durability in load.durabilities and text in load.name
        ]
        for section in sections
        if section in LOADS
    }
    return {section: loads for section, loads in chosen.items() if loads}


def _compare(
    durability: Durability,
    loads: dict[str, list[Load]],
    sections: Sequence[str],
    options: argparse.Namespace,
    results: dict[str, Any],
) -> None:
    """Both brokers run all the time, and take turns."""
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(datacore_side(durability))]
        if not options.without_kafka:
            sides.append(stack.enter_context(apache_kafka(durability)))
        alternation = Alternation(sides, options)
        for section, chosen in loads.items():
            rows = [row_of(load, alternation.run(load, options.rounds)) for load in chosen]
            results["loads"].setdefault(section, {})[durability] = rows
            print(f"\n### {section}, {durability}\n\n{rows_table(rows)}", flush=True)
        if durability == "page-cache" and "growth" in sections:
            results["growth"] = dict(_growth(alternation, options))
        results["figures"][f"sides {durability}"] = {
            side.name: {
                "ready after start, s": [side.start_up_s] * 3,
                "resident after the loads, MiB": [memory_mib(side.pid)["VmRSS"]] * 3,
                "anonymous after the loads, MiB": [memory_mib(side.pid)["RssAnon"]] * 3,
            }
            for side in sides
        }
    print(f"\n{figures_table(results['figures'][f'sides {durability}'])}", flush=True)


class Alternation:
    """Runs loads on all sides in turn."""

    def __init__(self, sides: Sequence[Side], options: argparse.Namespace) -> None:
        self._sides = sides
        self._options = options
        self._lasting_topics: dict[str, dict[int, str]] = defaultdict(dict)

    def run(self, load: Load, rounds: int) -> dict[str, list[Measured]]:
        """The rounds that count, by side."""
        began_s = time.monotonic()
        stages = [
            Stage(side, self._options.divisor, self._lasting_topics[side.name])
            for side in self._sides
        ]
        runs: dict[str, list[Measured]] = {side.name: [] for side in self._sides}
        for stage in stages:
            for _ in range(self._options.warm_ups):  # the JVM, the page cache, and us
                load.run(stage)
        for _ in range(rounds):
            for stage in stages:
                runs[stage.side.name].append(load.run(stage))
        for stage in stages:
            stage.close()
        print(f"  {load.name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
        return runs


def _growth(
    alternation: Alternation, options: argparse.Namespace
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What a request costs as something grows."""
    for axis, points in GROWTH.items():
        rows = []
        for size, load in points:
            rounds = min(options.rounds, GROWTH_ROUNDS)
            rows.append({"size": size, **row_of(load, alternation.run(load, rounds))})
        print(f"\n### As {axis} grow\n\n{rows_table(rows)}", flush=True)
        yield axis, rows


def _run_module(module: str, *, is_quick: bool) -> str:
    """A benchmark that stands for itself; what it prints is its result."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *(["--quick"] if is_quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(f"\n### {module}\n\n{done.stdout}", flush=True)
    return done.stdout


if __name__ == "__main__":
    main()
