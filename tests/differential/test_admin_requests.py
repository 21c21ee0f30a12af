"""Apache Kafka 4.1.1 and DataCore answer requests about the cluster, topics and groups alike.

``make test-all`` runs it; it needs Java and Maven. The requests are made by hypothesis, the same
ones each time; error codes are compared, and pages of topics as a whole.
"""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings

from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from datacore._generated.describe_topic_partitions import DescribeTopicPartitionsRequest
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from datacore.wire.message import WireMessage
from tests.differential.admin_requests import EXISTING, GROUPS, WIDE, requests
from tests.differential.known_differences import admin_differences
from tests.differential.test_refusals import wait_until
from tests.golden.questions.question import Question, ask, comparable
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

EXAMPLES = settings(
    max_examples=2_000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROPERTIES = {"auto.create.topics.enable": "false"}
LOADING = {14, 15, 16}
NOT_COMPARED = ("eligible_leader_replicas", "last_known_elr")


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Of Apache Kafka and of DataCore, with the same topics."""
    with (
        ApacheKafka("4.1.1", properties=PROPERTIES, heap="512m") as kafka,
        Broker(kafka=PROPERTIES) as broker,
    ):
        for port in (kafka.port, broker.port):
            prepare(port)
        yield kafka.port, broker.port


def prepare(port: int) -> None:
    topics = [
        CreatableTopic(name=name, num_partitions=count, replication_factor=1)
        for name, count in ((EXISTING, 1), (WIDE, 3))
    ]
    coordinator = FindCoordinatorRequest(key="group")
    with Connection("127.0.0.1", port) as connection:
        made = connection.send(CreateTopicsRequest(topics=topics), CreateTopicsResponse, 5)
        assert [topic.error_code for topic in made.topics] == [0, 0]
        wait_until(lambda: connection.send(coordinator, FindCoordinatorResponse, 0).error_code == 0)
        # One partition of the offsets is loaded after the other.
        everybody = DeleteGroupsRequest(groups_names=[*GROUPS])
        wait_until(
            lambda: (
                not any(
                    each.error_code in LOADING
                    for each in connection.send(everybody, DeleteGroupsResponse, 0).results
                )
            )
        )


def codes(value: Any) -> list[int]:
    """Every error code of an answer, sorted: what is answered in which order is nobody's rule."""
    if isinstance(value, list):
        return sorted(code for element in value for code in codes(element))
    if not isinstance(value, dict):
        return []
    inner = [code for each in value.values() for code in codes(each)]
    return sorted([*inner, value["error_code"]] if "error_code" in value else inner)


def answer(port: int, request: WireMessage, version: int) -> Any:
    """What two brokers should agree on."""
    question = Question.of("", version, request, *NOT_COMPARED)
    said = comparable(question, ask("127.0.0.1", port, question))
    if said == "closed" or isinstance(request, DescribeTopicPartitionsRequest):
        return said
    return codes(said)


@EXAMPLES
@given(asked=requests())
def test_administrators_requests_are_answered_alike(
    ports: tuple[int, int], asked: tuple[WireMessage, int]
) -> None:
    request, version = asked
    theirs, ours = (answer(port, request, version) for port in ports)
    note(f"{request} v{version}\nApache Kafka: {theirs}\nDataCore: {ours}")
    if any(each.is_about(request, theirs, ours) for each in admin_differences()):
        return
    assert ours == theirs
