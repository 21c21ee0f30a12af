"""Writes the pages of docs/ that can be read off the code.

    python -m docs.generate [--check]

Rules: the same code gives the same bytes; nothing that varies with machine or time goes in.
``--check`` writes nothing and fails, naming them, when pages are not what would be written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs._pages.command_line import command_line
from docs._pages.compatibility import compatibility
from docs._pages.configuration import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DOCS: Final = Path(__file__).parent
_PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": command_line,
    "compatibility.md": compatibility,
    "configuration.md": configuration,
}


def stale_pages(folder: Path = _DOCS) -> list[str]:
    """The names of the pages in ``folder`` that are missing or not what would be written."""
    return [
        name
        for name, page in _PAGES.items()
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != page()
    ]


def write_pages(folder: Path = _DOCS) -> None:
    """Writes every generated page into ``folder``."""
    for name, page in _PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def main() -> int:
    """Runs from the command line; 1 when ``--check`` finds stale pages."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    if not parser.parse_args().check:
        write_pages()
        return 0
    stale = stale_pages()
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what the code says: run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
