"""kafka-configs of 4.1.1 alters, describes and takes back what every kind of entity is told."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from tests.oracle.apache_kafka import java_command

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Kafka's tools not run: java or mvn is missing",
    ),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        with Connection(broker.host, broker.port) as connection:
            topic = CreatableTopic(name="orders", num_partitions=1, replication_factor=1)
            made = connection.send(CreateTopicsRequest(topics=[topic]), CreateTopicsResponse, 5)
            assert made.topics[0].error_code == 0
        yield broker


def configs(broker: Broker, *arguments: str) -> str:
    command = ["--bootstrap-server", broker.bootstrap_servers, *arguments]
    done = subprocess.run(
        java_command("4.1.1", "kafka.admin.ConfigCommand", command),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "config", "value"),
    [
        ("topics", "orders", "retention.ms", "60000"),
        ("brokers", "1", "log.cleaner.threads", "2"),
        ("brokers", None, "message.max.bytes", "2000000"),
        ("groups", "billing", "consumer.session.timeout.ms", "50000"),
        ("client-metrics", "all", "interval.ms", "5000"),
        ("broker-loggers", "1", "datacore", "DEBUG"),
        ("users", "alice", "producer_byte_rate", "1000000.0"),
        ("clients", None, "request_percentage", "50.0"),
        ("ips", "127.0.0.9", "connection_creation_rate", "100.0"),
    ],
)
def test_kafkas_tool_alters_describes_and_takes_back(
    broker: Broker, kind: str, name: str | None, config: str, value: str
) -> None:
    who = ["--entity-type", kind]
    who += ["--entity-default"] if name is None else ["--entity-name", name]
    configs(broker, "--alter", *who, "--add-config", f"{config}={value}")
    assert f"{config}={value}" in configs(broker, "--describe", *who)
    configs(broker, "--alter", *who, "--delete-config", config)
    assert f"{config}={value}" not in configs(broker, "--describe", *who)


def test_every_config_of_a_broker_is_described(broker: Broker) -> None:
    said = configs(broker, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
    assert sum("sensitive=" in line for line in said.splitlines()) == 316
