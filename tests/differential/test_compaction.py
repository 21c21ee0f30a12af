"""Apache Kafka and DataCore keep the same records of the same compacted log.

A random history is produced to Apache Kafka: records with and without keys, tombstones, several
codecs, idempotent producers, transactions that are committed and aborted. What stands in its log
then is appended to a log of ours, batch by batch. Both are compacted, more is appended to both, and
so on; after each round what is left is the same.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio
import msgspec
import pytest

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from datacore._generated.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import RETRIABLE, ErrorCode
from datacore._generated.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.connection import Connection
from datacore.log.cleaner import clean, look
from datacore.log.config import LogConfig
from datacore.log.key_offsets import KeyOffsets
from datacore.log.pace import Pace
from datacore.log.partition_log import PartitionLog
from datacore.record.batch import BatchHeader, iterate_headers
from datacore.record.compression import Codec
from datacore.record.control import decode_end_transaction_marker
from datacore.record.records import Record, decode_records, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import LogName, SegmentLimits
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

SEGMENT_MS = 100
"""Of the batches' own time, which a history moves on by 10 ms a batch."""
ROUNDS = 5
BATCHES_A_ROUND = 120
TIMEOUT_S = 60.0
TOPIC_RESOURCE = 2
SET = 0
TRANSACTIONS = 1


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    properties = {"log.cleaner.backoff.ms": "50", "log.cleaner.dedupe.buffer.size": "8388608"}
    with ApacheKafka("4.1.1", properties=properties, heap="512m") as kafka:
        yield kafka


class Kept(NamedTuple):
    """One batch, as far as both must agree about it."""

    base_offset: int
    last_offset: int
    is_control: bool
    records: tuple[tuple[int, bytes | None, bytes | None, int], ...]


