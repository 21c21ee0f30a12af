"""Reads of the disk engine: whole batches from any place, and how often the kernel is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from struct import Struct
from typing import TYPE_CHECKING

import pytest

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.disk.files import Files
from datacore.storage.engine import StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import EVERYTHING, LOG, on_loop, read
from datacore.testing.faults import FaultyFiles

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.engine import EngineLog

INDEX_ENTRY = Struct(">ii")
SMALL, LARGE = 200, 15_000


class CountedFiles(Files):
    """Counts warm reads."""

    def __init__(self) -> None:
        self.reads = 0

    def read_warm(self, fd: int, buffer: memoryview, position: int) -> int:
        self.reads += 1
        return super().read_warm(fd, buffer, position)


@dataclass
class Batch:
    """A batch as it was appended."""

    base_offset: int
    next_offset: int
    data: bytes


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", sync=False)


@pytest.fixture
def files() -> CountedFiles:
    return CountedFiles()


def append(log: EngineLog, size: int, records: int = 3) -> Batch:
    """Appends a batch of that size, of several offsets."""
    offset = log.end_offset
    data = pack_batch(offset, bytes(size - 61), records=records)
    log.append(data, base_offset=offset, next_offset=offset + records, max_timestamp_ms=0)
    return Batch(offset, offset + records, bytes(data))


def expected(batches: list[Batch], offset: int, max_bytes: int, before_offset: int) -> bytes:
    """What a read must bring, by its definition."""
    data = b""
    for batch in batches:
        if batch.next_offset <= offset:
            continue
        is_beyond = batch.base_offset >= before_offset or offset >= before_offset
        if is_beyond or (data and len(data) + len(batch.data) > max_bytes):
            break
        data += batch.data
    return data


async def opened(config: DiskConfig, files: Files | None = None) -> tuple[DiskEngine, EngineLog]:
    engine = DiskEngine(config, files=files or Files())
    await engine.start()
    return engine, await engine.open_log(LOG, epoch=0)


def reads_of(files: CountedFiles, log: EngineLog, offset: int, max_bytes: int = 16_384) -> int:
    """How many warm reads it took; the read itself must have brought something."""
    files.reads = 0
    assert log.read_warm(offset, max_bytes=max_bytes, before_offset=EVERYTHING)
    return files.reads


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("segment_bytes", [1 << 30, 100_000])
def test_every_read_brings_what_it_should_whoever_read_before(
    config: DiskConfig, seed: int, segment_bytes: int
) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        engine, log = await opened(replace(config, segment_bytes=segment_bytes))
        batches: list[Batch] = []
        for _ in range(20):
            size = random.choice((70, SMALL, SMALL, 3_000, LARGE, 20_000))
            count = random.randrange(1, 8)
            batches += [append(log, size, random.randrange(1, 5)) for _ in range(count)]
        for _ in range(60):
            offset = random.randrange(log.end_offset)
            max_bytes = random.choice((0, 1, 500, 5_000, 16_384, 100_000, 1 << 20))
            before = random.choice((EVERYTHING, log.end_offset, random.choice(batches).base_offset))
            for _ in range(3):  # and on from there, as readers do
                data = await read(log, offset, max_bytes=max_bytes, before_offset=before)
                assert data == expected(batches, offset, max_bytes, before)
                if not data:
                    break
                offset = next(each.next_offset for each in batches if data.endswith(each.data))
        await engine.close()

    check()


@on_loop
async def test_readers_that_follow_each_other_to_what_is_durable_miss_and_repeat_nothing(
    config: DiskConfig,
) -> None:
    files = FaultyFiles()
    engine, log = await opened(replace(config, sync=True, segment_bytes=60_000), files)
    batches: list[Batch] = []
    offset, data = 0, b""
    for round_of in range(12):
        files.sync_gate.clear()
        batches += [append(log, size) for size in (SMALL, LARGE, SMALL)]
        before = log.durable_end_offset
        while offset < before:
            buffers = log.read_warm(offset, max_bytes=20_000 + round_of, before_offset=before)
            assert buffers
            data += b"".join(buffers)
            offset = next(
                batch.next_offset
                for batch in batches
                if data.endswith(batch.data) and batch.next_offset > offset
            )
        assert data == b"".join(each.data for each in batches if each.base_offset < before)
        files.sync_gate.set()
        await log.save_snapshot(log.end_offset, b"")  # which waits for what is not durable
    assert len(data) > 100_000
    await engine.close()


@on_loop
async def test_a_reader_asks_once_wherever_it_begins(
    config: DiskConfig, files: CountedFiles
) -> None:
    engine, log = await opened(config, files)
    # Of a megabyte it is first seen whether it begins where the index says.
    for size, count, reads in ((LARGE, 20, 1), (SMALL, 500, 1), (1 << 20, 3, 2)):
        batches = [append(log, size) for _ in range(count)]
        append(log, size)
        # Not where the sizes change: there one look at the index is not always enough.
        for batch in batches[1::7]:
            for offset in range(batch.base_offset, batch.next_offset):
                assert reads_of(files, log, offset, max(16_384, size)) <= reads
    await engine.close()


@on_loop
async def test_who_goes_on_asks_once_though_each_batch_is_larger_than_asked_for(
    config: DiskConfig, files: CountedFiles
) -> None:
    engine, log = await opened(config, files)
    batches = [append(log, LARGE + at) for at in range(20)]
    asked = [reads_of(files, log, batch.base_offset, max_bytes=1000) for batch in batches]
    assert asked == [2] + [1] * 19
    await engine.close()


@on_loop
async def test_who_follows_the_writer_asks_once(config: DiskConfig, files: CountedFiles) -> None:
    engine, log = await opened(config, files)
    append(log, SMALL)
    assert reads_of(files, log, 0) == 1
    for _ in range(20):
        batch = append(log, SMALL)
        append(log, 70)
        assert reads_of(files, log, batch.base_offset) == 1
    await engine.close()


@pytest.mark.parametrize("group", [2, 7, 60])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_index_of_appends_with_several_batches_misleads_nobody(
    config: DiskConfig, group: int, size: int
) -> None:
    """Apache Kafka indexes where an append begins, and the last offset of all its batches."""

    @on_loop
    async def check() -> None:
        engine, log = await opened(replace(config, segment_bytes=1_000_000))
        batches = [append(log, size) for _ in range(120)]
        await engine.close()
        (path,) = (config.data_dir / "logs" / LOG).glob(f"{0:020d}.index")
        entries = [
            INDEX_ENTRY.pack(batches[min(at + group, 120) - 1].next_offset - 1, at * size)
            for at in range(0, 120, group)
            if at and at * size < 900_000
        ]
        path.write_bytes(b"".join(entries))
        engine, log = await opened(replace(config, segment_bytes=1_000_000))
        offsets = list(range(log.end_offset))
        for offset in Random(group).sample(offsets, 60):
            for max_bytes in (1, 16_384):
                data = await read(log, offset, max_bytes=max_bytes)
                assert data == expected(batches, offset, max_bytes, EVERYTHING)
        await engine.close()

    check()


@on_loop
async def test_what_is_no_batch_is_told_to_who_gets_there_and_not_before(
    config: DiskConfig,
) -> None:
    engine, log = await opened(config)
    batches = [append(log, SMALL) for _ in range(6)]
    (path,) = (config.data_dir / "logs" / LOG).glob("*.log")
    for nonsense in (b"\xff" * 12, bytes(12), b"\0" * 8 + b"\x7f\xff\xff\xff"):
        with path.open("r+b") as file:
            file.seek(3 * SMALL)
            file.write(nonsense)
        whole = b"".join(batch.data for batch in batches[:3])
        buffers = log.read_warm(0, max_bytes=4 * SMALL, before_offset=EVERYTHING)
        assert buffers is not None
        assert b"".join(buffers) == whole
        with pytest.raises(StorageError, match="no batch at position 600"):
            log.read_warm(batches[3].base_offset, max_bytes=SMALL, before_offset=EVERYTHING)
    await engine.close()
