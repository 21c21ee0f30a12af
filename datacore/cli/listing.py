"""Listings: a table for people, JSON for programs (``-o json``), from the same rows.

A command declares what it lists. JSON is one array of objects whose keys are the declared ones,
in snake case and with units last; a listing of one thing is still an array. Keys may be added in a
later release, none changes its meaning. A table shows what people read faster: times in UTC
instead of milliseconds, sizes in KiB and up. rich is imported when a table is drawn, and only then.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeVar

import click
import msgspec

from datacore.cli.wording import size, utc

Output: TypeAlias = Literal["table", "json"]
Cell: TypeAlias = str | int | float | bool | Sequence[str] | Sequence[int] | None
Row: TypeAlias = Mapping[str, Cell]
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_WIDTH_OF_A_FILE: Final = 10_000
_SIZE: Final = "_bytes"


class Listing:
    """What a command lists: the keys of its JSON objects, which are the columns of its table.

    Attributes:
        columns: What each key is, in words for the documentation.
        when: Which option asks for this listing, where a command has several.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        *,
        only_json: Collection[str] = (),
        times: Collection[str] = (),
        when: str = "",
    ) -> None:
        """Declares keys.

        Args:
            columns: See above.
            only_json: Those that are no columns of the table, because it would be too wide.
            times: Those that are milliseconds since 1970.
            when: See above.
        """
        self.columns = dict(columns)
        self.when = when
        self._only_json = frozenset(only_json)
        self._times = frozenset(times)

    def show(self, rows: Iterable[Row], output: Output) -> None:
        """Prints rows, all of which have these columns."""
        ordered = [{column: row[column] for column in self.columns} for row in rows]
        if output == "json":
            click.echo(msgspec.json.format(msgspec.json.encode(ordered), indent=2))
        else:
            shown = [each for each in self.columns if each not in self._only_json]
            cells = [[self._cell(row, each) for each in shown] for row in ordered]
            to_the_right = [self._is_number(ordered, each) for each in shown]
            _show_table(list(map(self._heading, shown)), cells, to_the_right)

    def _is_number(self, rows: Iterable[Row], column: str) -> bool:
        return column not in self._times and any(isinstance(r[column], int | float) for r in rows)

    def _heading(self, column: str) -> str:
        shown = column.removesuffix("_ms") if column in self._times else column
        return shown.removesuffix(_SIZE).replace("_", " ").upper()

    def _cell(self, row: Row, column: str) -> Cell:
        """A cell as a table shows it."""
        cell = row[column]
        if isinstance(cell, int) and column in self._times:
            return utc(cell)
        if isinstance(cell, int) and column.endswith(_SIZE):
            return size(cell)
        return cell


class OutputOption(click.Option):
    """``-o table|json``, which knows what its command lists."""

    def __init__(self, *args: Any, listings: Sequence[Listing] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.listings = tuple(listings)


def output_option(*listings: Listing) -> Callable[[CommandT], CommandT]:
    """Adds ``-o table|json`` to a command that shows one of these listings."""
    return click.option(
        "-o",
        "--output",
        cls=OutputOption,
        listings=listings,
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table for people, JSON for programs.",
    )


def _show_table(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], to_the_right: Sequence[bool]
) -> None:
    from rich.console import Console  # noqa: PLC0415  # a third of our start-up time
    from rich.table import Table  # noqa: PLC0415  # likewise

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, is_right in zip(headings, to_the_right, strict=True):
        table.add_column(heading, justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    console.print(table)


def _text(cell: Cell) -> str:
    match cell:
        case None | "":
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:,.2f}".removesuffix(".00")
        case str() | int():
            return str(cell)
        case _:
            return ",".join(map(str, cell)) or "-"