class History:
    """A random life of one partition, written to Apache Kafka."""

    def __init__(self, connection: Connection, topic: str, random: Random) -> None:
        self.connection = connection
        self.topic = topic
        self.random = random
        self.now_ms = int(time.time() * 1000) - 3_600_000
        self.find_coordinators()
        self.idempotent = [self.producer_id(None) for _ in range(2)]
        self.transactional = {
            f"{topic}-{name}": self.producer_id(f"{topic}-{name}") for name in ("one", "two")
        }
        self.sequences: dict[int, int] = {}

    def find_coordinators(self) -> None:
        """Has Apache Kafka make the topic of transactions."""
        request = FindCoordinatorRequest(key=self.topic, key_type=TRANSACTIONS)
        deadline = time.monotonic() + TIMEOUT_S
        while self.connection.send(request, FindCoordinatorResponse, 3).error_code != 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def producer_id(self, transactional_id: str | None) -> tuple[int, int]:
        request = InitProducerIdRequest(
            transactional_id=transactional_id, transaction_timeout_ms=60_000
        )
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self.connection.send(request, InitProducerIdResponse, 4)
            if answer.error_code == 0:
                return answer.producer_id, answer.producer_epoch
            assert answer.error_code in RETRIABLE
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def write(self, batches: int) -> None:
        # Taken only once the log is not compacted any more: an altered config takes a while.
        self.produce(-1, -1, keyless=True)
        for _ in range(batches):
            match self.random.choices(["plain", "idempotent", "transaction"], [5, 3, 2])[0]:
                case "plain":
                    self.produce(-1, -1)
                case "idempotent":
                    self.produce(*self.random.choice(self.idempotent))
                case _:
                    self.transaction()
        self.wait_for_markers()

    def wait_for_markers(self) -> None:
        """Apache Kafka says that a transaction has ended before its markers are written."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            partition = fetch(self.connection, self.topic, 0)
            if partition.last_stable_offset == partition.high_watermark:
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def transaction(self) -> None:
        transactional_id = self.random.choice(list(self.transactional))
        producer_id, epoch = self.transactional[transactional_id]
        topics = [AddPartitionsToTxnTopic(name=self.topic, partitions=[0])]
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=producer_id,
            v3_and_below_producer_epoch=epoch,
            v3_and_below_topics=topics,
        )
        while True:
            answer = self.connection.send(request, AddPartitionsToTxnResponse, 3)
            (topic,) = answer.results_by_topic_v3_and_below
            (code,) = {each.partition_error_code for each in topic.results_by_partition}
            if code == 0:
                break
            assert code in {ErrorCode.CONCURRENT_TRANSACTIONS, *RETRIABLE}
        for _ in range(self.random.randrange(1, 4)):
            self.produce(producer_id, epoch, transactional_id)
            if self.random.random() < 0.3:
                self.produce(-1, -1)
        ending = EndTxnRequest(
            transactional_id=transactional_id,
            producer_id=producer_id,
            producer_epoch=epoch,
            committed=self.random.random() < 0.6,
        )
        assert self.connection.send(ending, EndTxnResponse, 3).error_code == 0

    def produce(
        self,
        producer_id: int,
        epoch: int,
        transactional_id: str | None = None,
        *,
        keyless: bool = False,
    ) -> None:
        self.now_ms += 10
        count = self.random.choice([1, 1, 2, 5, 30])
        records = [self.record() for _ in range(count)]
        if keyless:
            records[0].key = None
        sequence = self.sequences.get(producer_id, 0) if producer_id >= 0 else -1
        batch = encode_batch(
            records,
            codec=self.random.choice(list(Codec)),
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=transactional_id is not None,
        )
        partition = PartitionProduceData(index=0, records=batch)
        request = ProduceRequest(
            transactional_id=transactional_id,
            acks=-1,
            timeout_ms=30_000,
            topic_data=[TopicProduceData(name=self.topic, partition_data=[partition])],
        )
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self.connection.send(request, ProduceResponse, 9)
            (result,) = answer.responses[0].partition_responses
            if result.error_code == 0:
                break
            assert result.error_code in {ErrorCode.INVALID_RECORD, *RETRIABLE}
            assert time.monotonic() < deadline
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + count

    def record(self) -> Record:
        random = self.random
        key = None if random.random() < 0.02 else b"key-%d" % int(random.expovariate(0.05))
        value = None if random.random() < 0.2 else random.randbytes(random.randrange(40))
        headers: list[tuple[str, bytes | None]] = [("h", b"x")] if random.random() < 0.2 else []
        timestamp_ms = self.now_ms + random.randrange(-5, 5)
        return Record(0, timestamp_ms, key, value, headers)


def make_topic(connection: Connection, topic: str, delete_retention_ms: int) -> None:
    configs = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "segment.ms": str(SEGMENT_MS),
        "min.cleanable.dirty.ratio": "0",
        "delete.retention.ms": str(delete_retention_ms),
    }
    made = connection.send(
        CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=topic,
                    num_partitions=1,
                    replication_factor=1,
                    configs=[
                        CreatableTopicConfig(name=name, value=value)
                        for name, value in configs.items()
                    ],
                )
            ],
            timeout_ms=30_000,
        ),
        CreateTopicsResponse,
        5,
    )
    assert {each.error_code for each in made.topics} == {0}


def set_policy(connection: Connection, topic: str, policy: str) -> None:
    config = AlterableConfig(name="cleanup.policy", config_operation=SET, value=policy)
    resource = AlterConfigsResource(
        resource_type=TOPIC_RESOURCE, resource_name=topic, configs=[config]
    )
    answer = connection.send(
        IncrementalAlterConfigsRequest(resources=[resource]), IncrementalAlterConfigsResponse, 1
    )
    assert {each.error_code for each in answer.responses} == {0}


def fetch(connection: Connection, topic: str, offset: int) -> PartitionData:
    """What Apache Kafka has from an offset on."""
    asked = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    request = FetchRequest(
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=1 << 20,
        session_epoch=-1,
        topics=[FetchTopic(topic=topic, partitions=[asked])],
    )
    (partition,) = connection.send(request, FetchResponse, 11).responses[0].partitions
    assert partition.error_code == 0
    return partition


def fetched(connection: Connection, topic: str, offset: int) -> Iterator[memoryview]:
    """Every batch that Apache Kafka has from an offset on."""
    while True:
        partition = fetch(connection, topic, offset)
        view = memoryview(bytes(partition.records or b""))
        before = offset
        for at, header in iterate_headers(view):
            if header.next_offset > offset:
                yield view[at : at + header.size]
                offset = header.next_offset
        if offset == before or offset >= partition.high_watermark:
            return


def kept_of(batch: memoryview, header: BatchHeader) -> Kept:
    records = tuple(
        (record.offset, record.key, record.value, record.timestamp_ms)
        for record in decode_records(batch, header)
    )
    return Kept(header.base_offset, header.last_offset, header.is_control, records)


def kept_by(batches: Iterator[memoryview]) -> list[Kept]:
    return [
        kept_of(batch[at : at + header.size], header)
        for batch in batches
        for at, header in iterate_headers(batch)
    ]


def cleaned_offset(kafka: ApacheKafka, topic: str) -> int:
    """How far Apache Kafka says that the partition is clean."""
    path = kafka.data_dir / "cleaner-offset-checkpoint"
    if path.exists():
        for line in path.read_text().splitlines()[2:]:
            name, _, offset = line.split()
            if name == topic:
                return int(offset)
    return 0


def active_base(kafka: ApacheKafka, topic: str) -> int:
    return max(int(path.stem) for path in (kafka.data_dir / f"{topic}-0").glob("*.log"))


async def append_to_ours(log: PartitionLog, batch: memoryview, header: BatchHeader) -> None:
    assert header.base_offset == log.log_end_offset
    if header.is_control:
        marker = decode_end_transaction_marker(batch, header)
        appended = log.append_marker(
            header.producer_id, header.producer_epoch, marker, header.max_timestamp
        )
    else:
        copy = bytearray(batch)
        copy[:8] = bytes(8)
        appended = log.append(memoryview(copy), int(time.time() * 1000))
    if appended.durable is not None:
        await appended.durable


async def kept_by_ours(log: PartitionLog) -> list[Kept]:
    kept = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        for buffer in await log.read(offset, 1 << 20, log.log_end_offset):
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                kept.append(kept_of(view[at : at + header.size], header))
                offset = header.next_offset
    return kept


@pytest.mark.parametrize("delete_retention_ms", [0, 86_400_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_both_keep_the_same_records(
    kafka: ApacheKafka, tmp_path: Path, delete_retention_ms: int, seed: int
) -> None:
    topic = f"compacted-{delete_retention_ms}-{seed}"
    random = Random(seed)
    config = LogConfig(
        deletes=False,
        min_cleanable_dirty_ratio=0,
        delete_retention_ms=delete_retention_ms,
        segments=SegmentLimits(1 << 30, SEGMENT_MS),
    )

    async def compare() -> None:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        log = await PartitionLog.open(
            await engine.open_log(LogName("compacted-0"), epoch=0), config, 0
        )
        for number in range(ROUNDS):
            set_policy(connection, topic, "delete")
            log.reconfigure(config)
            history.write(BATCHES_A_ROUND)
            appended = 0
            for batch in fetched(connection, topic, log.log_end_offset):
                for _, header in iterate_headers(batch):
                    await append_to_ours(log, batch, header)
                    appended += header.records_count
            before = len(await kept_by_ours(log))

            set_policy(connection, topic, "compact")
            deadline = time.monotonic() + TIMEOUT_S
            while cleaned_offset(kafka, topic) < active_base(kafka, topic):
                assert time.monotonic() < deadline
                await anyio.sleep(0.05)
            log.reconfigure(msgspec.structs.replace(config, compacted=True))
            now_ms = int(time.time() * 1000) + 1
            part = await look(log, now_ms)
            assert part is not None
            assert part.end_offset == active_base(kafka, topic)
            await clean(log, part, KeyOffsets(1 << 24), Pace(), now_ms)

            ours = await kept_by_ours(log)
            theirs = kept_by(fetched(connection, topic, 0))
            assert ours == theirs
            left = sum(len(each.records) for each in ours)
            print(f"round {number}: {appended} records appended, {left} left, {len(ours)} batches")
            assert len(ours) < before
        await log.close()
        await engine.close()

    with Connection("127.0.0.1", kafka.port) as connection:
        make_topic(connection, topic, delete_retention_ms)
        history = History(connection, topic, random)
        anyio.run(compare)
