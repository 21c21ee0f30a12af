"""Clients push their metrics as Kafka's own tool has asked them to (KIP-714)."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import java_command

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Kafka's tools not run: java or mvn is missing",
    ),
]

ROOT = Path(__file__).parents[2]
PUSHED = re.compile(r"client (\S+) \(\S+\) pushed (\d+) points of (\d+) metrics")


def run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    with BrokerProcess(logging_level="debug") as broker:
        yield broker


def client_metrics(broker: BrokerProcess, *arguments: str) -> str:
    """kafka-client-metrics of 4.1.1."""
    main = "org.apache.kafka.tools.ClientMetricsCommand"
    return run(
        java_command("4.1.1", main, ["--bootstrap-server", broker.bootstrap_servers, *arguments])
    )


def java_producer(broker: BrokerProcess) -> list[str]:
    arguments = ["--topic", "java", "--num-records", "2000", "--throughput", "1000"]
    arguments += ["--record-size", "100", "--producer-props"]
    arguments += [f"bootstrap.servers={broker.bootstrap_servers}"]
    return java_command("4.1.1", "org.apache.kafka.tools.ProducerPerformance", arguments)


def librdkafka_producer(broker: BrokerProcess) -> list[str]:
    command = [sys.executable, "-m", "tests.compat.clients.telemetry"]
    return [*command, broker.bootstrap_servers, "librdkafka", "3"]


def test_clients_push_what_the_tool_asks_them_for(broker: BrokerProcess) -> None:
    name = ["--name", "all-producers"]
    asked = ["--metrics", "org.apache.kafka.producer.", "--interval", "500"]
    client_metrics(broker, "--alter", *name, *asked)
    assert "interval.ms=500" in client_metrics(broker, "--describe", *name)
    assert client_metrics(broker, "--list").split() == ["all-producers"]
    for producer, called in (
        (java_producer, "perf-producer-client"),
        (librdkafka_producer, "rdkafka"),
    ):
        run(producer(broker))
        pushes = [match.groups() for match in PUSHED.finditer(broker.log())]
        sizes = [int(points) for client, points, _ in pushes if client == called]
        assert len(sizes) >= 2, pushes
        assert max(sizes) > 5
    client_metrics(broker, "--delete", *name)
    assert client_metrics(broker, "--list").split() == []
