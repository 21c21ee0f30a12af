"""The table and the JSON of results; a client that was not run must be in both."""

import json
from pathlib import Path

import pytest

from tests.compat.environments import NotRunError, PythonPackages, SystemProgram
from tests.compat.results import Result, Results

_MISSING = "kcat is missing: no kcat on the PATH"
_RESULTS = Results(
    "127.0.0.1:9092",
    [
        Result("aiokafka", "0.14.0", "codecs", "passed", 1.25),
        Result("aiokafka", "0.14.0", "values", "failed", 0.5, "it said no"),
        Result("kcat", "system", "codecs", "not run", 0.0, _MISSING),
        Result("kcat", "system", "values", "not run", 0.0, _MISSING),
    ],
)


def test_a_client_that_was_not_run_is_listed_once_with_its_reason() -> None:
    lines = list(_RESULTS.table())

    assert [line.split() for line in lines[:3]] == [
        ["codecs", "values"],
        ["aiokafka", "0.14.0", "ok", "1.2", "s", "FAILED", "0.5", "s"],
        ["kcat", "system", "not", "run", "0.0", "s", "not", "run", "0.0", "s"],
    ]
    assert lines[3:] == [
        f"NOT RUN: kcat system: {_MISSING}",
        "2 clients, 2 scenarios: 1 passed, 1 failed, 2 not run",
    ]


def test_every_result_is_written_with_client_version_scenario_and_outcome(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "results.json"

    _RESULTS.write(path)

    written = json.loads(path.read_text())
    assert written["broker"] == "127.0.0.1:9092"
    assert [(r["client"], r["scenario"], r["outcome"]) for r in written["results"]] == [
        ("aiokafka", "codecs", "passed"),
        ("aiokafka", "values", "failed"),
        ("kcat", "codecs", "not run"),
        ("kcat", "values", "not run"),
    ]


def test_a_later_run_replaces_what_it_asked_again_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    _RESULTS.write(path)
    again = Result("aiokafka", "0.14.0", "values", "passed", 0.4, test="t[a]", code="c2")

    Results(_RESULTS.broker, [again]).write(path)

    known = Results.read(path)
    assert [r.outcome for r in known.results] == ["passed", "passed", "not run", "not run"]
    assert known.passed("c2") == {"t[a]"}
    assert known.passed("c1") == set()


def test_results_of_another_broker_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    _RESULTS.write(path)

    Results("another", [_RESULTS.results[0]]).write(path)

    assert Results.read(path) == Results("another", [_RESULTS.results[0]])


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotRunError, match="no kcat on the PATH"):
        SystemProgram("kcat", "kcat").prepare("kcat", "system")


def test_a_client_of_older_pythons_is_not_run_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotRunError, match=r"no Python below 3\.9"):
        PythonPackages("kafka_python", ("kafka-python==1.4.7",), (3, 9)).prepare("k", "1.4.7")
