"""Puts a run of ``make bench`` into docs/performance.md, and draws its pictures.

    python -m benchmarks.publish [RESULTS.json ...]

Rules: a table stands between the marks that name it, and what is outside of the marks is written by
hand; the results themselves are committed as docs/bench-results.json, and without an argument those
are taken again. Of several runs the later ones replace what they have measured again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.plots import draw_comparison, draw_growth
from benchmarks.results import merged, put_into_page, tables

_DOCS: Final = Path(__file__).parents[1] / "docs"
_RESULTS: Final = _DOCS / "bench-results.json"
_SUMMARY: Final = (
    "produce 1 KB, 1 MB requests",
    "produce 1 KB, 16 KB requests",
    "produce 1 KB, lz4, 1 MB requests",
    "produce 100 B, 1 MB requests",
    "produce 1 KB, 16 KB requests, transactions of 1,000 records",
    "consume 1 KB, 1 MB batches",
    "consume 1 KB, 16 KB batches",
    "consume 1 KB, 16 KB batches, first time",
    "latency, 1 connection, linger 0",
    "16 connections, one in flight",
    "256 connections, one in flight",
    "a record and its fetch, 5,000 partitions in the session",
    "heartbeats of 500 members",
)
"""The rows of the README's picture: each kind of load once."""


def main() -> None:
    """Runs from the command line."""
    sources = [Path(each) for each in sys.argv[1:]] or [_RESULTS]
    results = merged([json.loads(each.read_text(encoding="utf-8")) for each in sources])
    _RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")
    page = _DOCS / "performance.md"
    page.write_text(
        put_into_page(page.read_text(encoding="utf-8"), tables(results)), encoding="utf-8"
    )
    draw_comparison(results, _DOCS / "performance-summary.svg", _SUMMARY)
    draw_comparison(results, _DOCS / "performance.svg")
    draw_growth(results, _DOCS / "performance-growth.svg")


if __name__ == "__main__":
    main()
