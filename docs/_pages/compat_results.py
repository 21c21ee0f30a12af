"""Results of real clients and of peers' suites, from the files that those runs wrote.

docs/compat-results.json is a copy of what tests/compat wrote, docs/peer-results.json what
tests/peers did.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from docs._pages.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESULTS: Final = Path(__file__).parents[1] / "compat-results.json"
_PEERS: Final = Path(__file__).parents[1] / "peer-results.json"
_MARKS: Final = {"passed": "yes", "failed": "**no**", "not run": "not run", "absent": "-"}


class _Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As ``tests.compat.results.Result`` is written."""

    client: str
    version: str
    scenario: str
    outcome: Literal["passed", "failed", "not run", "absent"]
    seconds: float
    reason: str
    test: str = ""
    broker: str = ""
    code: str = ""
    date: str = ""


class _PeerTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kafka: str
    datacore: str
    reason: str = ""


class _PeerSuite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As ``tests.peers`` writes it."""

    version: str
    kafka: str
    datacore: str
    date: str
    tests: dict[str, _PeerTest]


class _Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    broker: str
    finished_at: str
    results: list[_Result]


def compat_results() -> Iterator[str]:
    """A table of clients and scenarios, and why a client failed or did not run.

    Raises:
        ValueError: The run was against another broker, such as Apache Kafka.
    """
    if not _RESULTS.exists():
        yield "No run is recorded."
        return
    run = msgspec.json.decode(_RESULTS.read_bytes(), type=_Run)
    if not run.broker.startswith("DataCore "):
        raise ValueError(
            f"{_RESULTS.name}: a run against {run.broker}, not one that starts DataCore"
        )
    yield f"{run.broker}, {run.finished_at[:10]}: {_summary(run)}."
    yield "A dash is what the client does not have."
    scenarios = list(dict.fromkeys(each.scenario for each in run.results))
    outcomes = {(e.client, e.version, e.scenario): _MARKS[e.outcome] for e in run.results}
    dates = {(e.client, e.version): e.date for e in sorted(run.results, key=lambda e: e.date)}
    yield table(
        ["client", "version", "date", *scenarios],
        [
            [*client, dates[client], *(outcomes.get((*client, each), "") for each in scenarios)]
            for client in dict.fromkeys((e.client, e.version) for e in run.results)
        ],
    )
    reasons = dict.fromkeys(
        f"- {each.client} {each.version} {each.outcome}: {each.reason}"
        for each in run.results
        if each.outcome in {"failed", "not run"}
    )
    if reasons:
        yield "\n".join(reasons)


def _summary(run: _Run) -> str:
    counts = Counter(each.outcome for each in run.results)
    clients = len({(each.client, each.version) for each in run.results})
    scenarios = len({each.scenario for each in run.results})
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "not run"))
    return f"{clients} clients, {scenarios} scenarios, {told}"


def peer_results() -> Iterator[str]:
    """What peers' own suites came out with on both brokers, and every test that differs."""
    if not _PEERS.exists():
        yield "No run is recorded."
        return
    suites = msgspec.json.decode(_PEERS.read_bytes(), type=dict[str, _PeerSuite])
    outcomes = ("passed", "failed", "skipped", "not run")
    rows = []
    for name, suite in suites.items():
        for broker, of in (
            (f"Apache Kafka {suite.kafka}", [test.kafka for test in suite.tests.values()]),
            (f"DataCore {suite.datacore}", [test.datacore for test in suite.tests.values()]),
        ):
            counts = Counter(of)
            told = (str(counts[outcome]) for outcome in outcomes)
            rows.append([f"{name} {suite.version}", suite.date, broker, *told])
    yield table(["suite", "date", "on", *outcomes], rows)
    differing = [
        [name, test_name, test.kafka, test.datacore, test.reason]
        for name, suite in suites.items()
        for test_name, test in suite.tests.items()
        if test.kafka != test.datacore
    ]
    if differing:
        yield table(["suite", "test", "Apache Kafka", "DataCore", "why"], differing)
    else:
        yield "Every test has the same result on both."
