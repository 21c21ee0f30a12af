"""A produce quota holds for real clients: set with Kafka's own tool, measured at the client."""

import json
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

BYTES_A_SECOND = 5_000_000
SECONDS = 25
RECORD_BYTES = 10_000
ROOT = Path(__file__).parents[2]


def run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def configs(broker: BrokerProcess, *arguments: str) -> str:
    """kafka-configs of 4.1.1."""
    bootstrap = ["--bootstrap-server", broker.bootstrap_servers]
    return run(java_command("4.1.1", "kafka.admin.ConfigCommand", [*bootstrap, *arguments]))


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    with BrokerProcess() as broker:
        yield broker


def by_python_client(client: str, broker: BrokerProcess) -> float:
    """Bytes a second that a client got through."""
    command = [sys.executable, "-m", "tests.compat.clients.load"]
    told = json.loads(run([*command, client, broker.bootstrap_servers, client, str(SECONDS)]))
    return float(told["bytes"] / told["seconds"])


def by_java(broker: BrokerProcess) -> float:
    """The same with kafka-producer-perf-test, which knows a number of records and no time."""
    count = BYTES_A_SECOND * SECONDS // RECORD_BYTES
    arguments = ["--topic", "java", "--num-records", str(count), "--throughput", "-1"]
    arguments += ["--record-size", str(RECORD_BYTES), "--producer-props", "acks=all"]
    arguments += [f"bootstrap.servers={broker.bootstrap_servers}"]
    said = run(java_command("4.1.1", "org.apache.kafka.tools.ProducerPerformance", arguments))
    rate = re.findall(r"([0-9.]+) records/sec", said)[-1]
    return float(rate) * RECORD_BYTES


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka", "java"])
def test_nobody_gets_through_at_a_tenth_more_than_a_produce_quota(
    broker: BrokerProcess, client: str
) -> None:
    who = ["--entity-type", "users", "--entity-default"]
    configs(broker, "--alter", *who, "--add-config", f"producer_byte_rate={BYTES_A_SECOND}")
    assert f"producer_byte_rate={BYTES_A_SECOND}" in configs(broker, "--describe", *who)
    reached = by_java(broker) if client == "java" else by_python_client(client, broker)
    print(f"{client}: {reached / 1e6:.2f} MB/s")  # the figure is what people ask for
    assert reached <= BYTES_A_SECOND * 1.1
    # Nobody is kept waiting for longer than need be. (On a machine that is busy with other things
    # a client may not use up what it may have.)
    assert reached >= BYTES_A_SECOND * 0.9


def test_what_kafkas_tool_sets_on_clients_it_describes_and_removes(broker: BrokerProcess) -> None:
    who = ["--entity-type", "clients", "--entity-name", "somebody"]
    added = ["--add-config", "consumer_byte_rate=1000000,request_percentage=50"]
    configs(broker, "--alter", *who, *added)
    said = configs(broker, "--describe", *who)
    assert "consumer_byte_rate=1000000" in said
    assert "request_percentage=50" in said
    configs(broker, "--alter", *who, "--delete-config", "consumer_byte_rate,request_percentage")
    assert "consumer_byte_rate" not in configs(broker, "--describe", *who)
