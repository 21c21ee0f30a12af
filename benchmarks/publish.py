"""Puts a run of ``make bench`` into docs/performance.md, and draws its pictures.

    python -m benchmarks.publish [RESULTS.json]

Rules: a table stands between the marks that name it, and what is outside of the marks is written by
hand; the results themselves are committed as docs/bench-results.json, and without an argument those
are taken again.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.plots import draw_comparison, draw_growth
from benchmarks.results import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOCS: Final = Path(__file__).parents[1] / "docs"
_RESULTS: Final = _DOCS / "bench-results.json"
_MARKED: Final = re.compile(
    r"(?P<begin><!-- bench: (?P<name>[^>]+) -->)\n.*?(?P<end><!-- end -->)", re.DOTALL
)


def put_into_page(page: str, found: Mapping[str, str]) -> str:
    """The page with the tables of a run between the marks of that name; others stay."""

    def replaced(match: re.Match[str]) -> str:
        table = found.get(match["name"])
        return match[0] if table is None else f"{match['begin']}\n{table}{match['end']}"

    return _MARKED.sub(replaced, page)


def main() -> None:
    """Runs from the command line."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else _RESULTS
    text = source.read_text(encoding="utf-8")
    _RESULTS.write_text(text, encoding="utf-8")
    results = json.loads(text)
    page = _DOCS / "performance.md"
    page.write_text(
        put_into_page(page.read_text(encoding="utf-8"), tables(results)), encoding="utf-8"
    )
    draw_comparison(results, _DOCS / "performance.svg")
    draw_growth(results, _DOCS / "performance-growth.svg")


if __name__ == "__main__":
    main()
