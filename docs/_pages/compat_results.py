"""The last run of real clients: docs/compat-results.json, a copy of what tests/compat wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from docs._pages.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESULTS: Final = Path(__file__).parents[1] / "compat-results.json"
_MARKS: Final = {"passed": "yes", "failed": "**no**", "not run": "not run"}


class _Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As ``tests.compat.results.Result`` is written."""

    client: str
    version: str
    scenario: str
    outcome: Literal["passed", "failed", "not run"]
    seconds: float
    reason: str


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
    yield f"{run.broker}, {run.finished_at[:10]}."
    scenarios = list(dict.fromkeys(each.scenario for each in run.results))
    outcomes = {(e.client, e.version, e.scenario): _MARKS[e.outcome] for e in run.results}
    yield table(
        ["client", "version", *scenarios],
        [
            [client, version, *(outcomes.get((client, version, each), "") for each in scenarios)]
            for client, version in dict.fromkeys((e.client, e.version) for e in run.results)
        ],
    )
    reasons = dict.fromkeys(
        f"- {each.client} {each.version} {each.outcome}: {each.reason}"
        for each in run.results
        if each.outcome != "passed"
    )
    if reasons:
        yield "\n".join(reasons)
