"""What came out: for programs `.cache/compat/results.json`, for people a table after the run.

A client that could not be run is in both, by name and with the reason. A run replaces in the file
what it asked again and keeps the rest, so that the matrix can be run in parts; each result has its
date and the digest of the code that it is true of.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

__all__ = ["Outcome", "Result", "Results", "code_digest"]

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
    """One client in one scenario.

    Attributes:
        reason: why it failed or did not run.
        test: pytest's id of the test.
        broker: name and version.
        code: what `code_digest` was.
        date: when it ended, UTC.
    """

    client: str
    version: str
    scenario: str
    outcome: Outcome
    seconds: float
    reason: str = ""
    test: str = ""
    broker: str = ""
    code: str = ""
    date: str = ""


def code_digest() -> str:
    """Of all the code that results depend on: the broker's and these tests'."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for folder in ("datacore", "tests/compat"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".py", ".java", ".go", ".mjs", ".rs"}:
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(slots=True)
class Results:
    """All results of one run of pytest."""

    broker: str = ""
    results: list[Result] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read what `write` wrote; nothing where there is no file yet."""
        if not path.exists():
            return cls()
        content = json.loads(path.read_text())
        return cls(content["broker"], [Result(**result) for result in content["results"]])

    def write(self, path: Path) -> None:
        """Write them into the JSON file, over what it holds of the same tests of this broker."""
        path.parent.mkdir(parents=True, exist_ok=True)
        before = Results.read(path)
        kept = {self._key(result): result for result in before.results}
        kept |= {self._key(result): result for result in self.results}
        if before.broker != self.broker:
            kept = {self._key(result): result for result in self.results}
        content = {
            "broker": self.broker,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "results": [asdict(result) for result in kept.values()],
        }
        written = path.with_suffix(".new")
        written.write_text(json.dumps(content, indent=2) + "\n")
        written.replace(path)

    @staticmethod
    def _key(result: Result) -> tuple[str, str, str]:
        return result.client, result.version, result.scenario

    def passed(self, code: str) -> set[str]:
        """Ids of the tests that this very code has passed, or that their client has not."""
        good = {"passed", "absent"}
        return {r.test for r in self.results if r.outcome in good and r.code == code and r.test}

    def summary(self) -> str:
        """How many clients, scenarios and results there are."""
        clients = len({(r.client, r.version) for r in self.results})
        scenarios = len({r.scenario for r in self.results})
        counts = Counter(r.outcome for r in self.results)
        told = ", ".join(
            f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "not run")
        )
        return f"{clients} clients, {scenarios} scenarios: {told}"

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
        yield self.summary()

    @staticmethod
    def _cell(result: Result) -> str:
        mark = _MARKS[result.outcome]
        return mark if result.outcome == "absent" else f"{mark} {result.seconds:.1f} s"
