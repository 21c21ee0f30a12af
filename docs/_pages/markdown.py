"""Markdown, as far as the generated pages need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by `make docs`: change what it is read off, not this page. -->\n"


def code(text: object) -> str:
    """Inline code that is safe in a cell of a table; nothing for nothing."""
    shown = str(text).replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, with an empty line behind it."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


def joined(paragraphs: Iterable[str]) -> str:
    """A page of paragraphs and tables, with one empty line between two of them."""
    return "\n\n".join(paragraph.strip("\n") for paragraph in paragraphs) + "\n"
