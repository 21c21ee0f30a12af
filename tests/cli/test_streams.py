"""Commands that run for as long as somebody types or reads."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.consumer import Consumer
from datacore.client.producer import Producer
from datacore.client.subscription import TopicPartition
from datacore.record.records import Record
from datacore.testing import Broker
from tests.cli.command import command_line, process_environment


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Broker() as broker, Cluster(broker.bootstrap_servers) as connected:
        admin.create_topic(connected, "t", partitions=1)
        yield connected


@contextmanager
def running(cluster: Cluster, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that goes on until told otherwise."""
    process = subprocess.Popen(
        command_line(*arguments, "--bootstrap-server", cluster.any_broker().address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=process_environment(),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_line_is_written_when_it_ends_and_not_when_the_input_does(cluster: Cluster) -> None:
    consumer = Consumer(cluster, "t", start=admin.EARLIEST)
    with running(cluster, "produce", "t") as producing:
        assert producing.stdin is not None
        producing.stdin.write(b"first\nsec")
        producing.stdin.flush()
        while not (received := consumer.poll(max_wait_ms=500, max_records=9)):
            assert producing.poll() is None
        assert [each.record.value for each in received] == [b"first"]
        _, errors = producing.communicate(b"ond", timeout=30)
        assert (producing.returncode, errors) == (0, b"2 record(s) written to t.\n")
    (last,) = consumer.poll(max_wait_ms=500, max_records=9)
    assert last.record.value == b"second"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_reader_that_is_stopped_commits_and_leaves(
    cluster: Cluster, number: signal.Signals
) -> None:
    Producer(cluster, "t").write([Record(timestamp_ms=1, value=b"a")])
    with running(cluster, "consume", "t", "--group", "g", "--from-beginning") as consuming:
        assert consuming.stdout is not None
        assert consuming.stdout.readline() == b"a\n"
        consuming.send_signal(number)
        _, errors = consuming.communicate(timeout=30)
        assert (consuming.returncode, errors) == (0, b"1 record(s) read from t.\n")
    assert admin.group_offsets(cluster, "g") == {TopicPartition("t", 0): 1}
    assert admin.describe_group(cluster, "g").members == []


def test_a_load_that_is_stopped_shows_what_was_done(cluster: Cluster) -> None:
    load = ["bench", "produce", "--topic", "t", "--throughput", "500", "--batch-records", "1"]
    with running(cluster, *load, "-o", "json") as loading:
        while admin.list_offsets(cluster, "t", admin.LATEST)[0].offset < 5:
            assert loading.poll() is None
        loading.send_signal(signal.SIGINT)
        out, errors = loading.communicate(timeout=30)
        assert (loading.returncode, errors) == (0, b"")
    (row,) = msgspec.json.decode(out)
    assert 5 <= row["records"] < 1_000_000


def test_a_reader_whose_output_nobody_wants_any_more_ends_quietly(cluster: Cluster) -> None:
    Producer(cluster, "t").write([Record(timestamp_ms=1, value=b"a")])
    with running(cluster, "consume", "t", "--from-beginning") as consuming:
        assert consuming.stdout is not None
        assert consuming.stdout.readline() == b"a\n"
        consuming.stdout.close()
        Producer(cluster, "t").write([Record(timestamp_ms=1, value=b"b")])
        assert consuming.stderr is not None
        errors = consuming.stderr.read()
        assert consuming.wait(30) == 1
        assert b"Traceback" not in errors
