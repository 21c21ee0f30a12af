"""The rows of a log's life, each once and end to end: client, socket, broker, files.

Segments, retention by time and size, cleanup by deletion and by compaction, sparse index, CRC,
batching, durability before the answer, deletion of topics in the background, round robin for
records without a key, groups that outlive the broker. Rooms have tests of their own for all that
can go wrong in them. The configs of files are here, too.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.configs import (
    BROKER_RESOURCE,
    CLUSTER_DEFAULT,
    TOPIC_RESOURCE,
    Alteration,
    Operation,
    ResourceType,
    alter_configs,
)
from datacore.client.consumer import Consumer
from datacore.client.producer import Producer
from datacore.client.subscription import TopicPartition
from datacore.protocol.errors import KafkaError
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.index import OFFSET_ENTRY
from datacore.testing.broker import Broker
from datacore.testing.faults import FaultyFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOPIC: Final = "orders"
GROUP: Final = "billing"
MIB: Final = 1 << 20
HOUR_MS: Final = 3_600_000
BACKGROUND_S: Final = 30.0
"""How long something may take that the broker does by itself, on a busy machine."""


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> FaultyFiles:
    faulty = FaultyFiles()
    monkeypatch.setattr("datacore.storage.disk.engine.Files", lambda: faulty)
    return faulty


@pytest.fixture
def broker(files: FaultyFiles, tmp_path: Path) -> Iterator[Broker]:
    del files
    kafka = {
        "log.retention.check.interval.ms": 50,
        "log.cleaner.backoff.ms": 50,
        "log.segment.delete.delay.ms": 0,
    }
    with Broker(storage_engine="disk", data_dir=tmp_path, kafka=kafka) as running:
        yield running


@pytest.fixture
def cluster(broker: Broker) -> Iterator[Cluster]:
    with Cluster(broker.bootstrap_servers) as connected:
        yield connected


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def write(
    cluster: Cluster, *values: bytes, age_ms: int = 0, key: bytes | None = b"k", topic: str = TOPIC
) -> None:
    """Each value as a batch of its own, to partition 0."""
    producer = Producer(cluster, topic, partition=0)
    for value in values:
        producer.write([Record(0, now_ms() - age_ms, key, value, [])])


def read(cluster: Cluster, count: int, *, topic: str = TOPIC) -> list[Record]:
    consumer = Consumer(cluster, topic, start=admin.EARLIEST)
    received: list[Record] = []
    while len(received) < count:
        polled = consumer.poll(max_wait_ms=500, max_records=count)
        received += [each.record for each in polled]
    return received


def start_offset(cluster: Cluster, topic: str = TOPIC) -> int:
    return admin.list_offsets(cluster, topic, admin.EARLIEST)[0].offset


def files_of(data_dir: Path, suffix: str, topic: str = TOPIC) -> list[Path]:
    return sorted((data_dir / "logs").glob(f"{topic}-0.*/*{suffix}"))


def await_that(condition: Callable[[], object]) -> None:
    """Asks until the broker has done by itself what the test waits for."""
    deadline_s = time.monotonic() + BACKGROUND_S
    while not condition():
        assert time.monotonic() < deadline_s, "the broker did not do it"


def test_segments(cluster: Cluster, tmp_path: Path) -> None:
    """A log goes on in a new file before one grows beyond segment.bytes; readers do not notice."""
    admin.create_topic(cluster, TOPIC, partitions=1, configs={"segment.bytes": str(MIB)})
    values = [b"%d" % n + bytes(400_000) for n in range(6)]
    write(cluster, *values)
    segments = files_of(tmp_path, ".log")
    assert [int(path.stem) for path in segments] == [0, 2, 4]
    assert all(path.stat().st_size <= MIB for path in segments)
    assert [record.value for record in read(cluster, 6)] == values


def test_retention_ms(cluster: Cluster, tmp_path: Path) -> None:
    """Segments whose youngest record is older than retention.ms go, and only those."""
    configs = {"segment.bytes": str(MIB), "retention.ms": str(2 * HOUR_MS)}
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    write(cluster, *[bytes(600_000)] * 3, age_ms=3 * HOUR_MS)
    write(cluster, *[bytes(600_000)] * 2, age_ms=HOUR_MS)
    await_that(lambda: start_offset(cluster) == 3)
    await_that(lambda: [int(path.stem) for path in files_of(tmp_path, ".log")] == [3, 4])
    assert [record.offset for record in read(cluster, 2)] == [3, 4]


def test_retention_bytes(cluster: Cluster, tmp_path: Path) -> None:
    """The oldest segments go while the others still hold retention.bytes."""
    configs = {"segment.bytes": str(MIB), "retention.bytes": str(MIB)}
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    write(cluster, *[bytes(600_000)] * 6)
    await_that(lambda: start_offset(cluster) == 4)
    await_that(lambda: len(files_of(tmp_path, ".log")) == 2)
    assert sum(path.stat().st_size for path in files_of(tmp_path, ".log")) >= MIB


def test_cleanup_policy_delete(cluster: Cluster) -> None:
    """Retention deletes under cleanup.policy=delete, and not under compact alone."""
    configs = {"segment.bytes": str(MIB), "retention.ms": str(HOUR_MS)}
    for topic, policy in (("kept", "compact"), ("deleted", "delete")):
        admin.create_topic(
            cluster, topic, partitions=1, configs={**configs, "cleanup.policy": policy}
        )
        for number in range(3):
            value, key = bytes(600_000), b"key %d" % number
            write(cluster, value, age_ms=2 * HOUR_MS, key=key, topic=topic)
    await_that(lambda: start_offset(cluster, "deleted") == 3)
    assert start_offset(cluster, "kept") == 0
    assert len(read(cluster, 3, topic="kept")) == 3


def test_cleanup_policy_compact(cluster: Cluster) -> None:
    """Of each key the last record stays, at its offset; what is being written is left alone."""
    configs = {
        "segment.bytes": str(MIB),
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.01",
    }
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    for key in (b"a", b"b", b"a", b"a", b"c"):
        write(cluster, key + bytes(600_000), key=key)
    await_that(lambda: [record.offset for record in read(cluster, 3)[:3]] == [1, 3, 4])
    assert [record.key for record in read(cluster, 3)] == [b"b", b"a", b"c"]
    assert admin.list_offsets(cluster, TOPIC, admin.LATEST)[0].offset == 5


def test_sparse_index(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    """One entry in some 4 KiB, not one a batch; every offset is found all the same."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    write(cluster, *[b"%03d" % n + bytes(200) for n in range(200)])
    broker.stop()
    broker.start()
    [index], [log] = files_of(tmp_path, ".index"), files_of(tmp_path, ".log")
    entries = list(OFFSET_ENTRY.iter_unpack(index.read_bytes()))
    assert 0 < len(entries) <= log.stat().st_size // 4096
    with Cluster(broker.bootstrap_servers) as again:
        records = read(again, 200)
    assert [(record.value or b"")[:3] for record in records] == [b"%03d" % n for n in range(200)]


