"""Apache Kafka and DataCore refuse the same requests with the same answers, version by version.

``make test-all`` runs it; it needs Java and Maven. Versions that a release does not serve are left
out: there Kafka closes the connection, and what is right is said by the other release.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from datacore._generated.create_topics import CreateTopicsResponse
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from tests.differential.known_differences import known_differences
from tests.golden.questions.question import Question, ask, comparable
from tests.handlers.refused import TOPICS, Refused, creation
from tests.handlers.refused_requests import REFUSED
from tests.handlers.refused_transactions import STRANGER
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

AUTO_CREATE_OFF = {"auto.create.topics.enable": "false"}
READY_TIMEOUT_S = 60.0
POLL_S = 0.05
# Texts are nobody's to repeat. The log's start beside an error depends on which part of Kafka's
# code found it, and no client reads it.
NOT_COMPARED = ("batch_index_error_message", "log_start_offset")


@pytest.fixture(scope="module", params=["3.9.1", "4.1.1"])
def kafka(request: pytest.FixtureRequest) -> Iterator[ApacheKafka]:
    with ApacheKafka(request.param, properties=AUTO_CREATE_OFF, heap="512m") as kafka:
        prepare("127.0.0.1", kafka.port)
        yield kafka


@pytest.fixture(scope="module")
def datacore() -> Iterator[Broker]:
    with Broker(kafka=AUTO_CREATE_OFF) as broker:
        prepare(broker.host, broker.port)
        yield broker


def prepare(host: str, port: int) -> None:
    """Makes the topics, and waits until they and the groups are served."""
    with Connection(host, port) as connection:
        made = connection.send(creation(), CreateTopicsResponse, 5)
        assert {topic.error_code for topic in made.topics} == {0}
        topics = [MetadataRequestTopic(name=name) for name in TOPICS]
        wait_until(
            lambda: (
                {
                    topic.error_code
                    for topic in connection.send(
                        MetadataRequest(topics=topics), MetadataResponse, 1
                    ).topics
                }
                == {0}
            )
        )
        for key_type in (0, 1):
            coordinator = FindCoordinatorRequest(key="refused-group", key_type=key_type)
            wait_until(partial(_is_served, connection, coordinator))
        # The shard that would know the stranger comes a little later.
        strangers = DescribeTransactionsRequest(transactional_ids=[STRANGER])
        wait_until(
            lambda: (
                connection.send(strangers, DescribeTransactionsResponse, 0)
                .transaction_states[0]
                .error_code
                == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
            )
        )


def _is_served(connection: Connection, coordinator: FindCoordinatorRequest) -> bool:
    return connection.send(coordinator, FindCoordinatorResponse, 1).error_code == 0


def wait_until(is_ready: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while not is_ready():
        assert time.monotonic() < deadline_s
        time.sleep(POLL_S)  # another process, which tells nobody when it is ready


def answers(host: str, port: int, refused: Refused, versions: range) -> dict[int, Any]:
    """What a broker says to a request in each of some versions."""
    told = {}
    for version in versions:
        question = Question.of(refused.name, version, refused.request(version), *NOT_COMPARED)
        told[version] = comparable(question, ask(host, port, question))
    return told


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_kafka_and_datacore_refuse_alike(
    kafka: ApacheKafka, datacore: Broker, refused: Refused
) -> None:
    with Connection("127.0.0.1", kafka.port) as connection:
        lowest, highest = connection.versions().get(refused.key, (0, -1))
    if (refused.key, kafka.version) == (0, "4.1.1"):
        lowest = 3  # advertised from 0 for old librdkafka's sake, served from 3 (KAFKA-18659)
    served = refused.versions
    both = range(max(served.start, lowest), min(served.stop, highest + 1))
    known = known_differences(kafka.version)
    theirs = answers("127.0.0.1", kafka.port, refused, both)
    ours = answers(datacore.host, datacore.port, refused, both)
    differing = {version for version in both if theirs[version] != ours[version]}
    expected = {version for version in both if (refused.name, version) in known}
    assert {v: theirs[v] for v in differing - expected} == {
        v: ours[v] for v in differing - expected
    }
    assert differing == expected, "a known difference is gone"


@pytest.mark.parametrize("release", ["3.9.1", "4.1.1"])
def test_known_differences_are_about_requests_that_are_asked(release: str) -> None:
    asked = {(refused.name, version) for refused in REFUSED for version in refused.versions}
    assert known_differences(release).keys() <= asked
