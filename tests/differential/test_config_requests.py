"""Apache Kafka 4.1.1 and DataCore answer requests about configs, topics and quotas alike.

``make test-all`` runs it; it needs Java and Maven. The requests are made by hypothesis, the same
ones each time; error codes are compared. What differs on purpose is in known_differences.toml.
"""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings

from datacore._generated.api_keys import response_class
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from datacore.wire.message import WireMessage, WireStruct
from tests.differential import config_requests as requests
from tests.differential.known_differences import config_differences
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

EXAMPLES = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# With eligible leader replicas Kafka guards min.insync.replicas of the cluster.
FEATURES = {"eligible.leader.replicas.version": 0}
PROPERTIES = {"auto.create.topics.enable": "false"}


class Pair:
    """Both brokers."""

    def __init__(self, theirs: Connection, ours: Connection) -> None:
        self.theirs = theirs
        self.ours = ours

    def compare(self, request: WireMessage, version: int) -> None:
        """Puts a request to both."""
        kind = response_class(request.api_key)
        theirs = codes(self.theirs.send(request, kind, version))
        ours = codes(self.ours.send(request, kind, version))
        note(f"{plain(request)}: Apache Kafka {theirs}, DataCore {ours}")
        if ours != theirs:
            assert any(each.is_about(request, theirs, ours) for each in config_differences())


def codes(value: Any) -> list[int]:
    """Every error code of an answer, sorted: what is answered in which order is nobody's rule."""
    if isinstance(value, list):
        return sorted(code for element in value for code in codes(element))
    if not isinstance(value, WireStruct):
        return []
    return sorted(
        code
        for name in value.__slots__
        for code in (
            [getattr(value, name)] if name == "error_code" else codes(getattr(value, name))
        )
    )


def plain(value: Any) -> Any:
    """A request as people read it."""
    if isinstance(value, WireStruct):
        names = [name for name in value.__slots__ if name != "unknown_tagged_fields"]
        return {name: plain(getattr(value, name)) for name in names}
    return [plain(element) for element in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        ApacheKafka("4.1.1", properties=PROPERTIES, features=FEATURES, heap="512m") as kafka,
        Broker(kafka=PROPERTIES) as broker,
        Connection("127.0.0.1", kafka.port) as theirs,
        Connection(broker.host, broker.port) as ours,
    ):
        topics = [
            CreatableTopic(name=name, num_partitions=1, replication_factor=1)
            for name in (requests.EXISTING, "dotted.name")
        ]
        for connection in (theirs, ours):
            made = connection.send(CreateTopicsRequest(topics=topics), CreateTopicsResponse, 5)
            assert codes(made) == [0, 0]
        yield Pair(theirs, ours)


@EXAMPLES
@given(request=requests.increments())
def test_configs_are_altered_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 1)


@EXAMPLES
@given(request=requests.replacements())
def test_configs_are_replaced_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 2)


@EXAMPLES
@given(request=requests.descriptions())
def test_configs_are_described_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 4)


@EXAMPLES
@given(request=requests.listings())
def test_resources_are_listed_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 1)


@EXAMPLES
@given(request=requests.creations())
def test_topics_are_made_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 7)


@EXAMPLES
@given(request=requests.quota_alterations())
def test_quotas_are_altered_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 1)


@EXAMPLES
@given(request=requests.quota_descriptions())
def test_quotas_are_described_alike(pair: Pair, request: WireMessage) -> None:
    pair.compare(request, 1)


def test_each_known_difference_says_why() -> None:
    assert all(each.reason for each in config_differences())
