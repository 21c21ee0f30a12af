"""What the rounds of a load come to, and the tables of a whole run as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from benchmarks.load import median_and_spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.load import Load, Measured

_MARKED: Final = re.compile(
    r"(?P<begin><!-- bench: (?P<name>[^>]+) -->)\n.*?(?P<end><!-- end -->)", re.DOTALL
)
_PERCENTILES: Final = (0.5, 0.99, 0.999)

Row = dict[str, Any]


def row_of(load: Load, by_side: dict[str, list[Measured]]) -> Row:
    """What the rounds of one load come to."""
    row: Row = {"load": load.name, "unit": load.unit, "sides": {}}
    for name, runs in by_side.items():
        figures: dict[str, Any] = {
            "rate": median_and_spread([run.work / run.elapsed_s for run in runs]),
            "cpu_s": median_and_spread([run.cpu.total_s / run.work for run in runs]),
            "user_cpu_s": median_and_spread([run.cpu.user_s / run.work for run in runs]),
        }
        if runs[0].latencies_ms:
            for share in _PERCENTILES:
                figures[f"p{share * 100:g}_ms"] = median_and_spread(
                    [run.percentile(share) for run in runs]
                )
        row["sides"][name] = figures
    return row


def rows_table(rows: Sequence[Row]) -> str:
    """Loads, both sides, and how they compare."""
    names = list(rows[0]["sides"])
    head = ["load", *(cell for name in names for cell in (name, "CPU")), "rate, CPU"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        figures = [row["sides"][name] for name in names]
        cells = [cell for each in figures for cell in _cells(row["unit"], each)]
        lines.append([row["load"], *cells, _ratios(figures)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(unit: str, figures: dict[str, Any]) -> list[str]:
    rate, low, high = figures["rate"]
    cpu, cpu_low, cpu_high = figures["cpu_s"]
    user = figures["user_cpu_s"][0]
    if unit == "GB":
        return [
            f"{rate * 1000:.0f} MB/s ({low * 1000:.0f}-{high * 1000:.0f})",
            f"{cpu:.2f} s/GB ({cpu_low:.2f}-{cpu_high:.2f}; user {user:.2f})",
        ]
    latency = ", ".join(f"{each} {figures[f'{each}_ms'][0]:.2f}" for each in _shares(figures))
    speed = f"{rate / 1000:.1f}k {unit}/s; " if unit == "req" else ""
    low_us, high_us = cpu_low * 1e6, cpu_high * 1e6
    return [
        f"{speed}{latency} ms",
        f"{cpu * 1e6:.0f} us ({low_us:.0f}-{high_us:.0f}; user {user * 1e6:.0f})",
    ]


def _shares(figures: dict[str, Any]) -> Iterator[str]:
    return (name.removesuffix("_ms") for name in figures if name.endswith("_ms"))


def ratio(row: Row, figure: str) -> float | None:
    """DataCore's figure divided by Apache Kafka's."""
    ours, theirs = (each.get(figure) for each in row["sides"].values())
    return ours[0] / theirs[0] if ours and theirs and theirs[0] else None


def _ratios(figures: Sequence[dict[str, Any]]) -> str:
    if len(figures) != 2:
        return ""
    ours, theirs = figures
    return ", ".join(
        f"{ours[name][0] / theirs[name][0]:.2f}" if theirs[name][0] else "-"
        for name in ("rate", "cpu_s")
    )


def figures_table(by_side: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Figures that are no loads, a column a side."""
    names = list(by_side)
    lines = [["", *names], ["---"] * (len(names) + 1)]
    for figure in by_side[names[0]]:
        cells = [_spread(by_side[name][figure]) for name in names]
        lines.append([figure, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _spread(values: Sequence[float]) -> str:
    median, low, high = values
    shown = f"{median:.0f}" if median >= 100 else f"{median:.2f}"
    return shown if low == high else f"{shown} ({low:.2f}-{high:.2f})"


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Every table of a run, by the name of its mark."""
    found = {"machine": results["machine"] + "\n"}
    for section, by_durability in results.get("loads", {}).items():
        for durability, rows in by_durability.items():
            found[f"{section} {durability}"] = rows_table(rows)
    for section, by_side in results.get("figures", {}).items():
        found[section] = figures_table(by_side)
    for section in ("codecs", "processes"):
        if section in results:
            found[section] = _printed(results[section])
    return found


def merged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several runs as one; what more than one has measured is the last one's."""
    whole: dict[str, Any] = {}
    for run in runs:
        for section, found in run.items():
            if section == "loads":
                _merge_loads(whole.setdefault("loads", {}), found)
            elif isinstance(found, dict):
                whole.setdefault(section, {}).update(found)
            else:
                whole[section] = found
    return whole


def _merge_loads(whole: dict[str, Any], found: Mapping[str, Mapping[str, Sequence[Row]]]) -> None:
    for section, by_durability in found.items():
        for durability, rows in by_durability.items():
            kept = whole.setdefault(section, {}).setdefault(durability, [])
            places = {row["load"]: at for at, row in enumerate(kept)}
            for row in rows:
                if row["load"] in places:
                    kept[places[row["load"]]] = row
                else:
                    kept.append(row)


def _printed(text: str) -> str:
    """What a benchmark that stands for itself has printed: its table, or else as it is."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    return "\n".join(table or ["```text", *text.strip().splitlines(), "```"]) + "\n"


def put_into_page(page: str, found: Mapping[str, str]) -> str:
    """The page with the tables of a run between the marks of that name; others stay."""

    def replaced(match: re.Match[str]) -> str:
        table = found.get(match["name"])
        return match[0] if table is None else f"{match['begin']}\n{table}{match['end']}"

    return _MARKED.sub(replaced, page)
