"""What came out: for programs `.cache/compat/results.json`, for people a table after the run.

A client that could not be run is in both, by name and with the reason.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

__all__ = ["Outcome", "Result", "Results"]

# "absent" is what the client itself does not have, "not run" what this machine could not run.
Outcome = Literal["passed", "failed", "not run", "absent"]
_MARKS: dict[Outcome, str] = {
    "passed": "ok",
    "failed": "FAILED",
    "not run": "not run",
    "absent": "-",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One client in one scenario; `reason` says why it failed or did not run."""

    client: str
    version: str
    scenario: str
    outcome: Outcome
    seconds: float
    reason: str = ""


@dataclass(slots=True)
class Results:
    """All results of one run of pytest."""

    broker: str = ""
    results: list[Result] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write them as JSON: the broker, the time in UTC, one object per result."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "broker": self.broker,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": [asdict(result) for result in self.results],
        }
        path.write_text(json.dumps(content, indent=2) + "\n")

    def table(self) -> Iterator[str]:
        """Lines of a table, a client per row, then every reason for a client that was not run."""
        scenarios = list(dict.fromkeys(result.scenario for result in self.results))
        clients = list(dict.fromkeys((r.client, r.version) for r in self.results))
        cells = {(r.client, r.version, r.scenario): self._cell(r) for r in self.results}
        widths = [max(len(scenario), 14) for scenario in scenarios]
        header = zip(scenarios, widths, strict=True)
        yield " " * 26 + "  ".join(scenario.ljust(width) for scenario, width in header)
        for client, version in clients:
            row = [cells.get((client, version, scenario), "-") for scenario in scenarios]
            columns = zip(row, widths, strict=True)
            yield f"{client} {version}".ljust(26) + "  ".join(c.ljust(w) for c, w in columns)
        missing = [r for r in self.results if r.outcome == "not run"]
        for client, version, reason in dict.fromkeys(
            (r.client, r.version, r.reason) for r in missing
        ):
            yield f"NOT RUN: {client} {version}: {reason}"

    @staticmethod
    def _cell(result: Result) -> str:
        mark = _MARKS[result.outcome]
        return mark if result.outcome == "absent" else f"{mark} {result.seconds:.1f} s"
