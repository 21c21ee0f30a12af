"""Pictures of a run of ``make bench``: how both brokers compare, and what grows with what.

Rules: every row of the run is drawn, those where Apache Kafka is ahead in a colour of their own;
the same results give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.results import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

AHEAD: Final = "#2a7f62"
BEHIND: Final = "#c8553d"
THEIRS: Final = "#8a8f98"
EVEN: Final = 0.03
"""Closer than this to 1 is even: neither is ahead."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "datacore",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_comparison(results: dict[str, Any], path: Path, only: Sequence[str] = ()) -> None:
    """DataCore's rate and CPU as multiples of Apache Kafka's, a bar for each row, or for some."""
    rows = [
        (row["load"] + (", flush" if durability == "flush" else ""), row)
        for by_durability in results["loads"].values()
        for durability, rows in by_durability.items()
        for row in rows
        if len(row["sides"]) == 2
        and (not only or (durability == "page-cache" and row["load"] in only))
    ]
    if not rows:
        return
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 1.3 + 0.22 * len(rows)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        labels = [label for label, _ in rows]
        # Who sends messages at a fixed rate gets that rate.
        rates = [None if row["unit"] == "msg" else ratio(row, "rate") for _, row in rows]
        _bars(axes[0], labels, rates, is_more_better=True)
        _bars(axes[1], labels, [ratio(row, "cpu_s") for _, row in rows], is_more_better=False)
        axes[0].set_title("Rate (longer is better)", fontsize=9)
        axes[1].set_title("Broker CPU for the same work (shorter is better)", fontsize=9)
        axes[0].set_ylim(len(rows) - 0.4, -0.6)
        figure.suptitle("DataCore, where Apache Kafka 4.1.1 is 1", fontsize=10)
        figure.supxlabel(results["machine"], fontsize=7, color=THEIRS)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(
    axes: Axes, labels: list[str], ratios: list[float | None], *, is_more_better: bool
) -> None:
    for at, value in enumerate(ratios):
        if value is None:
            continue
        is_even = abs(value - 1) <= EVEN
        is_ahead = (value > 1) == is_more_better
        colour = THEIRS if is_even else AHEAD if is_ahead else BEHIND
        axes.barh(at, value - 1, left=1, color=colour, height=0.7)
        axes.annotate(
            f"{value:.2f}",
            (value, at),
            xytext=(3 if value >= 1 else -3, 0),
            textcoords="offset points",
            ha="left" if value >= 1 else "right",
            va="center",
            fontsize=7,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    shown = [value for value in ratios if value]
    axes.set_xlim(min([*shown, 0.5]) / 1.6, max([*shown, 2.0]) * 1.6)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_growth(results: dict[str, Any], path: Path) -> None:
    """CPU and latency of a request as something grows, both sides."""
    growth = results.get("growth", {})
    if not growth:
        return
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.6 * len(growth), 5), layout="constrained")
        grid = figure.subplots(2, len(growth), squeeze=False)
        for column, (axis, rows) in enumerate(growth.items()):
            for line, (name, title) in enumerate(
                (("cpu_s", "CPU a request, us"), ("p50_ms", "p50, ms"))
            ):
                _lines(grid[line][column], rows, name, 1e6 if name == "cpu_s" else 1)
                grid[line][column].set_title(f"{title}\nby {axis}", fontsize=8)
        grid[0][0].legend(fontsize=7, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _lines(axes: Axes, rows: list[dict[str, Any]], name: str, scale: float) -> None:
    for at, side in enumerate(rows[0]["sides"]):
        sizes = [row["size"] for row in rows]
        values = [[part * scale for part in row["sides"][side][name]] for row in rows]
        colour = (AHEAD, THEIRS)[at]
        axes.plot(
            sizes, [value[0] for value in values], "o-", color=colour, markersize=3, label=side
        )
        axes.fill_between(
            sizes,
            [value[1] for value in values],
            [value[2] for value in values],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
