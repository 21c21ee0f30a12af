"""What a broker takes when there is a lot of everything: measured, printed, and held to limits.

Run them alone, with ``pytest -s -m slow tests/scale``. Limits are loose, so that a busy machine
does not fail them; the printed figures are the point. ``DATACORE_STEADY_S`` is how long the steady
load lasts: 600 for ten minutes. ``DATACORE_STEADY_PAUSE_S`` is how long its clients rest after each
request: 0 for all that the broker takes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.disk.files import Files
from datacore.storage.disk.state import RecoveryPoint, StateFile
from datacore.testing.batches import pack_batch
from datacore.testing.broker_process import BrokerProcess
from datacore.testing.engine_harness import EVERYTHING, LOG, append_durably

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MIB: Final = 1 << 20
GIB: Final = 1 << 30
TOPICS: Final = 50
PARTITIONS_PER_TOPIC: Final = 100
CONNECTIONS: Final = 2000
IDLE_S: Final = 10.0
STEADY_S: Final = float(os.environ.get("DATACORE_STEADY_S", "60"))
STEADY_PAUSE_S: Final = float(os.environ.get("DATACORE_STEADY_PAUSE_S", "0"))
SAMPLE_S: Final = 10.0
CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Memory that the process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Processor time that the process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def idle_share(pid: int) -> float:
    """Share of a core that the process takes while nobody asks it for anything."""
    before_s = cpu_s(pid)
    time.sleep(IDLE_S)  # what is measured is a span of time
    return (cpu_s(pid) - before_s) / IDLE_S


def write_to_each(connection: Connection, topic: str, partitions: int, value: bytes) -> None:
    """One batch to each partition of a topic, in one request."""
    batch = bytes(encode_batch([Record(0, time.time_ns() // 1_000_000, None, value, [])]))
    data = [PartitionProduceData(index=index, records=batch) for index in range(partitions)]
    request = ProduceRequest(
        acks=-1,
        timeout_ms=60_000,
        topic_data=[TopicProduceData(name=topic, partition_data=data)],
    )
    answer = connection.send(request, ProduceResponse, 9)
    codes = {each.error_code for each in answer.responses[0].partition_responses}
    assert codes == {ErrorCode.NONE}


def topics() -> Iterator[str]:
    return (f"topic-{number}" for number in range(TOPICS))


def test_5000_partitions_and_2000_connections() -> None:
    partitions = TOPICS * PARTITIONS_PER_TOPIC
    with BrokerProcess(start_timeout_s=120) as broker, ExitStack() as clients:
        empty = rss_bytes(broker.pid)
        with Cluster(broker.bootstrap_servers, timeout_s=120) as cluster:
            started_s = time.monotonic()
            for topic in topics():
                admin.create_topic(cluster, topic, partitions=PARTITIONS_PER_TOPIC)
            print(f"\ncreation of {partitions} partitions: {time.monotonic() - started_s:.1f} s")
        idle = rss_bytes(broker.pid)
        print(f"memory of a partition, never written: {(idle - empty) / partitions / 1024:.1f} KiB")
        with Connection(broker.host, broker.port, timeout_s=120) as connection:
            for _ in range(3):
                for topic in topics():
                    write_to_each(connection, topic, PARTITIONS_PER_TOPIC, b"v" * 100)
        written = rss_bytes(broker.pid)
        print(f"memory of a partition, written to: {(written - empty) / partitions / 1024:.1f} KiB")
        for _ in range(CONNECTIONS):
            client = socket.create_connection((broker.host, broker.port))
            clients.callback(client.close)
        with Connection(broker.host, broker.port) as connection:
            write_to_each(connection, "topic-0", 1, b"v")  # all of them are accepted before it
        connected = rss_bytes(broker.pid)
        print(f"memory of a connection: {(connected - written) / CONNECTIONS / 1024:.1f} KiB")
        share = idle_share(broker.pid)
        print(f"idle: {share:.2%} of a core; in all {connected / MIB:.0f} MiB")
        assert share < 0.02
        assert (written - empty) / partitions < 64 * 1024
        assert (connected - written) / CONNECTIONS < 64 * 1024
        clients.close()
        started_s = time.monotonic()
        assert broker.stop(timeout_s=120) == 0
        print(f"stop of {partitions} written partitions: {time.monotonic() - started_s:.1f} s")
        broker.start()
        print(f"start of {partitions} partitions: {broker.start_up_s:.1f} s")


def test_1000_partitions_start_at_once_after_a_clean_stop() -> None:
    with BrokerProcess(start_timeout_s=120) as broker:
        nothing_s = broker.start_up_s
        with Cluster(broker.bootstrap_servers, timeout_s=120) as cluster:
            for topic in range(10):
                admin.create_topic(cluster, f"topic-{topic}", partitions=100)
        with Connection(broker.host, broker.port, timeout_s=120) as connection:
            for topic in range(10):
                write_to_each(connection, f"topic-{topic}", 100, b"v" * 1000)
        assert broker.stop(timeout_s=120) == 0
        broker.start()
        clean_s, clean_cpu_s = broker.start_up_s, cpu_s(broker.pid)
        with Connection(broker.host, broker.port, timeout_s=120) as connection:
            for topic in range(10):
                write_to_each(connection, f"topic-{topic}", 100, b"v" * 1000)
        broker.kill()
        broker.start()
        print(
            f"\nstart with nothing: {nothing_s:.2f} s; with 1000 partitions after a clean stop: "
            f"{clean_s:.2f} s ({clean_cpu_s:.2f} s of a core); "
            f"after kill -9: {broker.start_up_s:.2f} s"
        )
        assert clean_cpu_s < 5  # what a busy machine lets a start wait is not the start's


def test_recovery_of_a_quarter_of_a_gigabyte_without_a_checkpoint(tmp_path: Path) -> None:
    async def fill() -> None:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        for _ in range(16):
            await append_durably(log, *([16_000] * 1024))
        await engine.close()

    async def recover() -> float:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        started_s = time.monotonic()
        log = await engine.open_log(LOG, epoch=0)
        took_s = time.monotonic() - started_s
        assert log.end_offset == 16 * 1024
        await engine.close()
        return took_s

    anyio.run(fill)
    (tmp_path / "logs" / LOG / "state").unlink()
    (tmp_path / "ends").unlink()
    size = sum(path.stat().st_size for path in (tmp_path / "logs" / LOG).glob("*.log"))
    print(
        f"\nrecovery of all batches: {anyio.run(recover) / (size / GIB):.2f} s a GiB (16 KB each)"
    )
    print(f"start after a clean stop: {anyio.run(recover) * 1000:.1f} ms")


def sparse_log(data_dir: Path, segments: int, batch_size: int) -> int:
    """A log of files that are nearly all hole; returns its end offset."""
    folder = data_dir / "logs" / LOG
    folder.mkdir(parents=True)
    batches = GIB // batch_size
    payload = bytes(batch_size - 61)
    base_offset = end_offset = 0
    for segment in range(segments):
        base_offset = end_offset
        name = f"{base_offset:020d}"
        # The base offset is in no checksum, so one header does for a segment.
        header = pack_batch(0, payload, records=1000, max_timestamp_ms=segment)[8:61]
        entries = b""
        with (folder / f"{name}.log").open("wb") as log:
            for position in range(0, GIB, batch_size):
                log.seek(position)
                log.write(end_offset.to_bytes(8, "big") + header)
                end_offset += 1000
                relative_offset = end_offset - 1 - base_offset
                entries += relative_offset.to_bytes(4, "big") + position.to_bytes(4, "big")
            log.truncate(GIB)
        (folder / f"{name}.index").write_bytes(entries)
        (folder / f"{name}.timeindex").write_bytes(segment.to_bytes(8, "big") + entries[:4])
    point = RecoveryPoint(
        base_offset, end_offset, GIB, batches * 8, 12, segments - 1, base_offset + 999
    )
    StateFile(Files(), folder / "state").update(
        sync=True, epoch=0, start_offset=0, recovery_point=point
    )
    return end_offset


def test_50_gigabytes_of_one_sparse_log(tmp_path: Path) -> None:
    end_offset = sparse_log(tmp_path, segments=50, batch_size=16 * MIB)
    pid = os.getpid()

    async def check() -> None:
        before = rss_bytes(pid)
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        started_s = time.monotonic()
        log = await engine.open_log(LOG, epoch=0)
        opened_s = time.monotonic()
        assert (log.end_offset, log.size_bytes) == (end_offset, 50 * GIB)
        await log.extents()
        looked_s = time.monotonic()
        print(
            f"\n50 GiB: open {(opened_s - started_s) * 1000:.1f} ms, "
            f"extents {(looked_s - opened_s) * 1000:.1f} ms, "
            f"memory {(rss_bytes(pid) - before) / 1024:.0f} KiB"
        )
        for offset in (0, end_offset // 2 + 7, end_offset - 1):
            started_s = time.monotonic()
            (batch,) = await log.read(offset, max_bytes=1, before_offset=EVERYTHING)
            read_s = time.monotonic()
            assert int.from_bytes(batch[:8], "big") == offset // 1000 * 1000
            segment = offset * 50 // end_offset
            assert await log.find_timestamp(segment) == end_offset // 50 * segment
            found_s = time.monotonic()
            print(
                f"offset {offset}: read of 16 MiB {(read_s - started_s) * 1000:.1f} ms, "
                f"look-up by time {(found_s - read_s) * 1000:.1f} ms"
            )
        await engine.close()

    anyio.run(check)


def test_memory_does_not_grow_under_steady_load() -> None:
    """Producers and a deleting topic; the second half of the time takes no more than the first."""
    kafka = {"log.retention.bytes": 4 * MIB, "log.retention.check.interval.ms": 1000}
    with BrokerProcess(num_partitions=4, disk_segment_bytes=MIB, kafka=kafka) as broker:
        ends = threading.Event()
        counts = [0, 0]

        def load(number: int) -> None:
            with Connection(broker.host, broker.port) as connection:
                while not ends.is_set():
                    write_to_each(connection, f"steady-{number}", 4, b"v" * 1000)
                    counts[number] += 4
                    ends.wait(STEADY_PAUSE_S)

        with Cluster(broker.bootstrap_servers) as cluster:
            for number in range(len(counts)):
                admin.create_topic(cluster, f"steady-{number}", partitions=4)
        clients = [threading.Thread(target=load, args=(n,)) for n in range(len(counts))]
        for client in clients:
            client.start()
        samples = []
        sample_s = min(SAMPLE_S, STEADY_S / 12)
        for _ in range(int(STEADY_S / sample_s)):
            ends.wait(sample_s)
            samples.append(rss_bytes(broker.pid) / MIB)
        ends.set()
        for client in clients:
            client.join()
        stored = sum(path.stat().st_size for path in broker.data_dir.rglob("*.log"))
    print(f"\n{sum(counts)} batches in {STEADY_S:.0f} s, {stored / MIB:.0f} MiB left on disk")
    print("memory in MiB:", " ".join(f"{sample:.1f}" for sample in samples))
    half = len(samples) // 2
    assert max(samples[half:]) < max(samples[half // 2 : half]) * 1.1
