"""``datacore bench``: a load of a few records; how fast is not looked at."""

import pytest

from tests.cli.command import datacore
from tests.cli.conftest import Command, Target

LATENCY = {"avg_ms", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"}
RATE = {"elapsed_s", "records_per_s", "mib_per_s"}


def test_the_command_itself_writes_reads_and_prints_tables(target: Target, name: str) -> None:
    environment = {"DATACORE_BOOTSTRAP_SERVER": target.bootstrap}
    datacore("topic", "create", name, "--partitions", "2", environment=environment)
    load = ["--topic", name, "--num-records", "1200"]
    written = datacore("bench", "produce", *load, environment=environment)
    assert (written.status, written.err) == (0, "")
    assert written.lines()[1].split()[0] == "1200"
    read = datacore("bench", "consume", *load, environment=environment)
    assert (read.status, read.err) == (0, "")
    assert read.lines()[1].split()[0] == "1200"


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_what_was_written_is_all_there(call: Command, name: str, acks: str) -> None:
    call("topic", "create", name)
    (row,) = call(
        *("bench", "produce", "--topic", name, "--num-records", "250", "--batch-records", "100"),
        *("--acks", acks, "--codec", "lz4", "--throughput", "100000", "-o", "json"),
    ).json()
    assert row["records"] == 250
    assert row.keys() == {"records", *RATE, *LATENCY}
    (read,) = call(
        *("bench", "consume", "--topic", name, "--num-records", "250", "-o", "json")
    ).json()
    assert read["records"] == 250
    assert read.keys() == {"records", *RATE}


def test_percentiles_grow_and_the_longest_is_the_last(call: Command, name: str) -> None:
    call("topic", "create", name)
    (row,) = call(
        *("bench", "latency", "--topic", name, "--num-records", "20", "-o", "json")
    ).json()
    assert row.keys() == {"records", *LATENCY}
    ordered = [row[key] for key in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms")]
    assert ordered == sorted(ordered)
    assert 0 < row["avg_ms"] <= row["max_ms"]


def test_an_empty_topic_is_a_failure_and_not_a_rate(call: Command, name: str) -> None:
    call("topic", "create", name)
    done = call("bench", "consume", "--topic", name, "--timeout", "1")
    assert (done.status, "nothing came" in done.err) == (1, True)
    assert call("bench", "produce", "--topic", "no.such.topic").status == 1


def test_a_wait_ends_with_the_answer_and_not_with_the_next_request(
    call: Command, name: str
) -> None:
    """At four records a second, five in flight would make half a second of a millisecond."""
    call("topic", "create", name)
    (row,) = call(
        *("bench", "produce", "--topic", name, "--num-records", "4", "--batch-records", "1"),
        *("--throughput", "4", "-o", "json"),
    ).json()
    assert row["elapsed_s"] > 0.7
    assert row["p50_ms"] < 250
