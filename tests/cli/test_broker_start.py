"""``datacore broker start`` as its operator sees it: ready line, signals, mistakes, imports."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from datacore.testing import BrokerProcess
from tests.cli.command import command_line, datacore, process_environment

QUIET_START = ["broker", "start", "--storage-engine", "memory", "--broker-port", "0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_when_ready_and_ends_with_status_0(number: signal.Signals) -> None:
    with subprocess.Popen(
        command_line(*QUIET_START),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=process_environment(),
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().decode()
        matched = re.fullmatch(
            r"DataCore \S+ ready: PLAINTEXT://127\.0\.0\.1:(\d+) \(memory engine\)\n", ready
        )
        assert matched, ready
        socket.create_connection(("127.0.0.1", int(matched[1]))).close()
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, b"")


def test_every_listener_is_in_the_ready_line_and_answers() -> None:
    listeners = "INSIDE://127.0.0.1:0,OUTSIDE://[::1]:0"
    with BrokerProcess(storage_engine="memory", listeners=listeners) as broker:
        for address in broker.bootstrap_servers.split(","):
            assert datacore("health", "--bootstrap-server", address).status == 0
        assert "[::1]:" in broker.bootstrap_servers


def test_flags_win_over_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[broker]\nnum_partitions = 0\n")
    done = datacore("broker", "start", "--config", str(file))
    assert (done.status, done.err) == (
        2,
        f"Error: {file}: broker.num_partitions: expected int >= 1, got 0\n",
    )
    environment = {"DATACORE_STORAGE__ENGINE": "floppy", "DATACORE_CONFIG": str(tmp_path / "no")}
    done = datacore("broker", "start", environment=environment)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "expected a readable TOML file" in done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--broker-port", "x"], "flag: --broker-port: expected int, got 'x'"),
        (["--storage-engine", "s4"], "flag: --storage-engine: expected one of memory, disk"),
        (["--kafka", "log.retention.ms"], "flag: --kafka: expected NAME=VALUE"),
        (["--kafka", "no.such=1"], "flag: --kafka no.such: expected the name of one of Kafka's"),
        (["--kafka", "log.retention.ms=x"], "flag: --kafka log.retention.ms: expected what Kafka"),
        (["--logging-output", "/dev/null/x"], "logging.output: expected a file to write to"),
    ],
)
def test_a_mistake_is_status_2_and_one_sentence(arguments: list[str], complaint: str) -> None:
    done = datacore(*QUIET_START, *arguments)
    assert done.status == 2
    assert complaint in done.err
    assert done.err.count("\n") == 1


def test_a_port_that_is_taken_is_status_1_and_names_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = datacore(*QUIET_START[:-1], str(port))
    assert done.status == 1
    assert str(port) in done.err
    assert "--broker-port" in done.err


def test_log_lines_may_be_json_in_a_file(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    with BrokerProcess(
        storage_engine="memory", logging_output=log, logging_format="json", logging_level="debug"
    ) as broker:
        with socket.create_connection(("127.0.0.1", broker.port)) as garbage:
            garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert garbage.recv(1) == b""
        broker.stop()
        assert broker.log() == ""
    assert '"level":"' in log.read_text()


def test_every_key_of_the_configuration_is_a_flag() -> None:
    flags = datacore("broker", "start", "--help").out
    for flag in ("--broker-port", "--data-dir", "--storage-engine", "--no-disk-sync", "--kafka"):
        assert flag in flags


def test_starting_a_broker_imports_nothing_that_is_slow() -> None:
    """What tables and codecs need would cost more than the start itself."""
    program = (
        "import sys, datacore.cli.main, datacore.cli.broker\n"
        "print(*sorted({'rich', 'pydantic', 'zstandard', 'construct', 'datacore.client',"
        " 'http', 'email'} & sys.modules.keys()))"
    )
    environment = process_environment()
    python = command_line()[0]
    done = subprocess.run([python, "-c", program], capture_output=True, env=environment, check=True)
    assert done.stdout == b"\n"


def test_help_names_every_command_and_imports_none() -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom datacore.cli.main import root\n"
        "print(CliRunner().invoke(root, ['--help']).output)\n"
        "assert not {'datacore.cli.topic', 'datacore.cli.broker'} & sys.modules.keys()"
    )
    environment = process_environment()
    python = command_line()[0]
    done = subprocess.run([python, "-c", program], capture_output=True, env=environment, check=True)
    for command in (b"broker", b"topic", b"produce", b"consume", b"group", b"offset", b"health"):
        assert command in done.stdout
