"""What a run measured becomes rows and tables."""

from benchmarks.load import Load, Measured, Stage
from benchmarks.process_usage import CpuTime
from benchmarks.results import merged, put_into_page, ratio, row_of, rows_table, tables


def _run(stage: Stage) -> Measured:
    raise AssertionError(stage)


def _rounds(*elapsed_s: float) -> list[Measured]:
    return [Measured(2.0, each, CpuTime(each / 2, 1, 1), [1.0, 2.0, 9.0]) for each in elapsed_s]


ROW = row_of(
    Load("produce", "GB", _run), {"DataCore": _rounds(1, 2, 4), "Apache Kafka": _rounds(4, 4, 8)}
)


def test_a_row_holds_median_least_and_most() -> None:
    assert ROW["sides"]["DataCore"]["rate"] == (1.0, 0.5, 2.0)
    assert ROW["sides"]["DataCore"]["cpu_s"] == (0.5, 0.25, 1.0)
    assert ROW["sides"]["DataCore"]["user_cpu_s"] == (0.25, 0.125, 0.5)
    assert ROW["sides"]["DataCore"]["p99_ms"] == (9.0, 9.0, 9.0)


def test_a_row_compares_both_sides() -> None:
    assert ratio(ROW, "rate") == 2.0
    assert ratio(ROW, "cpu_s") == 0.5


def test_a_table_has_a_line_for_each_row() -> None:
    table = rows_table([ROW])
    assert table.count("\n") == 3
    assert "1000 MB/s (500-2000) | 0.50 s/GB (0.25-1.00; user 0.25)" in table
    assert table.endswith("| 2.00, 0.50 |\n")


def test_tables_are_named_for_their_sections() -> None:
    figures = {"DataCore": {"start, s": (0.25, 0.25, 0.25)}}
    results = {
        "machine": "a machine",
        "loads": {"produce": {"flush": [ROW]}},
        "figures": {"life": figures},
    }
    found = tables(results)
    assert list(found) == ["machine", "produce flush", "life"]
    assert "| start, s | 0.25 |" in found["life"]


def test_tables_go_between_their_marks_and_nothing_else_changes() -> None:
    page = (
        "By hand.\n<!-- bench: life -->\nold\nrows\n<!-- end -->\nMore.\n"
        "<!-- bench: growth -->\nkept\n<!-- end -->\n"
    )
    assert put_into_page(page, {"life": "new\n"}) == (
        "By hand.\n<!-- bench: life -->\nnew\n<!-- end -->\nMore.\n"
        "<!-- bench: growth -->\nkept\n<!-- end -->\n"
    )


def test_what_a_benchmark_has_printed_is_its_table_or_stays_as_it_is() -> None:
    printed = {
        "machine": "a machine",
        "processes": "a machine\n\n| a |\n| --- |\n",
        "codecs": "1 us\n",
    }
    found = tables(printed)
    assert found["processes"] == "| a |\n| --- |\n"
    assert found["codecs"] == "```text\n1 us\n```\n"


def test_of_several_runs_the_last_one_tells_of_what_all_have_measured() -> None:
    consume = {**ROW, "load": "consume"}
    again = {**ROW, "unit": "req"}
    first = {"machine": "a", "loads": {"bulk": {"flush": [ROW, consume]}}, "figures": {"life": 1}}
    second = {"machine": "b", "loads": {"bulk": {"flush": [again]}}, "figures": {"sides": 2}}
    assert merged([first, second]) == {
        "machine": "b",
        "loads": {"bulk": {"flush": [again, consume]}},
        "figures": {"life": 1, "sides": 2},
    }
