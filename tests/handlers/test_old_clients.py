"""Message sets of clients before Kafka 0.11: large ones are converted where nobody else waits."""

import threading
from collections.abc import Callable, Iterator

import pytest

from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.broker import down_conversion, preparation
from datacore.client.admin import create_topic
from datacore.client.cluster import Address, Cluster
from datacore.client.connection import Connection
from datacore.client.errors import BrokerUnreachableError
from datacore.record.compression import Codec
from datacore.record.legacy import encode_message, parse_message_set
from datacore.record.records import Record, encode_batch
from datacore.testing.broker import Broker

LARGE = 200_000
PATIENCE_S = 30.0


class Gate:
    """Stands before a conversion in a thread; the event loop's own pass through."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()
        self.threads: set[int] = set()

    def wait(self) -> None:
        self.begun.set()
        self.threads.add(threading.get_ident())
        assert self.opened.wait(PATIENCE_S)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        with Cluster([Address(broker.host, broker.port)]) as cluster:
            create_topic(cluster, "t", partitions=2)
            create_topic(cluster, "zipped", configs={"compression.type": "gzip"})
        yield broker


@pytest.fixture
def old(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port) as connection:
        yield connection


@pytest.fixture
def other(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port) as connection:
        yield connection


def gated(monkeypatch: pytest.MonkeyPatch, module: object, name: str, size: int) -> Gate:
    """Conversions of so many bytes or more wait."""
    gate = Gate()
    convert: Callable[..., object] = getattr(module, name)

    def wait_and_convert(records: memoryview, *args: object, **kwargs: object) -> object:
        if len(records) >= size:
            gate.wait()
        return convert(records, *args, **kwargs)

    monkeypatch.setattr(module, name, wait_and_convert)
    return gate


def message_set(*values: bytes) -> bytes:
    return b"".join(
        encode_message(Record(at, 1_000, b"k", value), 1) for at, value in enumerate(values)
    )


def produce_request(
    records: bytes, *, topic: str = "t", partition: int = 0, acks: int = -1
) -> ProduceRequest:
    data = PartitionProduceData(index=partition, records=records)
    return ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[data])],
    )


def offset_of(answer: ProduceResponse) -> int:
    (result,) = answer.responses[0].partition_responses
    assert result.error_code == 0
    return result.base_offset


def end_offset(connection: Connection, topic: str = "t") -> int:
    asked = ListOffsetsPartition(partition_index=0, timestamp=-1)
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=topic, partitions=[asked])])
    answer = connection.send(request, ListOffsetsResponse, 5)
    return answer.topics[0].partitions[0].offset


def fetch_request(topic: str = "t") -> FetchRequest:
    asked = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 24)
    return FetchRequest(
        max_wait_ms=100, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[asked])]
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_large_message_set_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch, old: Connection, other: Connection, version: int
) -> None:
    gate = gated(monkeypatch, preparation, "prepare_message_set", LARGE)
    old.post(produce_request(message_set(bytes(LARGE)), acks=0), version)
    assert gate.begun.wait(PATIENCE_S)
    small = produce_request(message_set(b"small"))
    assert offset_of(other.send(small, ProduceResponse, version)) == 0
    gate.opened.set()
    assert offset_of(old.send(small, ProduceResponse, version)) == 2


def test_message_sets_of_a_connection_stay_in_order(
    monkeypatch: pytest.MonkeyPatch, old: Connection, other: Connection
) -> None:
    gate = gated(monkeypatch, preparation, "prepare_message_set", LARGE)
    for at in range(3):
        old.post(produce_request(message_set(bytes([at]) * LARGE), acks=0), 2)
        old.post(produce_request(message_set(bytes([at])), acks=0), 2)
    assert gate.begun.wait(PATIENCE_S)
    assert end_offset(other) == 0
    gate.opened.set()
    assert offset_of(old.send(produce_request(message_set(b"last")), ProduceResponse, 2)) == 6
    (fetched,) = other.send(fetch_request(), FetchResponse, 3).responses[0].partitions
    values = [record.value for record in parse_message_set(fetched.records or b"").records]
    assert [(value or b"")[:1] for value in values] == [
        b"\0",
        b"\0",
        b"\1",
        b"\1",
        b"\2",
        b"\2",
        b"l",
    ][: len(values)]


@pytest.mark.parametrize("sizes", [(10, 20), (LARGE, 2 * LARGE), (10, LARGE), (LARGE, 10)])
def test_a_partition_that_a_request_names_twice_takes_both_message_sets_in_order(
    old: Connection, sizes: tuple[int, int]
) -> None:
    data = [PartitionProduceData(records=message_set(bytes(size))) for size in sizes]
    topics = [TopicProduceData(name="t", partition_data=[each]) for each in data]
    request = ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=topics)
    (topic,) = old.send(request, ProduceResponse, 2).responses
    results = topic.partition_responses
    assert [(result.error_code, result.base_offset) for result in results] == [(0, 0), (0, 1)]
    for offset, size in enumerate(sizes):
        fetch = fetch_request()
        fetch.topics[0].partitions[0].fetch_offset = offset
        (fetched,) = old.send(fetch, FetchResponse, 3).responses[0].partitions
        record = parse_message_set(fetched.records or b"").records[0]
        assert (record.offset, len(record.value or b"")) == (offset, size)


def test_a_message_set_that_is_refused_without_an_answer_closes_the_connection(
    old: Connection, other: Connection
) -> None:
    damaged = bytearray(message_set(bytes(LARGE)))
    damaged[-1] ^= 1
    old.post(produce_request(bytes(damaged), acks=0), 2)
    with pytest.raises(BrokerUnreachableError):
        old.send(produce_request(message_set(b"small")), ProduceResponse, 2)
    assert end_offset(other) == 0


def test_a_batch_without_an_answer_is_recompressed_where_nobody_else_waits(
    monkeypatch: pytest.MonkeyPatch, old: Connection, other: Connection
) -> None:
    gate = gated(monkeypatch, preparation, "prepare", LARGE)
    batch = encode_batch([Record(0, 1_000, b"k", bytes(LARGE))])
    old.post(produce_request(bytes(batch), topic="zipped", acks=0), 9)
    assert gate.begun.wait(PATIENCE_S)
    assert end_offset(other, "zipped") == 0
    gate.opened.set()
    small = encode_batch([Record(0, 1_000, b"k", b"small")])
    request = produce_request(bytes(small), topic="zipped")
    assert offset_of(old.send(request, ProduceResponse, 9)) == 1


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
@pytest.mark.parametrize("version", [0, 3])
def test_what_an_old_client_fetches_is_converted_where_nobody_else_waits(
    monkeypatch: pytest.MonkeyPatch,
    old: Connection,
    other: Connection,
    version: int,
    codec: Codec,
) -> None:
    batch = encode_batch([Record(0, 1_000, b"k", bytes(LARGE))], codec=codec)
    assert offset_of(other.send(produce_request(bytes(batch)), ProduceResponse, 9)) == 0
    gate = gated(monkeypatch, down_conversion, "down_convert", 0)
    answers: list[FetchResponse] = []
    fetch = threading.Thread(
        target=lambda: answers.append(old.send(fetch_request(), FetchResponse, version))
    )
    fetch.start()
    assert gate.begun.wait(PATIENCE_S)
    assert end_offset(other) == 1
    gate.opened.set()
    fetch.join()
    (fetched,) = answers[0].responses[0].partitions
    (record,) = parse_message_set(fetched.records or b"").records
    assert (record.offset, record.value) == (0, bytes(LARGE))


def test_a_little_is_converted_at_once(monkeypatch: pytest.MonkeyPatch, old: Connection) -> None:
    gates = [
        gated(monkeypatch, preparation, "prepare_message_set", 0),
        gated(monkeypatch, down_conversion, "down_convert", 0),
    ]
    for gate in gates:
        gate.opened.set()
    small = produce_request(message_set(b"small"))
    assert offset_of(old.send(small, ProduceResponse, 2)) == 0
    (fetched,) = old.send(fetch_request(), FetchResponse, 3).responses[0].partitions
    assert parse_message_set(fetched.records or b"").records[0].value == b"small"
    assert gates[0].threads == gates[1].threads  # both on the event loop's
