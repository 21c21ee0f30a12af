"""The commands of the first hour against two releases of Apache Kafka, and where keys go."""

from collections.abc import Iterator

import pytest

from tests.cli.command import Done, datacore
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module", params=["3.9.1", "4.1.1"])
def kafka(request: pytest.FixtureRequest) -> Iterator[ApacheKafka]:
    with ApacheKafka(request.param) as running:
        yield running


def test_every_command_works_against_apache_kafka(kafka: ApacheKafka) -> None:
    def run(*arguments: str, stdin: bytes = b"") -> Done:
        address = {"DATACORE_BOOTSTRAP_SERVER": kafka.bootstrap}
        done = datacore(*arguments, stdin=stdin, environment=address)
        assert done.status == 0, done.err
        return done

    assert "is healthy" in run("health").out
    assert run("cluster", "describe", "-o", "json").json()[0]["port"] == kafka.port
    run("topic", "create", "t", "--partitions", "2", "--config", "retention.ms=100000")
    run("topic", "alter", "t", "--partitions", "3")
    assert run("topic", "list", "-o", "json").json()[0]["partitions"] == 3
    shown = run("config", "describe", "--topic", "t", "-o", "json").json()
    assert ("retention.ms", "100000", "topic") in {
        (each["name"], each["value"], each["source"]) for each in shown
    }
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        run("produce", "t", "--codec", codec, "--partition", "0", stdin=f"{codec}\n".encode())
    read = run("consume", "t", "--group", "g", "--from-beginning", "--max-messages", "5")
    assert read.lines() == ["none", "gzip", "snappy", "lz4", "zstd"]
    described = run("group", "describe", "g", "-o", "json").json()
    assert {(each["partition"], each["lag"]) for each in described} >= {(0, 0)}
    assert "g" in {each["group"] for each in run("group", "list", "-o", "json").json()}
    offsets = run("offset", "list", "--topic", "t", "--time", "latest", "-o", "json").json()
    assert [each["offset"] for each in offsets] == [5, 0, 0]
    run("topic", "delete", "t")


def test_keys_go_where_kafkas_own_producer_sends_them(kafka: ApacheKafka) -> None:
    address = {"DATACORE_BOOTSTRAP_SERVER": kafka.bootstrap}
    lines = "".join(f"key-{n}:theirs\n" for n in range(50)).encode()
    datacore("topic", "create", "keyed", "--partitions", "7", environment=address)
    is_older = kafka.version.startswith("3.")
    kafka.run_tool(
        "kafka.tools.ConsoleProducer" if is_older else "org.apache.kafka.tools.ConsoleProducer",
        *("--bootstrap-server", kafka.bootstrap, "--topic", "keyed"),
        *("--property", "parse.key=true", "--property", "key.separator=:"),
        stdin=lines,
    )
    ours = lines.replace(b"theirs", b"ours")
    datacore("produce", "keyed", "--key-separator", ":", stdin=ours, environment=address)
    read = datacore(
        "consume", "keyed", "--from-beginning", "--max-messages", "100", "--print",
        "partition,key", environment=address,
    )  # fmt: skip
    by_writer: dict[str, set[tuple[str, str]]] = {}
    for line in read.lines():
        partition, key, writer = line.split("\t")
        by_writer.setdefault(writer, set()).add((key, partition))
    assert len(by_writer["theirs"]) == 50
    assert by_writer["ours"] == by_writer["theirs"]
