"""Clients that load a broker until it is killed, and remember what they were told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.connection import Connection
from datacore.client.errors import ClientError
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, decode_records, encode_batch

TOPIC = "crash"
PARTITIONS = 3
PRODUCERS = 4
PRODUCE_VERSION = 9
FETCH_VERSION = 12

Place = tuple[int, int]
"""Partition and offset."""


@dataclass
class History:
    """What clients were told; shared by their threads."""

    acknowledged: dict[Place, bytes] = field(default_factory=dict)
    seen: dict[Place, bytes] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    kill_at: int = 0
    enough: threading.Event = field(default_factory=threading.Event)

    def acknowledge(self, place: Place, value: bytes) -> None:
        with self.lock:
            if self.acknowledged.setdefault(place, value) != value:
                self.contradictions.append(f"{place} was acknowledged twice")
            if len(self.acknowledged) >= self.kill_at:
                self.enough.set()

    def see(self, place: Place, value: bytes) -> None:
        with self.lock:
            if self.seen.setdefault(place, value) != value:
                self.contradictions.append(f"{place} was seen with two values")


class Refused(Exception):
    """The broker has answered with an error."""


class Producer:
    """Sends numbered batches one after the other until its connection dies."""

    def __init__(
        self, number: int, history: History, *, idempotent: bool, is_patient: bool = False
    ) -> None:
        self.number = number
        self.history = history
        self.idempotent = idempotent
        self.is_patient = is_patient
        """What is refused is left, and others are sent; the refused may be stored or not."""
        self.sent = 0

    def run(self, address: tuple[str, int]) -> None:
        try:
            with Connection(*address) as connection:
                while True:
                    try:
                        self.send_without_end(connection)
                    except Refused:
                        if not self.is_patient:
                            raise
        except ClientError:
            return  # the broker was killed

    def send_without_end(self, connection: Connection) -> None:
        producer_id, epoch = -1, -1
        if self.idempotent:
            answer = connection.send(
                InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 4
            )
            if answer.error_code != ErrorCode.NONE:
                raise Refused(ErrorCode(answer.error_code).name)
            producer_id, epoch = answer.producer_id, answer.producer_epoch
        sequences = [0] * PARTITIONS
        while True:
            self.send_one(connection, self.sent % PARTITIONS, producer_id, epoch, sequences)

    def send_one(
        self,
        connection: Connection,
        partition: int,
        producer_id: int,
        epoch: int,
        sequences: list[int],
    ) -> None:
        values = [f"{self.number}-{self.sent}-{at}".encode() for at in range(1 + self.sent % 3)]
        self.sent += 1
        batch = encode_batch(
            [Record(at, 1, None, value, []) for at, value in enumerate(values)],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequences[partition] if producer_id >= 0 else -1,
        )
        data = PartitionProduceData(index=partition, records=bytes(batch))
        request = ProduceRequest(
            acks=-1,
            timeout_ms=30_000,
            topic_data=[TopicProduceData(name=TOPIC, partition_data=[data])],
        )
        answer = connection.send(request, ProduceResponse, PRODUCE_VERSION)
        [result] = answer.responses[0].partition_responses
        if result.error_code != ErrorCode.NONE:
            raise Refused(ErrorCode(result.error_code).name)
        sequences[partition] += len(values)
        for at, value in enumerate(values):
            self.history.acknowledge((partition, result.base_offset + at), value)


def fetch(
    connection: Connection, partition: int, offset: int, *, max_wait_ms: int = 100
) -> FetchedPartition:
    """The answer to one Fetch, from ``offset`` on, which waits a little for records."""
    wanted = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    answer = connection.send(
        FetchRequest(
            max_wait_ms=max_wait_ms,
            min_bytes=1,
            topics=[FetchTopic(topic=TOPIC, partitions=[wanted])],
        ),
        FetchResponse,
        FETCH_VERSION,
    )
    [result] = answer.responses[0].partitions
    return result


def records_of(result: FetchedPartition, offset: int) -> list[Record]:
    """What a Fetch brought, from ``offset`` on."""
    assert result.error_code == ErrorCode.NONE, ErrorCode(result.error_code).name
    data = memoryview(result.records or b"")
    return [
        record
        for at, header in iterate_headers(data)
        for record in decode_records(data[at : at + header.size], header, max_bytes=1 << 20)
        if record.offset >= offset
    ]


def read_along(address: tuple[str, int], partition: int, history: History) -> None:
    """Reads a partition from its start until the connection dies."""
    try:
        with Connection(*address) as connection:
            offset = 0
            while True:
                for record in records_of(fetch(connection, partition, offset), offset):
                    history.see((partition, record.offset), record.value or b"")
                    offset = record.offset + 1
    except ClientError:
        return  # the broker was killed


def create_topic(address: tuple[str, int]) -> None:
    with Connection(*address) as connection:
        answer = connection.send(
            MetadataRequest(topics=[MetadataRequestTopic(name=TOPIC)]), MetadataResponse, 9
        )
        assert answer.topics[0].error_code == ErrorCode.NONE
        assert len(answer.topics[0].partitions) == PARTITIONS