def test_crc(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    """A batch with a wrong CRC is not taken from a producer, and not served from a disk."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    batch = encode_batch([Record(0, now_ms(), b"k", b"value", [])])
    batch[-1] ^= 1
    data = PartitionProduceData(index=0, records=bytes(batch))
    topic = TopicProduceData(name=TOPIC, partition_data=[data])
    request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[topic])
    answer = cluster.leader(TOPIC, 0).send(request, ProduceResponse, 9)
    [result] = answer.responses[0].partition_responses
    assert result.error_code == ErrorCode.CORRUPT_MESSAGE
    write(cluster, b"one", b"two")
    broker.stop()
    [log] = files_of(tmp_path, ".log")
    content = bytearray(log.read_bytes())
    content[-1] ^= 1
    log.write_bytes(content)
    broker.start()
    with Cluster(broker.bootstrap_servers, retry_timeout_s=0.1) as again:
        assert [record.value for record in read(again, 1)] == [b"one"]
        with pytest.raises(KafkaError, match="CORRUPT_MESSAGE"):
            read(again, 2)


def test_batching(cluster: Cluster, tmp_path: Path) -> None:
    """What a producer sends as one batch is stored and served as one."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    records = [Record(0, now_ms(), b"k", b"%d" % n, []) for n in range(1000)]
    [written] = Producer(cluster, TOPIC, partition=0).write(records)
    assert (written.base_offset, written.records) == (0, 1000)
    [log] = files_of(tmp_path, ".log")
    [(_, header)] = iterate_headers(log.read_bytes())
    assert (header.base_offset, header.records_count) == (0, 1000)
    assert [record.value for record in read(cluster, 1000)] == [b"%d" % n for n in range(1000)]


def test_durability_before_the_answer(cluster: Cluster, files: FaultyFiles) -> None:
    """With acks=all the file is synced first; consumers see nothing before that either."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    files.sync_gate.clear()
    batch = bytes(encode_batch([Record(0, now_ms(), b"k", b"value", [])]))
    topic = TopicProduceData(
        name=TOPIC, partition_data=[PartitionProduceData(index=0, records=batch)]
    )
    with Cluster(cluster.any_broker().address) as other:
        producer = other.leader(TOPIC, 0)
        files.sync_begun.clear()
        producer.post(ProduceRequest(acks=1, timeout_ms=10_000, topic_data=[topic]), 9)
        assert files.sync_begun.wait(BACKGROUND_S)
        assert admin.list_offsets(cluster, TOPIC, admin.LATEST)[0].offset == 0
        files.sync_gate.set()
        await_that(lambda: admin.list_offsets(cluster, TOPIC, admin.LATEST)[0].offset == 1)


def test_background_deletion_of_topics(cluster: Cluster, tmp_path: Path) -> None:
    """A topic is gone when its deletion is answered; its files follow, and their space."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    write(cluster, os.urandom(900_000))
    [log] = files_of(tmp_path, ".log")
    admin.delete_topic(cluster, TOPIC)
    assert TOPIC not in {topic.name for topic in admin.list_topics(cluster)}
    assert not log.exists()
    await_that(lambda: not list((tmp_path / "deleted").iterdir()))
    admin.create_topic(cluster, TOPIC, partitions=1)
    assert admin.list_offsets(cluster, TOPIC, admin.LATEST)[0].offset == 0


def test_round_robin_without_keys(cluster: Cluster) -> None:
    """Batches without keys go to one partition after the other; a key always to the same one."""
    admin.create_topic(cluster, TOPIC, partitions=3)
    producer = Producer(cluster, TOPIC)
    keyless = [producer.write([Record(0, now_ms(), None, b"v", [])])[0] for _ in range(6)]
    assert [each.partition for each in keyless] == [0, 1, 2, 0, 1, 2]
    keyed = [producer.write([Record(0, now_ms(), b"k", b"v", [])])[0] for _ in range(3)]
    assert len({each.partition for each in keyed}) == 1


def test_persistence_of_groups(broker: Broker, cluster: Cluster) -> None:
    """What a group has committed is there after a restart of the broker."""
    admin.create_topic(cluster, TOPIC, partitions=1)
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=42)
    topic = OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])
    request = OffsetCommitRequest(group_id=GROUP, topics=[topic])
    answer = cluster.group_coordinator(GROUP).send(request, OffsetCommitResponse, 7)
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE
    broker.stop()
    broker.start()
    with Cluster(broker.bootstrap_servers) as again:
        assert admin.group_offsets(again, GROUP) == {TopicPartition(TOPIC, 0): 42}


