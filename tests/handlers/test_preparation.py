"""Batches that take more than a look at their header: another codec, keys, the age of records."""

import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.admin import create_topic
from datacore.client.cluster import Address, Cluster
from datacore.client.connection import Connection
from datacore.record.batch import BatchHeader, clear_log_append_time, iterate_headers
from datacore.record.compression import Codec
from datacore.record.records import Record, decode_records, encode_batch
from datacore.testing.broker import Broker
from tests.oracle.apache_kafka import java_command

VERSION = 9
TOPICS = {"uncompressed": Codec.NONE} | {
    codec.name.lower(): codec for codec in Codec if codec is not Codec.NONE
}
LARGE = 200_000
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        with Cluster([Address(broker.host, broker.port)]) as cluster:
            for name in TOPICS:
                create_topic(cluster, name, configs={"compression.type": name})
            stamped = {"compression.type": "zstd", "message.timestamp.type": "LogAppendTime"}
            create_topic(cluster, "stamped", configs=stamped)
            create_topic(cluster, "compacted", configs={"cleanup.policy": "compact"})
            create_topic(
                cluster, "young", configs={"message.timestamp.before.max.ms": str(HOUR_MS)}
            )
        yield broker


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    with Connection(broker.host, broker.port) as connection:
        yield connection


def produce_request(topic: str, *batches: bytearray, acks: int = -1) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            TopicProduceData(
                name=topic,
                partition_data=[PartitionProduceData(index=0, records=batch) for batch in batches],
            )
        ],
    )


def result_of(answer: ProduceResponse) -> tuple[int, int]:
    (result,) = answer.responses[0].partition_responses
    return result.error_code, result.base_offset


def produce(connection: Connection, topic: str, batch: bytearray) -> tuple[int, int]:
    return result_of(connection.send(produce_request(topic, batch), ProduceResponse, VERSION))


def stored(
    connection: Connection, topic: str, offset: int
) -> list[tuple[BatchHeader, list[Record]]]:
    asked = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 24)
    request = FetchRequest(
        max_bytes=1 << 24, session_epoch=-1, topics=[FetchTopic(topic=topic, partitions=[asked])]
    )
    (partition,) = connection.send(request, FetchResponse, 11).responses[0].partitions
    view = memoryview(bytes(partition.records or b""))
    return [
        (header, decode_records(view[at : at + header.size], header))
        for at, header in iterate_headers(view)
    ]


