"""Listings: a table for people, JSON for programs (``-o json``), from the same rows.

JSON is one array of objects whose keys are the table's columns in snake case; a listing of one
thing is still an array. rich is imported when a table is drawn, and only then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import click
import msgspec

Output: TypeAlias = Literal["table", "json"]
Cell: TypeAlias = str | int | bool | Sequence[str] | Sequence[int] | None
Row: TypeAlias = Mapping[str, Cell]
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_WIDTH_OF_A_FILE = 10_000


def output_option(command: CommandT) -> CommandT:
    """Adds ``-o table|json``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table for people, JSON for programs.",
    )(command)


def show(rows: Iterable[Row], columns: Sequence[str], output: Output) -> None:
    """Prints rows, all of which have these columns."""
    ordered = [{column: row[column] for column in columns} for row in rows]
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(ordered), indent=2))
    else:
        _show_table(ordered, columns)


def _show_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  # a third of our start-up time
    from rich.table import Table  # noqa: PLC0415  # likewise

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = any(isinstance(row[column], int) for row in rows)
        table.add_column(
            column.replace("_", " ").upper(),
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    console.print(table)


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case str() | int():
            return str(cell)
        case _:
            return ",".join(map(str, cell))