def test_configs_of_files_are_obeyed_at_once(cluster: Cluster, tmp_path: Path) -> None:
    """index.interval.bytes, preallocate, file.delete.delay.ms: of the topic, or of the broker."""
    configs = {"segment.bytes": str(MIB), "retention.ms": "-1", "preallocate": "true"}
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    write(cluster, *[bytes(10_000)] * 10)
    [log] = files_of(tmp_path, ".log")
    assert log.stat().st_size == MIB
    values = {"log.index.interval.bytes": "1048576", "log.preallocate": "true"}
    alter(cluster, BROKER_RESOURCE, CLUSTER_DEFAULT, values)
    write(cluster, *[bytes(10_000)] * 10, bytes(900_000))
    [index] = files_of(tmp_path, ".index")[:1]
    await_that(lambda: index.exists() and index.stat().st_size == 9 * OFFSET_ENTRY.size)
    assert log.stat().st_size < 220_000
    hour = {"file.delete.delay.ms": str(HOUR_MS)}
    alter(cluster, TOPIC_RESOURCE, TOPIC, hour | {"retention.ms": "1"})
    await_that(lambda: start_offset(cluster) > 0)
    assert files_of(tmp_path, ".deleted")
    alter(cluster, TOPIC_RESOURCE, TOPIC, {"file.delete.delay.ms": "0"})
    admin.delete_topic(cluster, TOPIC)
    await_that(lambda: not list((tmp_path / "deleted").iterdir()))
    admin.create_topic(cluster, "others", partitions=1)
    write(cluster, b"one", topic="others")
    [other] = files_of(tmp_path, ".log", "others")
    assert other.stat().st_size == 1 << 30


@pytest.mark.parametrize("interval", [{"flush.messages": "1"}, {"flush.ms": "1"}])
def test_logs_are_flushed_as_often_as_a_topic_says(
    files: FaultyFiles, tmp_path: Path, interval: dict[str, str]
) -> None:
    """With disk.sync off nothing waits for the device until the topic says so."""
    with (
        Broker(storage_engine="disk", data_dir=tmp_path, disk_sync=False) as running,
        Cluster(running.bootstrap_servers) as connected,
    ):
        admin.create_topic(connected, TOPIC, partitions=1)
        files.sync_begun.clear()
        write(connected, b"one")
        assert not files.sync_begun.is_set()
        alter(connected, TOPIC_RESOURCE, TOPIC, interval)
        write(connected, b"two")
        assert files.sync_begun.wait(BACKGROUND_S)


def alter(cluster: Cluster, resource_type: ResourceType, name: str, values: dict[str, str]) -> None:
    alterations = [Alteration(key, Operation.SET, value) for key, value in values.items()]
    alter_configs(cluster, resource_type, name, alterations)
