"""Apache Kafka and DataCore side by side, with fresh topics for each sequence."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from datacore._generated.api_keys import ApiKey
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.client.connection import Connection
from datacore.handlers.table import TABLE
from datacore.testing.broker_process import BrokerProcess
from tests.differential.conversation import PREFIX, Conversation
from tests.differential.duel import Duel, assignable
from tests.differential.sequences import VersionRanges
from tests.differential.test_refusals import wait_until
from tests.oracle.apache_kafka import ApacheKafka

__all__ = ["Arena", "arena"]

_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "group.coordinator.rebalance.protocols": "classic,consumer",
    "group.initial.rebalance.delay.ms": "0",
    # What is told of groups is what is committed; with a delay, a little later than it is answered.
    "group.coordinator.append.linger.ms": "0",
    "log.retention.ms": "-1",
    # Records and markers are years apart, and a read of Kafka's ends with a segment.
    "log.roll.ms": str(2**63 - 1),
    "min.insync.replicas": "1",
}
# In the order of arrival, as DataCore does it.
_ONE_THREAD = {"num.network.threads": "1", "num.io.threads": "1"}
# With eligible leader replicas Kafka guards min.insync.replicas of the cluster.
_FEATURES = {"4.1.1": {"eligible.leader.replicas.version": 0}}
_OF_THE_CLUSTER = {"differential": 1, "differential-wide": 3, "dotted.name": 1}
_OF_A_SEQUENCE = {"<t0>": 1, "<t1>": 2}
_AT_ONCE = 50
_DELETION_TIMEOUT_MS = 30_000
"""With none, Apache Kafka's controller gives up at once, and keeps the topics."""


class Arena:
    """Both brokers, running.

    Attributes:
        served: The versions of each API that both serve.
        release: Apache Kafka's.
        sequences: How many sequences were begun.
    """

    def __init__(self, theirs: int, ours: int, release: str) -> None:
        """Prepares both.

        Args:
            theirs: Apache Kafka's port.
            ours: DataCore's.
            release: Apache Kafka's.
        """
        self.release = release
        self.served = _served(theirs, release)
        self.sequences = 0
        self._ports = theirs, ours
        self._labels = map(str, count())
        self._ready: deque[tuple[str, dict[int, dict[str, bytes]]]] = deque()
        self._used: list[str] = []
        for port in self._ports:
            _warm_up(port)
            _create(port, _OF_THE_CLUSTER)

    def duel(self) -> Duel:
        """A sequence's beginning: names that nobody has used, and its topics."""
        if not self._ready:
            self._make_topics()
        label, ids = self._ready.popleft()
        self._used.append(label)
        self.sequences += 1
        theirs, ours = (Conversation(port, label, ids[port]) for port in self._ports)
        return Duel(theirs, ours)

    def _make_topics(self) -> None:
        labels = [next(self._labels) for _ in range(_AT_ONCE)]
        ids: dict[str, dict[int, dict[str, bytes]]] = {label: {} for label in labels}
        for port in self._ports:
            self._delete_used(port)
            namers = {label: Conversation(port, label, {}) for label in labels}
            made = _create(
                port,
                {
                    namer.name(placeholder): partitions
                    for namer in namers.values()
                    for placeholder, partitions in _OF_A_SEQUENCE.items()
                },
            )
            for label, namer in namers.items():
                ids[label][port] = {each: made[namer.name(each)] for each in _OF_A_SEQUENCE}
        self._used.clear()
        self._ready.extend(ids.items())

    def _delete_used(self, port: int) -> None:
        """So that neither broker gets slow by what is of no use any more."""
        with Connection("127.0.0.1", port) as connection:
            told = connection.send(MetadataRequest(topics=None), MetadataResponse, 1)
            used = [each.name for each in told.topics if (each.name or "").startswith(PREFIX)]
            names = [name for name in used if name]
            request = DeleteTopicsRequest(topic_names=names, timeout_ms=_DELETION_TIMEOUT_MS)
            connection.send(request, DeleteTopicsResponse, 1)


@contextmanager
def arena(release: str) -> Iterator[Arena]:
    """Both brokers, from their start to their end."""
    kafka = ApacheKafka(
        release,
        properties=_PROPERTIES | _ONE_THREAD,
        features=_FEATURES.get(release, {}),
        heap="768m",
        start_timeout_s=300.0,
    )
    with kafka, BrokerProcess(storage_engine="memory", kafka=_PROPERTIES) as broker:
        yield Arena(kafka.port, broker.port, release)


def _served(port: int, release: str) -> VersionRanges:
    with Connection("127.0.0.1", port) as connection:
        theirs = connection.versions()
    served = {}
    for key, api in sorted(TABLE.items()):
        lowest, highest = theirs.get(key, (0, -1))
        if key == ApiKey.PRODUCE and release >= "4":
            lowest = 3  # advertised from 0 for old librdkafka's sake (KAFKA-18659)
        both = range(max(lowest, api.min_version), min(highest, api.max_version) + 1)
        if both:
            served[key] = both
    return served


def _create(port: int, topics: dict[str, int]) -> dict[str, bytes]:
    """Makes topics, and waits until they are served; returns their ids."""
    request = CreateTopicsRequest(
        topics=[
            CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
            for name, partitions in topics.items()
        ]
    )
    with Connection("127.0.0.1", port) as connection:
        made = connection.send(request, CreateTopicsResponse, 7).topics
        assert {each.error_code for each in made} == {0}, made
        asked = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in topics])
        wait_until(
            lambda: (
                {
                    code
                    for topic in connection.send(asked, MetadataResponse, 8).topics
                    for code in (topic.error_code, *(p.error_code for p in topic.partitions))
                }
                == {0}
            )
        )
    wait_until(lambda: assignable(port, list(topics)) == sum(topics.values()))
    return {each.name: each.topic_id for each in made}


def _warm_up(port: int) -> None:
    """Waits until groups and transactions are coordinated."""
    with Connection("127.0.0.1", port) as connection:
        for key_type in (0, 1):
            request = FindCoordinatorRequest(key="warm", key_type=key_type)
            wait_until(partial(_is_found, connection, request))
        begin = InitProducerIdRequest(transactional_id="warm", transaction_timeout_ms=60_000)
        wait_until(lambda: connection.send(begin, InitProducerIdResponse, 2).error_code == 0)


def _is_found(connection: Connection, request: FindCoordinatorRequest) -> bool:
    return connection.send(request, FindCoordinatorResponse, 1).error_code == 0
