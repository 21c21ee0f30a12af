"""kill -9 of the broker while it is written to and read from, and a checker of what came of it.

Several producers send batches with acks=all, some of them idempotent, and note what was
acknowledged; readers note what they saw. The broker is killed in full flow and started again on
the same data, many times. In the end every partition is read from its start, and:

- what was acknowledged stands at the offset that it was acknowledged at;
- what a reader has seen stands where it was seen;
- offsets have no holes, and none was acknowledged for two different records.
"""

from __future__ import annotations

import os
import random
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
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
from datacore.testing.broker_process import BrokerProcess

if TYPE_CHECKING:
    from tests.storage.postgresql_server import PostgresqlServer

TOPIC = "crash"
PARTITIONS = 3
PRODUCERS = 4
PRODUCE_VERSION = 9
FETCH_VERSION = 12
KILLS_QUICK = 3
KILLS_THOROUGH = 20
ACKNOWLEDGED_BETWEEN_KILLS = (50, 600)

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


class Producer:
    """Sends numbered batches one after the other until its connection dies."""

    def __init__(self, number: int, history: History, *, idempotent: bool) -> None:
        self.number = number
        self.history = history
        self.idempotent = idempotent
        self.sent = 0

    def run(self, address: tuple[str, int]) -> None:
        try:
            with Connection(*address) as connection:
                producer_id, epoch = -1, -1
                if self.idempotent:
                    answer = connection.send(
                        InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 4
                    )
                    producer_id, epoch = answer.producer_id, answer.producer_epoch
                sequences = [0] * PARTITIONS
                while True:
                    partition = self.sent % PARTITIONS
                    self._send_one(connection, partition, producer_id, epoch, sequences)
        except ClientError:
            return  # the broker was killed

    def _send_one(
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
        assert result.error_code == ErrorCode.NONE, ErrorCode(result.error_code).name
        sequences[partition] += len(values)
        for at, value in enumerate(values):
            self.history.acknowledge((partition, result.base_offset + at), value)


def fetched(connection: Connection, partition: int, offset: int) -> list[Record]:
    """The records of one Fetch, from ``offset`` on; waits up to 100 ms for some."""
    wanted = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    answer = connection.send(
        FetchRequest(
            max_wait_ms=100,
            min_bytes=1,
            topics=[FetchTopic(topic=TOPIC, partitions=[wanted])],
        ),
        FetchResponse,
        FETCH_VERSION,
    )
    [result] = answer.responses[0].partitions
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
                for record in fetched(connection, partition, offset):
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


def stored(address: tuple[str, int]) -> dict[Place, bytes]:
    """Everything in the topic, read from the start; asserts that offsets have no holes."""
    contents: dict[Place, bytes] = {}
    with Connection(*address) as connection:
        for partition in range(PARTITIONS):
            offset = 0
            while records := fetched(connection, partition, offset):
                for record in records:
                    assert record.offset == offset, f"a hole before {record.offset}"
                    contents[partition, offset] = record.value or b""
                    offset += 1
    return contents


@pytest.fixture(params=["disk", "postgresql"])
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a broker is told of its engine."""
    if request.param == "disk":
        return {}
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return {
        "storage_engine": "postgresql",
        "postgresql_host": server.host,
        "postgresql_schema": f"kill_{uuid.uuid4().hex}",
    }


def test_nothing_acknowledged_is_lost_and_no_offset_is_given_twice_when_the_broker_is_killed(
    engine: dict[str, Any],
) -> None:
    kills = KILLS_THOROUGH if os.environ.get("DATACORE_HYPOTHESIS") else KILLS_QUICK
    chance = random.Random(20261121)
    history = History()
    producers = [Producer(n, history, idempotent=n % 2 == 0) for n in range(PRODUCERS)]
    with BrokerProcess(num_partitions=PARTITIONS, **engine) as broker:
        create_topic((broker.host, broker.port))
        for _ in range(kills):
            history.enough.clear()
            history.kill_at = len(history.acknowledged) + chance.randint(
                *ACKNOWLEDGED_BETWEEN_KILLS
            )
            address = (broker.host, broker.port)
            clients = [
                threading.Thread(target=producer.run, args=(address,)) for producer in producers
            ]
            clients += [
                threading.Thread(target=read_along, args=(address, partition, history))
                for partition in range(PARTITIONS)
            ]
            for client in clients:
                client.start()
            assert history.enough.wait(60), "the producers got too few acknowledgements"
            broker.kill()
            for client in clients:
                client.join()
            broker.start()
        contents = stored((broker.host, broker.port))
    assert history.contradictions == []
    lost = {place for place, value in history.acknowledged.items() if contents.get(place) != value}
    assert lost == set(), f"{len(lost)} of {len(history.acknowledged)} acknowledged records"
    unseen = {place for place, value in history.seen.items() if contents.get(place) != value}
    assert unseen == set(), "a reader saw what is no longer there"
    print(f"{kills} kills, {len(history.acknowledged)} acknowledged, {len(contents)} stored")


@pytest.mark.parametrize("sync", [True, False])
def test_a_clean_stop_and_start_keeps_everything(*, sync: bool) -> None:
    history = History(kill_at=200)
    with BrokerProcess(num_partitions=PARTITIONS, disk_sync=sync) as broker:
        address = (broker.host, broker.port)
        create_topic(address)
        client = threading.Thread(target=Producer(0, history, idempotent=True).run, args=(address,))
        client.start()
        assert history.enough.wait(60)
        assert broker.stop() == 0
        client.join()
        broker.start()
        contents = stored((broker.host, broker.port))
    assert contents.items() >= history.acknowledged.items()
