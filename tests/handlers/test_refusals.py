"""What is refused is refused with the right code, in a body of the request's version."""

from collections.abc import Iterator

import pytest

from datacore._generated.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResponse,
)
from datacore._generated.api_keys import ApiKey, response_class
from datacore._generated.create_topics import CreateTopicsResponse
from datacore._generated.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.metadata import MetadataRequest, MetadataResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.connection import Connection
from datacore.client.errors import BrokerUnreachableError
from datacore.handlers.table import TABLE
from datacore.record.records import Record
from datacore.testing.broker import Broker
from tests.handlers.record_sets import encode
from tests.handlers.refused import COMPACTED, TOPIC, Refused, creation
from tests.handlers.refused_requests import REFUSED
from tests.protocol.error_codes import error_codes

MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(auto_create_topics=False) as broker:
        with Connection(broker.host, broker.port) as connection:
            made = connection.send(creation(), CreateTopicsResponse, 5)
            assert {topic.error_code for topic in made.topics} == {0}
            for key_type in (0, 1):
                request = FindCoordinatorRequest(key="g", key_type=key_type)
                found = connection.send(request, FindCoordinatorResponse, 1)
                assert found.error_code == 0
        yield broker


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port, timeout_s=10.0) as connection:
        yield connection


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_a_request_is_refused_in_each_version(connection: Connection, refused: Refused) -> None:
    told = {
        version: set(
            error_codes(
                connection.send(refused.request(version), response_class(refused.key), version)
            )
        )
        - {0}
        for version in refused.versions
    }
    assert told == {version: {int(refused.error_code)} for version in refused.versions}


def test_no_two_refusals_have_one_name() -> None:
    names = [refused.name for refused in REFUSED]
    assert len(names) == len(set(names))


# --- what Apache Kafka 4.1.1 never answers


@pytest.mark.parametrize("version", range(TABLE[ApiKey.ALTER_CONFIGS].max_version + 1))
def test_a_resource_is_not_replaced_twice(connection: Connection, version: int) -> None:
    resource = AlterConfigsResource(resource_type=2, resource_name=TOPIC)
    request = AlterConfigsRequest(resources=[resource, resource])
    answers = connection.send(request, AlterConfigsResponse, version).responses
    assert [answer.error_code for answer in answers] == [ErrorCode.INVALID_REQUEST] * 2


# --- what a broker is told to refuse


@pytest.mark.parametrize("version", range(TABLE[ApiKey.DELETE_TOPICS].max_version + 1))
def test_topics_stay_where_their_deletion_is_disabled(version: int) -> None:
    request = DeleteTopicsRequest(topic_names=[TOPIC])
    if version >= 6:
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=TOPIC)])
    disabled, invalid = ErrorCode.TOPIC_DELETION_DISABLED, ErrorCode.INVALID_REQUEST
    with (
        Broker(kafka={"delete.topic.enable": False}) as broker,
        Connection(broker.host, broker.port) as connection,
    ):
        (told,) = connection.send(request, DeleteTopicsResponse, version).responses
        assert told.error_code == (disabled if version >= 3 else invalid)


# --- Produce's more talkative answers


@pytest.mark.parametrize("version", range(8, 13))
def test_each_refused_record_is_named(connection: Connection, version: int) -> None:
    records = [Record(0, MS, None, b"a"), Record(0, MS, b"k", b"b"), Record(0, MS, None, b"c")]
    partition = PartitionProduceData(records=encode(records, 2))
    request = ProduceRequest(
        acks=-1, topic_data=[TopicProduceData(name=COMPACTED, partition_data=[partition])]
    )
    (topic,) = connection.send(request, ProduceResponse, version).responses
    (refused,) = topic.partition_responses
    assert refused.error_code == ErrorCode.INVALID_RECORD
    assert refused.error_message
    assert [each.batch_index for each in refused.record_errors] == [0, 2]
    assert all(each.batch_index_error_message for each in refused.record_errors)


@pytest.mark.parametrize("version", [0, 2, 9, 12])
def test_a_failure_that_may_not_be_answered_closes_the_connection(
    broker: Broker, version: int
) -> None:
    magic = 2 if version >= 3 else 0
    partition = PartitionProduceData(records=encode([Record(0, MS, b"k", b"v")], magic))
    request = ProduceRequest(
        acks=0, topic_data=[TopicProduceData(name="missing", partition_data=[partition])]
    )
    with Connection(broker.host, broker.port) as connection:
        connection.post(request, version)
        with pytest.raises(BrokerUnreachableError, match="closed the connection"):
            connection.receive_frame()
    with Connection(broker.host, broker.port) as another:
        assert another.send(MetadataRequest(topics=[]), MetadataResponse, 1).brokers
