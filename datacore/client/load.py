"""Load on a broker: batches that were encoded once, fetches that are counted and not decoded.

Rules: what is measured is the broker, so the client's part is kept small. The same few batches are
sent again and again, several requests in flight on one connection a broker; of what is fetched,
batch headers are read and no records. A program that makes and reads its own records is slower.

Kafka's counterparts: ``ProducerPerformance``, ``ConsumerPerformance``, ``EndToEndLatency``.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import check
from datacore.client.offsets import EARLIEST, LATEST, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.record.batch import iterate_headers
from datacore.record.compression import Codec
from datacore.record.records import Record, encode_batch

_VARIANTS: Final = 8
"""Different batches, so that neither disk nor compression sees one block only."""
_TIMEOUT_MS: Final = 30_000
_FETCH_BYTES: Final = 50 << 20
_PARTITION_BYTES: Final = 1 << 20
_FETCH_WAIT_MS: Final = 500


class Produced(NamedTuple):
    """One request that was answered, or with acks=0 sent."""

    records: int
    wait_s: float


class Fetched(NamedTuple):
    """One round of fetches."""

    records: int
    size_bytes: int


class _InFlight(NamedTuple):
    connection: Connection
    version: int
    correlation_id: int
    sent_s: float
    records: int


def produce_load(
    cluster: Cluster,
    topic: str,
    *,
    records: int,
    record_bytes: int,
    batch_records: int,
    acks: int,
    codec: Codec,
    in_flight: int,
    records_per_s: float | None,
    seed: int,
) -> Iterator[Produced]:
    """Writes records and yields each request as it is answered.

    Args:
        cluster: Where the topic lives.
        topic: Its name; partitions are written to in turn.
        records: How many.
        record_bytes: Size of each value.
        batch_records: Records a request.
        acks: 0, 1 or -1.
        codec: How batches are compressed.
        in_flight: Requests that wait for their answer at a time.
        records_per_s: The most to write; None is as fast as it goes.
        seed: Of the values.

    Raises:
        KafkaError: A batch was refused.
        ClientError: The broker is gone.
    """
    found = cluster.retrying(lambda: cluster.topic(topic))
    partitions = sorted(each.partition_index for each in found.partitions)
    whole, rest = divmod(records, batch_records)
    batches = _batches(batch_records, record_bytes, codec, seed, _VARIANTS if whole else 0)
    last = _batches(rest, record_bytes, codec, seed, 1 if rest else 0)
    waiting: deque[_InFlight] = deque()
    begun_s = time.perf_counter()
    for number in range(whole + len(last)):
        due_s = 0.0 if records_per_s is None else begun_s + number * batch_records / records_per_s
        while waiting and (len(waiting) >= in_flight or _is_answered(waiting[0], due_s)):
            yield _answered(waiting.popleft())
        time.sleep(max(0.0, due_s - time.perf_counter()))
        partition = partitions[number % len(partitions)]
        batch = batches[number % len(batches)] if number < whole else last[0]
        count = batch_records if number < whole else rest
        connection = cluster.leader(topic, partition)
        version = connection.version(ProduceRequest)
        request = _produce_request(topic, found.topic_id, partition, batch, acks)
        sent_s = time.perf_counter()
        correlation_id = connection.post(request, version)
        if acks == 0:
            yield Produced(count, time.perf_counter() - sent_s)
        else:
            waiting.append(_InFlight(connection, version, correlation_id, sent_s, count))
    while waiting:
        yield _answered(waiting.popleft())


def _is_answered(sent: _InFlight, due_s: float) -> bool:
    """Whether the answer is there, or comes before the next request is due."""
    return sent.connection.has_answer(max(0.0, due_s - time.perf_counter()))


def _produce_request(
    topic: str, topic_id: bytes, partition: int, batch: bytearray, acks: int
) -> ProduceRequest:
    data = PartitionProduceData(index=partition, records=batch)
    return ProduceRequest(
        acks=acks,
        timeout_ms=_TIMEOUT_MS,
        topic_data=[TopicProduceData(name=topic, topic_id=topic_id, partition_data=[data])],
    )


def _batches(
    count: int, record_bytes: int, codec: Codec, seed: int, variants: int
) -> Sequence[bytearray]:
    chance = random.Random(seed)  # noqa: S311  # load, no secret
    now_ms = time.time_ns() // 1_000_000
    return [
        encode_batch(
            [
                Record(timestamp_ms=now_ms, value=chance.randbytes(record_bytes))
                for _ in range(count)
            ],
            codec=codec,
        )
        for _ in range(variants)
    ]


def _answered(sent: _InFlight) -> Produced:
    response = sent.connection.take(ProduceResponse, sent.version, sent.correlation_id)
    for topic in response.responses:
        for each in topic.partition_responses:
            check(each.error_code, each.error_message)
    return Produced(sent.records, time.perf_counter() - sent.sent_s)


def fetch_load(cluster: Cluster, topic: str, *, from_latest: bool = False) -> Iterator[Fetched]:
    """Reads a topic for as long as the caller wants, and yields each round; one may be empty.

    Raises:
        KafkaError: A partition cannot be read.
        ClientError: The broker is gone.
    """
    found = cluster.retrying(lambda: cluster.topic(topic))
    wanted = [TopicPartition(topic, each.partition_index) for each in found.partitions]
    begin = find_offsets(cluster, wanted, LATEST if from_latest else EARLIEST)
    positions = {where: each.offset for where, each in begin.items()}
    while True:
        asked = [
            (
                cluster.broker(leader),
                _post_fetch(cluster.broker(leader), found.topic_id, led, positions),
            )
            for leader, led in cluster.by_leader(positions).items()
        ]
        records = size_bytes = 0
        for asked_of, (version, correlation_id) in asked:
            response = asked_of.take(FetchResponse, version, correlation_id)
            check(response.error_code)
            for answered in response.responses:
                for each in answered.partitions:
                    where = TopicPartition(topic, each.partition_index)
                    check(each.error_code, f"{topic}-{where.partition}")
                    data = memoryview(each.records or b"")
                    for _, header in iterate_headers(data):
                        positions[where] = header.next_offset
                        records += 0 if header.is_control else header.records_count
                    size_bytes += len(data)
        yield Fetched(records, size_bytes)


def _post_fetch(
    connection: Connection,
    topic_id: bytes,
    partitions: Sequence[TopicPartition],
    positions: dict[TopicPartition, int],
) -> tuple[int, int]:
    version = connection.version(FetchRequest)
    request = FetchRequest(
        max_wait_ms=_FETCH_WAIT_MS,
        min_bytes=1,
        max_bytes=_FETCH_BYTES,
        topics=[
            FetchTopic(
                topic=partitions[0].topic,
                topic_id=topic_id,
                partitions=[
                    FetchPartition(
                        partition=where.partition,
                        fetch_offset=positions[where],
                        partition_max_bytes=_PARTITION_BYTES,
                    )
                    for where in partitions
                ],
            )
        ],
    )
    return version, connection.post(request, version)


def end_to_end_latencies(
    cluster: Cluster,
    reader: Cluster,
    topic: str,
    *,
    records: int,
    record_bytes: int,
    acks: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[float]:
    """Writes one record at a time and yields the seconds until a waiting reader has it.

    Args:
        cluster: Where the topic lives, for writing.
        reader: The same, for reading: a fetch waits on it before the record is written.
        topic: Its name; partition 0 is used.
        records: How many.
        record_bytes: Size of each value.
        acks: 1 or -1.
        clock: Seconds.
    """
    where = TopicPartition(topic, 0)
    found = cluster.retrying(lambda: cluster.topic(topic))
    (begin,) = find_offsets(reader, [where], LATEST).values()
    positions = {where: begin.offset}
    value = bytes(record_bytes)
    for _ in range(records):
        reading = reader.leader(topic, where.partition)
        version, correlation_id = _post_fetch(reading, found.topic_id, [where], positions)
        writing = cluster.leader(topic, where.partition)
        batch = encode_batch([Record(timestamp_ms=time.time_ns() // 1_000_000, value=value)])
        request = _produce_request(topic, found.topic_id, where.partition, batch, acks)
        produce_version = writing.version(ProduceRequest)
        begun_s = clock()
        sent = _InFlight(
            writing, produce_version, writing.post(request, produce_version), begun_s, 1
        )
        while True:
            response = reading.take(FetchResponse, version, correlation_id)
            check(response.error_code)
            (answered,) = response.responses[0].partitions if response.responses else (None,)
            if answered is not None and answered.records:
                break
            version, correlation_id = _post_fetch(reading, found.topic_id, [where], positions)
        yield clock() - begun_s
        check(answered.error_code)
        for _, header in iterate_headers(memoryview(answered.records)):
            positions[where] = header.next_offset
        _answered(sent)
