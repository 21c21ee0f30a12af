"""``datacore consume`` and ``produce``: where to begin and end, formats, transactions."""

import re

import pytest

from datacore.client.cluster import Cluster
from datacore.client.producer import Producer
from datacore.client.topics import create_topic
from datacore.record.records import Record
from tests.cli.command import datacore
from tests.cli.conftest import Command, Target


@pytest.fixture
def topic(cluster: Cluster, name: str) -> str:
    """Two partitions; the first one has a1 and a2, the second one b1, at 1000, 2000 and 3000 ms."""
    # The records are of 1970: retention would delete them in a long run.
    create_topic(cluster, name, partitions=2, configs={"retention.ms": "-1"})
    Producer(cluster, name, partition=0).write(
        [
            Record(timestamp_ms=1000, key=b"k", value=b"a1", headers=[("h", b"1"), ("i", None)]),
            Record(timestamp_ms=2000, key=None, value=b"a2"),
        ]
    )
    Producer(cluster, name, partition=1).write(
        [Record(timestamp_ms=3000, key=b"\xff", value=b"b1")]
    )
    return name


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (["--from-beginning"], "a1 a2 b1"),
        (["--offset", "earliest"], "a1 a2 b1"),
        (["--offset", "latest"], ""),
        (["--from-datetime", "1970-01-01T00:00:02"], "a2 b1"),
        (["--from-datetime", "9999"], ""),
        (["--partition", "0", "--offset", "1"], "a2"),
        (["--partition", "0", "--partition", "1", "--offset", "0"], "a1 a2 b1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_reading_begins_where_it_is_told_and_ends_at_the_end(
    call: Command, topic: str, begin: list[str], expected: str
) -> None:
    done = call("consume", topic, *begin, "--until-end")
    assert done.status == 0
    assert " ".join(sorted(done.lines())) == expected


def test_several_topics_are_read_by_name_and_by_pattern(call: Command, topic: str) -> None:
    other = f"{topic}-2"
    call("topic", "create", other)
    call("produce", other, "-m", "c1")
    by_name = call("consume", topic, other, "--from-beginning", "--until-end")
    assert sorted(by_name.lines()) == ["a1", "a2", "b1", "c1"]
    assert by_name.err == f"4 record(s) read from {topic}, {other}.\n"
    pattern = f"{topic}.*"
    group = ["--include", pattern, "--group", topic, "--from-beginning", "--until-end"]
    assert sorted(call("consume", *group).lines()) == ["a1", "a2", "b1", "c1"]
    nothing = call("consume", "--include", f"{topic}-x")
    assert (nothing.status, "no topic matches" in nothing.err) == (1, True)
    assert call("consume", topic, "--include", pattern).status == 2
    assert call("consume", "--include", "(").status == 2


def test_a_group_that_reads_until_the_end_has_no_lag(call: Command, topic: str) -> None:
    done = call("consume", topic, "--group", topic, "--from-beginning", "--until-end")
    assert sorted(done.lines()) == ["a1", "a2", "b1"]
    lags = call("group", "describe", topic, "-o", "json").json()
    assert [each["lag"] for each in lags] == [0, 0]


def test_a_template_says_how_a_record_is_written(call: Command, topic: str) -> None:
    template = r"%t/%p@%o %d [%k] %v {%h} %K %V%%\t\\\n"
    done = call(
        "consume", topic, "--partition", "0", "--offset", "0", "--until-end", "-f", template
    )
    assert done.lines() == [
        f"{topic}/0@0 1000 [k] a1 {{h=1,i=null}} 1 2%\t\\",
        f"{topic}/0@1 2000 [null] a2 {{}} -1 2%\t\\",
    ]


@pytest.mark.parametrize(
    ("encoding", "key", "value"), [("hex", "ff", "6231"), ("base64", "/w==", "YjE=")]
)
def test_keys_and_values_that_are_no_text_are_encoded(
    call: Command, topic: str, encoding: str, key: str, value: str
) -> None:
    done = call(
        *("consume", topic, "--partition", "1", "--offset", "0", "--until-end", "--print", "key"),
        *("--key-format", encoding, "--value-format", encoding),
    )
    assert done.lines() == [f"{key}\t{value}"]


def test_json_that_was_consumed_is_produced_as_it_was(
    target: Target, call: Command, topic: str
) -> None:
    read = ["consume", topic, "--from-beginning", "--until-end", "-o", "json"]
    lines = call(*read).lines()
    copy = f"{topic}-copy"
    call("topic", "create", copy)
    written = datacore(
        *("produce", copy, "--input-format", "json"),
        stdin="\n".join(lines).encode(),
        environment={"DATACORE_BOOTSTRAP_SERVER": target.bootstrap},
    )
    assert (written.status, written.err) == (0, f"3 record(s) written to {copy}.\n")
    copied = call("consume", copy, "--from-beginning", "--until-end", "-o", "json").lines()

    def content(line: str) -> str:
        return re.sub(r'^.*"timestamp_ms"', "", line)

    assert sorted(map(content, copied)) == sorted(map(content, lines))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--input-format", "json", "-m", "{"],
        ["--input-format", "json", "-m", '{"key": {"base64": "*"}}'],
        ["--input-format", "json", "-m", '{"headers": [["h"]]}'],
        ["--input-format", "json", "-m", "{}", "--key", "k"],
    ],
    ids=" ".join,
)
def test_json_that_is_no_record_is_status_2(
    call: Command, topic: str, arguments: list[str]
) -> None:
    assert call("produce", topic, *arguments).status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--print", "key", "-f", "%v"],
        ["--print", "key", "-o", "json"],
        ["-f", "%z"],
        ["-f", "%"],
        ["-f", r"\z"],
        ["--offset", "soon"],
        ["--offset", "1"],
        ["--offset", "earliest", "--from-beginning"],
        ["--from-datetime", "soon"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_what_to_read_is_status_2(call: Command, arguments: list[str]) -> None:
    assert call("consume", "t", *arguments).status == 2
