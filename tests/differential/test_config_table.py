"""The table of configs says what Apache Kafka 4.1.1 says of each."""

import shutil
from collections.abc import Iterator, Mapping

import pytest

from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32
DEFAULT, STATIC = 5, 4
# What each node is told at its start, or has a default of its own for; see `kafka_default`.
OF_ONE_NODE = {
    "broker.id",
    "node.id",
    "process.roles",
    "log.dir",
    "listeners",
    "advertised.listeners",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
    "group.initial.rebalance.delay.ms",
    "controller.listener.names",
    "controller.quorum.voters",
    "log.dirs",
    "min.insync.replicas",
    "default.replication.factor",
}


@pytest.fixture(scope="module")
def connections() -> Iterator[tuple[Connection, Connection]]:
    features = {"eligible.leader.replicas.version": 0}
    with (
        ApacheKafka("4.1.1", features=features, heap="512m") as kafka,
        Broker() as broker,
        Connection("127.0.0.1", kafka.port) as theirs,
        Connection(broker.host, broker.port) as ours,
    ):
        topic = CreatableTopic(name="x", num_partitions=1, replication_factor=1)
        for connection in (theirs, ours):
            made = connection.send(CreateTopicsRequest(topics=[topic]), CreateTopicsResponse, 5)
            assert made.topics[0].error_code == 0
        yield theirs, ours


def described(
    connection: Connection, kind: int, name: str, version: int
) -> Mapping[str, DescribeConfigsResourceResult]:
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None
    )
    request = DescribeConfigsRequest(
        resources=[resource], include_synonyms=True, include_documentation=version >= 3
    )
    (result,) = connection.send(request, DescribeConfigsResponse, version).results
    assert result.error_code == 0
    return {config.name: config for config in result.configs}


def facts(config: DescribeConfigsResourceResult, version: int) -> dict[str, object]:
    """What of a config does not depend on the node that is asked."""
    told: dict[str, object] = {
        "read only": config.read_only,
        "sensitive": config.is_sensitive,
        "value": config.value,
        "synonyms": [
            (synonym.name, synonym.value)
            for synonym in config.synonyms
            if synonym.source == DEFAULT
        ],
        "source": config.config_source,
    }
    if version >= 3:
        told["type"] = config.config_type
        told["documented"] = bool(config.documentation)
    return told


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "name"), [(TOPIC, "x"), (BROKER, "1"), (GROUP, "g"), (CLIENT_METRICS, "none")]
)
def test_every_config_is_described_as_kafka_does_it(
    connections: tuple[Connection, Connection], kind: int, name: str, version: int
) -> None:
    theirs, ours = (described(connection, kind, name, version) for connection in connections)
    assert ours.keys() == theirs.keys()
    differing = {
        name: (facts(theirs[name], version), facts(ours[name], version))
        for name in theirs.keys() - OF_ONE_NODE
        if facts(theirs[name], version) != facts(ours[name], version)
    }
    assert differing == {}
