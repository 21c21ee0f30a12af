"""What no client sends, answered as Apache Kafka answers it: named twice, half, or not at all.

Each was found by `make test-differential`.
"""

from collections.abc import Iterator

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from datacore.client.connection import Connection
from datacore.client.errors import BrokerUnreachableError
from datacore.handlers.table import TABLE
from datacore.record.records import Record, encode_batch
from datacore.testing.broker import Broker
from tests.handlers.record_sets import decode, encode, fetched_magic

MS = 1_700_000_000_000
TOPIC = "odd"
PRODUCE_VERSIONS = range(3, TABLE[ApiKey.PRODUCE].max_version + 1)
LIST_VERSIONS = range(2, TABLE[ApiKey.LIST_OFFSETS].max_version + 1)
FETCH_VERSIONS = range(4, TABLE[ApiKey.FETCH].max_version + 1)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(auto_create_topics=False) as broker:
        yield broker


@pytest.fixture(scope="module")
def topic_id(broker: Broker) -> bytes:
    return made(broker, TOPIC)


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port) as connection:
        yield connection


def made(broker: Broker, name: str, *, validate_only: bool = False) -> bytes:
    """A topic of two partitions; returns its id."""
    topic = CreatableTopic(name=name, num_partitions=2, replication_factor=1)
    request = CreateTopicsRequest(topics=[topic], validate_only=validate_only)
    with Connection(broker.host, broker.port) as connection:
        (told,) = connection.send(request, CreateTopicsResponse, 7).topics
    assert told.error_code == 0
    return told.topic_id


def batch(*, records: int = 1, transactional: bool = False) -> bytes:
    content = [Record(0, MS, b"k", b"v")] * records
    if not transactional:
        return bytes(encode_batch(content))
    return bytes(
        encode_batch(content, producer_id=99, producer_epoch=0, base_sequence=0, transactional=True)
    )


def produce_data(topic_id: bytes, *partitions: int, records: bytes) -> TopicProduceData:
    return TopicProduceData(
        name=TOPIC,
        topic_id=topic_id,
        partition_data=[PartitionProduceData(index=each, records=records) for each in partitions],
    )


def error_codes(told: ProduceResponse) -> list[list[tuple[int, int]]]:
    return [
        [(each.index, each.error_code) for each in topic.partition_responses]
        for topic in told.responses
    ]