def records(size: int) -> list[Record]:
    return [
        Record(0, 1_000 + at, b"key", bytes([at]) * (size // 2), [("h", None)]) for at in range(2)
    ]


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("topic", TOPICS)
def test_a_batch_is_stored_in_the_codec_of_its_topic(
    connection: Connection, topic: str, codec: Codec, size: int
) -> None:
    sent = records(size)
    error_code, offset = produce(connection, topic, encode_batch(sent, codec=codec))
    assert error_code == 0
    ((header, found),) = stored(connection, topic, offset)
    assert header.codec == TOPICS[topic]
    assert (header.base_offset, header.records_count, header.last_offset_delta) == (offset, 2, 1)
    for at, record in enumerate(sent):
        record.offset = offset + at
    assert found == sent


def test_what_is_in_the_codec_of_its_topic_stays_as_it_came(connection: Connection) -> None:
    batch = encode_batch(records(1000), codec=Codec.GZIP, level=1)
    _, offset = produce(connection, "gzip", batch)
    ((header, _),) = stored(connection, "gzip", offset)
    assert header.size == len(batch)


def test_a_small_batch_that_holds_much_is_large(connection: Connection) -> None:
    sent = [Record(0, 1000, b"key", bytes(10 << 20))]
    batch = encode_batch(sent, codec=Codec.ZSTD)
    assert len(batch) < 16_000
    error_code, offset = produce(connection, "gzip", batch)
    assert error_code == 0
    ((header, (found,)),) = stored(connection, "gzip", offset)
    assert header.codec == Codec.GZIP
    assert found.value == bytes(10 << 20)


def test_batches_of_a_connection_stay_in_order(connection: Connection) -> None:
    sizes = [LARGE, 10, LARGE, 10, 10]
    asked = [
        connection.post(produce_request("zstd", encode_batch(records(size))), VERSION)
        for size in sizes
    ]
    offsets = []
    for correlation_id in asked:
        error_code, offset = result_of(connection.take(ProduceResponse, VERSION, correlation_id))
        assert error_code == 0
        offsets.append(offset)
    assert offsets == [offsets[0] + 2 * at for at in range(len(sizes))]
    found = [len(each.value or b"") for _, (each, _) in stored(connection, "zstd", offsets[0])]
    assert found == [size // 2 for size in sizes]


def test_an_idempotent_producers_retry_is_known(connection: Connection) -> None:
    def batch() -> bytearray:
        return encode_batch(records(LARGE), producer_id=5, producer_epoch=0, base_sequence=0)

    first = produce(connection, "lz4", batch())
    assert produce(connection, "lz4", batch()) == first


def test_log_append_time_is_set_in_what_was_recompressed(connection: Connection) -> None:
    _, offset = produce(connection, "stamped", encode_batch(records(LARGE)))
    ((header, found),) = stored(connection, "stamped", offset)
    assert header.codec == Codec.ZSTD
    assert header.has_log_append_time
    assert {record.timestamp_ms for record in found} == {header.max_timestamp}


@pytest.mark.parametrize("size", [100, LARGE])
def test_what_does_not_decompress_is_refused_alone(connection: Connection, size: int) -> None:
    bad = encode_batch(records(size))
    bad[22] = Codec.GZIP
    clear_log_append_time(memoryview(bad))
    error_code, _ = produce(connection, "zstd", bad)
    assert error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    wrong_crc = encode_batch(records(size))
    wrong_crc[-1] ^= 1
    error_code, _ = produce(connection, "zstd", wrong_crc)
    assert error_code == ErrorCode.CORRUPT_MESSAGE
    assert produce(connection, "zstd", encode_batch(records(size)))[0] == 0


@pytest.mark.parametrize("sizes", [(10, 20), (LARGE, 2 * LARGE), (10, LARGE), (LARGE, 10)])
def test_a_partition_that_a_request_names_twice_takes_both_batches_in_order(
    connection: Connection, sizes: tuple[int, int]
) -> None:
    request = produce_request("zstd", *[encode_batch(records(size)) for size in sizes])
    answer = connection.send(request, ProduceResponse, VERSION)
    results = answer.responses[0].partition_responses
    assert [result.error_code for result in results] == [0, 0]
    first, second = (result.base_offset for result in results)
    assert second == first + 2
    found = [len(each.value or b"") for _, (each, _) in stored(connection, "zstd", first)]
    assert found == [size // 2 for size in sizes]


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_batch_is_refused_alone_though_its_partition_is_named_twice(
    connection: Connection, size: int
) -> None:
    bad = encode_batch(records(size))
    bad[-1] ^= 1
    request = produce_request("zstd", bad, encode_batch(records(size)))
    answer = connection.send(request, ProduceResponse, VERSION)
    refused, taken = answer.responses[0].partition_responses
    assert (refused.error_code, refused.base_offset) == (ErrorCode.CORRUPT_MESSAGE, -1)
    assert taken.error_code == 0
    assert len(stored(connection, "zstd", taken.base_offset)) == 1


def test_without_an_answer_a_batch_is_recompressed_too(connection: Connection) -> None:
    _, before = produce(connection, "lz4", encode_batch(records(10)))
    connection.post(produce_request("lz4", encode_batch(records(LARGE)), acks=0), VERSION)
    _, after = produce(connection, "lz4", encode_batch(records(10)))
    assert after == before + 4
    assert {header.codec for header, _ in stored(connection, "lz4", before)} == {Codec.LZ4}


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
def test_a_compacted_topic_takes_no_record_without_a_key(
    connection: Connection, codec: Codec, size: int
) -> None:
    sent = records(size)
    assert produce(connection, "compacted", encode_batch(sent, codec=codec))[0] == 0
    sent[1].key = None
    request = produce_request("compacted", encode_batch(sent, codec=codec))
    answer = connection.send(request, ProduceResponse, VERSION)
    (result,) = answer.responses[0].partition_responses
    assert result.error_code == ErrorCode.INVALID_RECORD
    assert [each.batch_index for each in result.record_errors] == [1]


@pytest.mark.parametrize("size", [100, LARGE])
def test_no_record_may_be_older_than_its_topic_allows(connection: Connection, size: int) -> None:
    now_ms = int(time.time() * 1000)
    sent = [Record(0, now_ms, b"key", bytes(size)) for _ in range(3)]
    assert produce(connection, "young", encode_batch(sent))[0] == 0
    sent[1].timestamp_ms = -1
    assert produce(connection, "young", encode_batch(sent))[0] == 0
    sent[2].timestamp_ms = now_ms - 2 * HOUR_MS
    request = produce_request("young", encode_batch(sent))
    answer = connection.send(request, ProduceResponse, VERSION)
    (result,) = answer.responses[0].partition_responses
    assert result.error_code == ErrorCode.INVALID_TIMESTAMP
    assert [each.batch_index for each in result.record_errors] == [2]


def test_levels_are_those_of_the_topic(broker: Broker, connection: Connection) -> None:
    with Cluster([Address(broker.host, broker.port)]) as cluster:
        for level in (1, 9):
            configs = {"compression.type": "gzip", "compression.gzip.level": str(level)}
            create_topic(cluster, f"gzip-{level}", configs=configs)
    text = b" ".join(b"%d" % (at * at) for at in range(3000))
    batch = encode_batch([Record(0, 1000, b"key", text)])
    sizes = []
    for level in (1, 9):
        _, offset = produce(connection, f"gzip-{level}", bytearray(batch))
        ((header, _),) = stored(connection, f"gzip-{level}", offset)
        sizes.append(header.size)
    assert sizes[0] > sizes[1] > len(zlib.compress(text, 9)) - 100


@pytest.mark.compat
@pytest.mark.skipif(
    shutil.which("java") is None or shutil.which("mvn") is None,
    reason="Java has not read it: java or mvn is missing",
)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("topic", TOPICS)
def test_java_reads_what_was_recompressed(broker: Broker, topic: str) -> None:
    name = f"java-{topic}"
    text = b" ".join(b"%d" % (at * at) for at in range(20_000))
    with Cluster([Address(broker.host, broker.port)]) as cluster:
        create_topic(cluster, name, configs={"compression.type": topic})
    with Connection(broker.host, broker.port) as connection:
        for codec in Codec:
            sent = [Record(0, 1000, b"key", text), Record(0, 1000, b"key", b"small")]
            assert produce(connection, name, encode_batch(sent, codec=codec))[0] == 0
    arguments = [
        *("--bootstrap-server", f"{broker.host}:{broker.port}", "--topic", name),
        *("--from-beginning", "--max-messages", str(2 * len(Codec)), "--timeout-ms", "60000"),
    ]
    done = subprocess.run(
        java_command("4.1.1", "org.apache.kafka.tools.consumer.ConsoleConsumer", arguments),
        capture_output=True,
        check=True,
    )
    assert done.stdout.splitlines() == [text, b"small"] * len(Codec)
