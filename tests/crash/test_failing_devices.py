"""A whole broker on a device that is full, read-only or broken, and comes back.

Producers with acks=all are told KAFKA_STORAGE_ERROR, which their clients retry; consumers go on
with what was acknowledged before; when the device is well again so is the broker, by itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from datacore._generated.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
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
from datacore.client.connection import Connection
from datacore.client.subscription import TopicPartition
from datacore.record.records import Record, encode_batch
from datacore.testing.broker import Broker
from datacore.testing.broker_process import BrokerProcess
from datacore.testing.faults import FaultyFiles
from tests.crash.load import TOPIC, fetch, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP: Final = "readers"
ATTEMPTS_MAX: Final = 100
TMPFS_BYTES: Final = 6 << 20
SEGMENT_BYTES: Final = 1 << 20


def produce(connection: Connection, value: bytes, *, acks: int = -1) -> tuple[int, int]:
    """One record to partition 0; the error code and the offset."""
    batch = bytes(encode_batch([Record(0, 1, None, value, [])]))
    request = ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            TopicProduceData(
                name=TOPIC, partition_data=[PartitionProduceData(index=0, records=batch)]
            )
        ],
    )
    answer = connection.send(request, ProduceResponse, 9)
    [result] = answer.responses[0].partition_responses
    return result.error_code, result.base_offset


def produce_until_taken(connection: Connection, value: bytes) -> int:
    """As a client does that retries; the offset."""
    for _ in range(ATTEMPTS_MAX):
        error_code, offset = produce(connection, value)
        if error_code == ErrorCode.NONE:
            return offset
        assert error_code == ErrorCode.KAFKA_STORAGE_ERROR
    raise AssertionError("the device is well, and the broker is not")


def stored(connection: Connection, start: int = 0) -> list[bytes | None]:
    """The values of partition 0 from an offset on, without a hole."""
    values: list[bytes | None] = []
    while True:
        offset = start + len(values)
        records = records_of(fetch(connection, 0, offset, max_wait_ms=0), offset)
        if not records:
            return values
        for record in records:
            assert record.offset == start + len(values)
            values.append(record.value)


def create_topic(connection: Connection, name: str) -> int:
    """The error code."""
    topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    request = CreateTopicsRequest(topics=[topic], timeout_ms=10_000)
    return connection.send(request, CreateTopicsResponse, 5).topics[0].error_code


def commit(cluster: Cluster, offset: int) -> int:
    """Commits for partition 0; the error code."""
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id=GROUP, topics=[OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])]
    )
    answer = cluster.group_coordinator(GROUP).send(request, OffsetCommitResponse, 7)
    return answer.topics[0].partitions[0].error_code


def committed(cluster: Cluster) -> int:
    return admin.group_offsets(cluster, GROUP)[TopicPartition(TOPIC, 0)]


FAULTS: Final = {
    "full": ("free_bytes", 0),
    "nearly full": ("free_bytes", 100),
    "read-only": ("write_error", errno.EROFS),
    "cannot write": ("write_error", errno.EIO),
    "cannot sync": ("sync_error", errno.EIO),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_producers_are_refused_consumers_go_on_and_all_is_well_afterwards(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FaultyFiles()
    monkeypatch.setattr("datacore.storage.disk.engine.Files", lambda: files)
    attribute, value = FAULTS[fault]
    broker = Broker(storage_engine="disk", data_dir=tmp_path)
    with broker, Cluster(broker.bootstrap_servers) as cluster:
        admin.create_topic(cluster, TOPIC, partitions=1)
        with Connection(broker.host, broker.port) as connection:
            acknowledged: list[bytes | None] = []
            for number in range(5):
                acknowledged.append(b"before %d" % number)
                assert produce_until_taken(connection, b"before %d" % number) == number
            assert commit(cluster, 3) == ErrorCode.NONE

            setattr(files, attribute, value)
            for _ in range(5):
                error_code, offset = produce(connection, b"refused" * 100)
                assert (error_code, offset) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
                assert stored(connection) == acknowledged
            assert commit(cluster, 5) == ErrorCode.NOT_COORDINATOR
            if fault != "cannot sync":  # which a replay answers, while clients are told to wait
                assert committed(cluster) == 3
            assert create_topic(connection, "refused") == ErrorCode.KAFKA_STORAGE_ERROR

            setattr(files, attribute, None)
            for number in range(5):
                acknowledged.append(b"after %d" % number)
                assert produce_until_taken(connection, b"after %d" % number) == 5 + number
            assert stored(connection) == acknowledged
        assert committed(cluster) == 3
        while commit(cluster, 7) != ErrorCode.NONE:
            assert committed(cluster) == 3
        admin.create_topic(cluster, "taken")
    with broker, Cluster(broker.bootstrap_servers) as cluster:
        with Connection(broker.host, broker.port) as connection:
            assert stored(connection) == acknowledged
        assert committed(cluster) == 7
        assert {topic.name for topic in admin.list_topics(cluster)} >= {TOPIC, "taken"}


def test_what_cannot_be_read_is_an_error_of_its_partition_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FaultyFiles()
    monkeypatch.setattr("datacore.storage.disk.engine.Files", lambda: files)
    broker = Broker(storage_engine="disk", data_dir=tmp_path)
    with broker, Cluster(broker.bootstrap_servers) as cluster:
        admin.create_topic(cluster, TOPIC, partitions=1)
        with Connection(broker.host, broker.port) as connection:
            assert produce_until_taken(connection, b"there") == 0
            for end_offset, is_cold in enumerate((False, True), 1):
                files.is_cold = is_cold
                files.read_error = errno.EIO
                answer = fetch(connection, 0, 0)
                assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR
                assert not answer.records
                assert fetch(connection, 0, end_offset).error_code == ErrorCode.NONE
                files.read_error = None
                assert stored(connection)[0] == b"there"
                produce_until_taken(connection, b"more")


@contextmanager
def tmpfs(folder: Path) -> Iterator[None]:
    """A small file system of its own, where this process may mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    target = os.fsencode(folder)
    if libc.mount(b"tmpfs", target, b"tmpfs", 0, f"size={TMPFS_BYTES}".encode()) != 0:
        pytest.skip(f"cannot mount a tmpfs: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        libc.umount2(target, 0)


def test_a_file_system_that_is_really_full(tmp_path: Path) -> None:
    """It fills up, the broker dies in it and starts in it, and deleting records makes room."""
    with (
        tmpfs(tmp_path),
        BrokerProcess(data_dir=tmp_path / "data", disk_segment_bytes=SEGMENT_BYTES) as broker,
    ):
        with Cluster(broker.bootstrap_servers) as cluster:
            at_once = {"file.delete.delay.ms": "0"}
            admin.create_topic(cluster, TOPIC, partitions=1, configs=at_once)
            assert commit(cluster, 1) == ErrorCode.NONE
        acknowledged: list[bytes | None] = []
        with Connection(broker.host, broker.port) as connection:
            while True:
                value = b"%06d" % len(acknowledged) + os.urandom(100_000)
                error_code, offset = produce(connection, value)
                if error_code != ErrorCode.NONE:
                    break
                assert offset == len(acknowledged)
                acknowledged.append(value)
            assert error_code == ErrorCode.KAFKA_STORAGE_ERROR
            assert len(acknowledged) * 100_000 > TMPFS_BYTES // 2
            assert stored(connection) == acknowledged
        broker.kill()
        broker.start()
        with Connection(broker.host, broker.port) as connection:
            assert stored(connection) == acknowledged
            delete_records_before(connection, len(acknowledged) - 5)
            acknowledged.append(b"there is room again" + bytes(100_000))
            assert produce_until_taken(connection, acknowledged[-1] or b"") + 1 == len(acknowledged)
            start = len(acknowledged) - 6
            assert stored(connection, start) == acknowledged[start:]
        with Cluster(broker.bootstrap_servers) as cluster:
            assert committed(cluster) == 1
            assert commit(cluster, 2) == ErrorCode.NONE
        assert broker.stop() == 0


def delete_records_before(connection: Connection, offset: int) -> None:
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=TOPIC, partitions=[partition])], timeout_ms=10_000
    )
    answer = connection.send(request, DeleteRecordsResponse, 2)
    [result] = answer.topics[0].partitions
    assert result.error_code == ErrorCode.NONE
    assert result.low_watermark == offset