# --- Produce


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_a_topic_that_is_named_twice_is_answered_once(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    topics = [produce_data(topic_id, each, records=batch()) for each in (0, 1)]
    told = connection.send(ProduceRequest(acks=1, topic_data=topics), ProduceResponse, version)
    assert error_codes(told) == [[(0, 0), (1, 0)]]


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_nothing_is_told_of_a_topic_without_partitions(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    nothing = produce_data(topic_id, records=b"")
    told = connection.send(ProduceRequest(acks=1, topic_data=[nothing]), ProduceResponse, version)
    assert told.responses == []


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_no_partition_takes_records_if_one_gets_a_transactions_without_its_id(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    topic = produce_data(topic_id, 0, 1, 9, records=batch())
    topic.partition_data[1].records = batch(transactional=True)
    for acks in (1, 2):
        request = ProduceRequest(acks=acks, topic_data=[topic])
        told = connection.send(request, ProduceResponse, version)
        code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        assert error_codes(told) == [[(0, code), (1, code), (9, code)]]


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_acks_that_are_none_are_refused_when_all_else_is_right(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    topic = produce_data(topic_id, 0, 1, 9, records=batch())
    topic.partition_data[1].records = batch() * 2
    told = connection.send(ProduceRequest(acks=2, topic_data=[topic]), ProduceResponse, version)
    acks, shape = ErrorCode.INVALID_REQUIRED_ACKS, ErrorCode.INVALID_RECORD
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert error_codes(told) == [[(0, acks), (1, shape), (9, unknown)]]


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_what_is_no_batch_adds_nothing_to_a_transaction(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    cut = produce_data(topic_id, 0, records=batch(transactional=True)[:-3])
    request = ProduceRequest(transactional_id="nobody", acks=1, topic_data=[cut])
    told = connection.send(request, ProduceResponse, version)
    assert error_codes(told) == [[(0, ErrorCode.INVALID_RECORD)]]


@pytest.mark.parametrize("version", range(3))
def test_a_batch_of_magic_2_is_taken_before_clients_knew_them(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    data = produce_data(topic_id, 0, records=batch())
    told = connection.send(ProduceRequest(acks=1, topic_data=[data]), ProduceResponse, version)
    assert error_codes(told) == [[(0, 0)]]


@pytest.mark.parametrize("version", range(3))
@pytest.mark.parametrize("magic", range(3))
def test_a_set_without_a_whole_batch_is_taken_as_nothing_before_clients_knew_magic_2(
    connection: Connection, topic_id: bytes, version: int, magic: int
) -> None:
    whole = encode([Record(0, MS, b"k", b"v")], magic)
    for records in (b"", whole[:-3], whole[:10]):
        data = produce_data(topic_id, 0, records=records)
        told = connection.send(ProduceRequest(acks=1, topic_data=[data]), ProduceResponse, version)
        assert error_codes(told) == [[(0, 0)]]
        assert told.responses[0].partition_responses[0].base_offset == -1
    corrupt = produce_data(topic_id, 0, records=bytes(40))
    told = connection.send(ProduceRequest(acks=1, topic_data=[corrupt]), ProduceResponse, version)
    assert error_codes(told) == [[(0, ErrorCode.CORRUPT_MESSAGE)]]


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_a_refused_transaction_that_wants_no_answer_closes_the_connection(
    broker: Broker, topic_id: bytes, version: int
) -> None:
    data = produce_data(topic_id, 0, records=batch(transactional=True))
    request = ProduceRequest(transactional_id="nobody", acks=0, topic_data=[data])
    with Connection(broker.host, broker.port) as connection:
        connection.post(request, version)
        with pytest.raises(BrokerUnreachableError, match="closed the connection"):
            connection.receive_frame()


# --- Fetch


@pytest.mark.parametrize("version", FETCH_VERSIONS)
@pytest.mark.parametrize("level", [-1, 2])
def test_a_fetch_of_no_isolation_level_is_refused(
    connection: Connection, topic_id: bytes, version: int, level: int
) -> None:
    topic = FetchTopic(topic=TOPIC, topic_id=topic_id, partitions=[FetchPartition()])
    request = FetchRequest(isolation_level=level, session_id=7, session_epoch=-1, topics=[topic])
    told = connection.send(request, FetchResponse, version)
    code = ErrorCode.UNKNOWN_SERVER_ERROR
    assert told.error_code == (code if version >= 7 else 0)
    assert told.session_id == (7 if version >= 7 else 0)
    codes = [each.error_code for topic in told.responses for each in topic.partitions]
    assert codes == ([code] if version < 13 else [])


@pytest.mark.parametrize("version", range(7, FETCH_VERSIONS.stop))
def test_an_unknown_session_is_told_before_an_isolation_level_that_is_none(
    connection: Connection, topic_id: bytes, version: int
) -> None:
    topic = FetchTopic(topic=TOPIC, topic_id=topic_id, partitions=[FetchPartition()])
    request = FetchRequest(isolation_level=2, session_id=7, session_epoch=1, topics=[topic])
    told = connection.send(request, FetchResponse, version)
    assert (told.error_code, told.session_id) == (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0)
    assert told.responses == []


@pytest.mark.parametrize("version", FETCH_VERSIONS)
def test_where_nothing_is_to_be_read_no_isolation_level_is_looked_at(
    connection: Connection, version: int
) -> None:
    topic = FetchTopic(topic="none", topic_id=bytes(range(16)), partitions=[FetchPartition()])
    request = FetchRequest(isolation_level=2, topics=[topic], session_epoch=-1)
    told = connection.send(request, FetchResponse, version)
    assert told.error_code == 0
    assert [len(topic.partitions) for topic in told.responses] == [1]


@pytest.mark.parametrize("version", FETCH_VERSIONS)
@pytest.mark.parametrize("epoch", [-1, 0])
def test_a_partition_that_is_fetched_twice_is_read_as_it_was_named_last(
    connection: Connection, topic_id: bytes, version: int, epoch: int
) -> None:
    partitions = [
        FetchPartition(partition=1, fetch_offset=each, partition_max_bytes=100) for each in (9, 0)
    ]
    topic = FetchTopic(topic=TOPIC, topic_id=topic_id, partitions=partitions)
    request = FetchRequest(max_wait_ms=0, max_bytes=100, session_epoch=epoch, topics=[topic])
    told = connection.send(request, FetchResponse, version)
    ((answer,),) = [topic.partitions for topic in told.responses]
    assert answer.error_code == 0


@pytest.mark.parametrize("version", range(7, FETCH_VERSIONS.stop))
def test_who_begins_a_session_with_nothing_has_one(connection: Connection, version: int) -> None:
    begun = connection.send(FetchRequest(session_epoch=0), FetchResponse, version)
    assert begun.session_id != 0
    request = FetchRequest(session_id=begun.session_id, session_epoch=1)
    assert connection.send(request, FetchResponse, version).session_id == begun.session_id


@pytest.mark.parametrize("version", range(FETCH_VERSIONS.start))
def test_an_old_client_gets_no_record_before_the_offset_that_it_asks_for(
    broker: Broker, connection: Connection, version: int
) -> None:
    topic = f"old-{version}"
    data = produce_data(made(broker, topic), 0, records=batch(records=3))
    data.name = topic
    told = connection.send(ProduceRequest(acks=1, topic_data=[data]), ProduceResponse, 3)
    assert error_codes(told) == [[(0, 0)]]
    partition = FetchPartition(fetch_offset=1, partition_max_bytes=1_000)
    request = FetchRequest(topics=[FetchTopic(topic=topic, partitions=[partition])])
    (answer,) = connection.send(request, FetchResponse, version).responses[0].partitions
    read = decode(answer.records, fetched_magic(version))
    assert [each.offset for each in read] == [1, 2]


# --- offsets of groups


@pytest.mark.usefixtures("topic_id")
@pytest.mark.parametrize("version", range(2, TABLE[ApiKey.OFFSET_COMMIT].max_version + 1))
def test_an_unknown_topic_is_answered_though_nothing_is_committed_of_it(
    connection: Connection, version: int
) -> None:
    topics = [OffsetCommitRequestTopic(name=name) for name in ("missing", TOPIC)]
    request = OffsetCommitRequest(group_id="g", topics=topics)
    told = connection.send(request, OffsetCommitResponse, version)
    assert [(topic.name, topic.partitions) for topic in told.topics] == [("missing", [])]


@pytest.mark.usefixtures("topic_id")
@pytest.mark.parametrize("version", range(TABLE[ApiKey.TXN_OFFSET_COMMIT].max_version + 1))
def test_an_unknown_topic_is_answered_though_a_transaction_commits_nothing_of_it(
    connection: Connection, version: int
) -> None:
    topics = [TxnOffsetCommitRequestTopic(name=name) for name in ("missing", TOPIC)]
    request = TxnOffsetCommitRequest(transactional_id="x", group_id="g", topics=topics)
    told = connection.send(request, TxnOffsetCommitResponse, version)
    assert [(topic.name, topic.partitions) for topic in told.topics] == [("missing", [])]


# --- ListOffsets


@pytest.mark.parametrize("version", LIST_VERSIONS)
@pytest.mark.parametrize("level", [-1, 2])
def test_offsets_of_no_isolation_level_are_refused(
    connection: Connection, version: int, level: int
) -> None:
    topic = ListOffsetsTopic(name=TOPIC, partitions=[ListOffsetsPartition(timestamp=-1)])
    request = ListOffsetsRequest(isolation_level=level, topics=[topic])
    told = connection.send(request, ListOffsetsResponse, version)
    assert listed(told) == [[(0, ErrorCode.UNKNOWN_SERVER_ERROR)]]


@pytest.mark.parametrize("version", LIST_VERSIONS)
@pytest.mark.usefixtures("topic_id")
def test_an_offset_that_is_asked_for_twice_is_refused_once(
    connection: Connection, version: int
) -> None:
    topics = [
        ListOffsetsTopic(
            name=TOPIC,
            partitions=[ListOffsetsPartition(partition_index=each, timestamp=-1) for each in named],
        )
        for named in ((0, 1), (), (0,))
    ]
    told = connection.send(ListOffsetsRequest(topics=topics), ListOffsetsResponse, version)
    assert listed(told) == [[(0, ErrorCode.INVALID_REQUEST), (1, 0)]]


@pytest.mark.usefixtures("topic_id")
def test_v0_is_answered_each_offset_that_it_asks_for(connection: Connection) -> None:
    partition = ListOffsetsPartition(timestamp=-1, max_num_offsets=1)
    topics = [ListOffsetsTopic(name=TOPIC, partitions=[partition] * count) for count in (0, 2)]
    told = connection.send(ListOffsetsRequest(topics=topics), ListOffsetsResponse, 0)
    assert listed(told) == [[], [(0, 0), (0, 0)]]


def listed(told: ListOffsetsResponse) -> list[list[tuple[int, int]]]:
    return [
        [(each.partition_index, each.error_code) for each in topic.partitions]
        for topic in told.topics
    ]


# --- CreateTopics


def test_a_topic_that_is_only_validated_is_told_an_id(broker: Broker) -> None:
    assert made(broker, "validated", validate_only=True) != bytes(16)
