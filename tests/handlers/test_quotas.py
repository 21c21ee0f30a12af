"""Quotas as clients meet them over a socket."""

from collections.abc import Iterator

import pytest

from datacore._generated.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasRequestEntityData,
    AlterClientQuotasRequestEntryData,
    AlterClientQuotasResponse,
    OpData,
)
from datacore._generated.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.metadata import MetadataRequest, MetadataResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.connection import Connection
from datacore.record.records import Record
from datacore.testing.broker import Broker
from tests.handlers.record_sets import encode

THROTTLED = ErrorCode.THROTTLING_QUOTA_EXCEEDED
RECORDS = encode([Record(0, 1_700_000_000_000, None, bytes(4_000))], 2)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Time stands still for its quotas: else, on a busy machine, waiting would pay what is owed."""
    monkeypatch.setattr("datacore.broker.broker.steady_clock_ms", lambda: lambda: 1_000_000)
    with Broker(kafka={"controller.quota.window.num": 1}) as broker:
        yield broker


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port, timeout_s=30.0) as connection:
        yield connection


def limit(broker: Broker, key: str, value: float) -> None:
    """Gives everybody a quota."""
    entity = AlterClientQuotasRequestEntityData(entity_type="user", entity_name=None)
    entry = AlterClientQuotasRequestEntryData(entity=[entity], ops=[OpData(key=key, value=value)])
    with Connection(broker.host, broker.port) as connection:
        request = AlterClientQuotasRequest(entries=[entry])
        (answer,) = connection.send(request, AlterClientQuotasResponse, 1).entries
        assert answer.error_code == 0


def create(connection: Connection, version: int, *names: str) -> CreateTopicsResponse:
    topics = [CreatableTopic(name=name, num_partitions=3, replication_factor=1) for name in names]
    return connection.send(CreateTopicsRequest(topics=topics), CreateTopicsResponse, version)


def test_a_producer_over_its_quota_is_told_so_and_waits(
    broker: Broker, connection: Connection
) -> None:
    create(connection, 5, "t")
    partition = PartitionProduceData(records=RECORDS)
    request = ProduceRequest(
        acks=-1, topic_data=[TopicProduceData(name="t", partition_data=[partition])]
    )
    assert connection.send(request, ProduceResponse, 9).throttle_time_ms == 0
    limit(broker, "producer_byte_rate", 20_000)
    told = [connection.send(request, ProduceResponse, 9).throttle_time_ms for _ in range(6)]
    assert told[0] == 0
    assert max(told) > 0


def test_a_consumer_over_its_quota_gets_its_records_and_waits(
    broker: Broker, connection: Connection
) -> None:
    create(connection, 5, "t")
    partition = PartitionProduceData(records=RECORDS)
    produce = ProduceRequest(
        acks=-1, topic_data=[TopicProduceData(name="t", partition_data=[partition])]
    )
    connection.send(produce, ProduceResponse, 9)
    limit(broker, "consumer_byte_rate", 3_000)
    fetch = FetchRequest(
        max_wait_ms=0,
        topics=[FetchTopic(topic="t", partitions=[FetchPartition(partition_max_bytes=1 << 20)])],
    )
    told = connection.send(fetch, FetchResponse, 11)
    assert told.throttle_time_ms > 0
    assert len(told.responses[0].partitions[0].records or b"") > 4_000
    assert connection.send(MetadataRequest(topics=[]), MetadataResponse, 1).brokers


def test_a_new_client_is_refused_what_is_beyond_its_mutations(
    broker: Broker, connection: Connection
) -> None:
    limit(broker, "controller_mutation_rate", 5)
    told = create(connection, 7, "a", "b", "c")
    # Five tokens: three partitions leave two, three more owe one.
    assert [topic.error_code for topic in told.topics] == [0, 0, THROTTLED]
    assert told.throttle_time_ms > 0
    assert connection.send(MetadataRequest(topics=[]), MetadataResponse, 1).brokers


def test_an_old_client_gets_what_it_asks_for_and_waits(
    broker: Broker, connection: Connection
) -> None:
    limit(broker, "controller_mutation_rate", 50)
    told = create(connection, 5, *(f"t{number}" for number in range(20)))
    assert {topic.error_code for topic in told.topics} == {0}
    assert told.throttle_time_ms > 0


def test_widening_and_deleting_topics_are_mutations_too(
    broker: Broker, connection: Connection
) -> None:
    create(connection, 5, "t")
    limit(broker, "controller_mutation_rate", 1)
    widen = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name="t", count=9, assignments=None)], timeout_ms=1_000
    )
    told = connection.send(widen, CreatePartitionsResponse, 3)
    assert (told.results[0].error_code, told.throttle_time_ms) == (0, 0)
    delete = DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=1_000)
    refused = connection.send(delete, DeleteTopicsResponse, 6)
    assert refused.responses[0].error_code == THROTTLED
    assert refused.throttle_time_ms > 0
