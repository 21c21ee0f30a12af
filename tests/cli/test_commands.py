"""The commands against a running broker: tables, JSON, exit statuses."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from datacore.cli.main import root
from datacore.testing import Broker
from tests.cli.command import Done, datacore
from tests.cli.conftest import Command, caller


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def run(broker: Broker) -> Command:
    """Runs a command against the broker: the real one where something is typed into it."""
    in_this_process = caller(broker.bootstrap_servers)

    def run_command(*arguments: str, stdin: bytes = b"") -> Done:
        if not stdin:
            return in_this_process(*arguments)
        address = {"DATACORE_BOOTSTRAP_SERVER": broker.bootstrap_servers}
        return datacore(*arguments, stdin=stdin, environment=address)

    return run_command


def test_a_topic_lives_from_create_to_delete(run: Command) -> None:
    assert run("topic", "create", "orders", "--partitions", "2").out == "Created topic orders.\n"
    (listed,) = run("topic", "list", "-o", "json").json()
    assert (listed["topic"], listed["partitions"]) == ("orders", 2)
    assert run("topic", "alter", "orders", "--partitions", "3").status == 0
    described = run("topic", "describe", "orders", "-o", "json").json()
    assert [each["partition"] for each in described] == [0, 1, 2]
    assert {(each["leader"], each["next_offset"]) for each in described} == {(1, 0)}
    assert run("topic", "delete", "orders").out == "Deleted topic orders.\n"
    assert run("topic", "list", "-o", "json").json() == []


def test_a_table_has_a_heading_and_a_line_a_row(run: Command) -> None:
    run("topic", "create", "orders", "--partitions", "2")
    assert [line.split() for line in run("topic", "list").lines()] == [
        ["TOPIC", "PARTITIONS", "REPLICAS", "INTERNAL"],
        ["orders", "2", "1", "no"],
    ]


def test_a_table_that_goes_to_a_file_is_never_cut(run: Command) -> None:
    name = "n" * 249
    run("topic", "create", name)
    assert name in run("topic", "list").out


def test_creating_twice_and_deleting_what_is_gone_may_be_fine(run: Command) -> None:
    assert run("topic", "create", "t").status == 0
    again = run("topic", "create", "t")
    assert (again.status, again.err.split(":")[1]) == (1, " TOPIC_ALREADY_EXISTS")
    assert run("topic", "create", "t", "--if-not-exists").status == 0
    assert run("topic", "delete", "t", "gone").status == 1
    assert run("topic", "delete", "gone", "--if-exists").status == 0


def test_a_topic_setting_is_shown_where_it_was_set(run: Command) -> None:
    assert run("topic", "create", "t", "--config", "retention.ms=1000").status == 0
    (shown,) = run("config", "describe", "--topic", "t", "-o", "json").json()
    assert (shown["name"], shown["value"], shown["source"]) == ("retention.ms", "1000", "topic")
    every = run("config", "describe", "--topic", "t", "--all", "-o", "json").json()
    assert "cleanup.policy" in {each["name"] for each in every}
    assert run("config", "describe", "--broker", "1", "--all", "-o", "json").json()


def test_lines_are_written_and_read_with_keys_headers_and_nulls(run: Command) -> None:
    written = run(
        "produce", "t", "--key-separator", ":", "--null-value", "-", "--header", "h=1",
        "--timestamp-ms", "1700000000000", "--codec", "zstd", stdin="a:1\nb:zwei ö\nc:-".encode(),
    )  # fmt: skip
    assert (written.status, written.err) == (0, "3 record(s) written to t.\n")
    read = run("consume", "t", "--from-beginning", "--max-messages", "3", "-o", "json")
    records = read.lines()
    assert records[0] == (
        '{"topic":"t","partition":0,"offset":0,"timestamp_ms":1700000000000,'
        '"key":"a","value":"1","headers":[["h","1"]]}'
    )
    assert '"value":"zwei ö"' in records[1]
    assert '"key":"c","value":null' in records[2]
    text = run("consume", "t", "--from-beginning", "--timeout-ms", "0", "--print", "key,offset")
    assert text.lines() == ["0\ta\t1", "1\tb\tzwei ö", "2\tc\tnull"]


def test_bytes_that_are_no_text_pass_untouched(run: Command) -> None:
    run("produce", "t", stdin=b"\xff\xfe\n")
    read = run("consume", "t", "--from-beginning", "--max-messages", "1", "-o", "json")
    assert '"value":{"base64":"//4="}' in read.out


def test_messages_of_the_command_line_go_to_the_partition_that_is_named(run: Command) -> None:
    run("topic", "create", "t", "--partitions", "2")
    assert run("produce", "t", "-m", "a", "-m", "b", "--partition", "1", "--acks", "1").status == 0
    read = run("consume", "t", "--partition", "1", "--offset", "1", "--timeout-ms", "0")
    assert read.lines() == ["b"]


def test_a_group_goes_on_where_it_was_and_shows_its_lag(run: Command) -> None:
    run("produce", "t", stdin=b"a\nb\nc\n")
    first = run("consume", "t", "--group", "g", "--from-beginning", "--max-messages", "2")
    assert first.lines() == ["a", "b"]
    assert run("group", "list", "-o", "json").json()[0]["group"] == "g"
    (lag,) = run("group", "describe", "g", "-o", "json").json()
    assert (lag["committed_offset"], lag["next_offset"], lag["lag"]) == (2, 3, 1)
    assert run("group", "describe", "g", "--members", "-o", "json").json() == []
    second = run("consume", "t", "--group", "g", "--max-messages", "1")
    assert second.lines() == ["c"]
    unknown = run("group", "describe", "unknown")
    assert unknown.status == 1
    assert unknown.err.startswith("Error: GROUP_ID_NOT_FOUND")


def test_offsets_are_listed_by_every_kind_of_time(run: Command) -> None:
    run("produce", "t", "--timestamp-ms", "1000", stdin=b"a\nb\n")
    run("produce", "t", "--timestamp-ms", "2000", stdin=b"c\n")

    def offset(time: str) -> object:
        return run("offset", "list", "--topic", "t", "--time", time, "-o", "json").json()[0][
            "offset"
        ]

    assert [offset(time) for time in ("earliest", "latest", "max-timestamp")] == [0, 3, 2]
    assert [offset("1500"), offset("1970-01-01T00:00:02Z"), offset("2001")] == [2, 2, None]
    assert run("offset", "list", "--topic", "t", "--time", "soon").status == 2


def test_the_cluster_and_its_health_are_told(run: Command, broker: Broker) -> None:
    (described,) = run("cluster", "describe", "-o", "json").json()
    assert (described["port"], described["controller"]) == (broker.port, True)
    apis = run("cluster", "apis", "-o", "json").json()
    assert "Produce" in {each["api"] for each in apis}
    assert run("health").status == 0
    broker.stop()
    unhealthy = datacore("health", "--bootstrap-server", "127.0.0.1:1")
    assert unhealthy.status == 1
    assert unhealthy.err == (
        "Error: no broker reached at 127.0.0.1:1: Connection refused: "
        "is the broker running, and --bootstrap-server right?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["topic", "create"],
        ["topic", "create", "t", "--partitions", "0"],
        ["topic", "create", "t", "--config", "retention.ms"],
        ["produce", "t", "--codec", "rar"],
        ["produce", "t", "--key", "a", "--key-separator", ":"],
        ["produce", "t", "-m", "a", "--header", "h"],
        ["produce", "t", "-m", "a", "--key-separator", ":"],
        ["consume", "t", "--print", "colour"],
        ["consume", "t", "--offset", "1"],
        ["consume", "t", "--group", "g", "--partition", "0"],
        ["config", "describe"],
        ["health", "--bootstrap-server", "127.0.0.1:x"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_arguments_is_status_2(broker: Broker, arguments: list[str]) -> None:
    """In this process, for what is looked at is the parsing; others start the real command."""
    environment = {"DATACORE_BOOTSTRAP_SERVER": broker.bootstrap_servers}
    done = CliRunner(env=environment).invoke(root, arguments)
    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_an_unknown_topic_is_status_1_with_what_to_do_next(run: Command) -> None:
    done = run("consume", "unknown")
    assert done.status == 1
    assert done.err == (
        "Error: UNKNOWN_TOPIC_OR_PARTITION: topic unknown: "
        "`datacore topic list` shows those that exist\n"
    )
