"""The disk engine's files: when a segment begins, how many are open, what its indexes say."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from struct import Struct

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import LogName, OffsetTruncated, StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    append,
    append_durably,
    on_loop,
    read,
)
from datacore.testing.faults import FaultyFiles


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", segment_bytes=16384, checkpoint_bytes=8192)


def file_of(config: DiskConfig, base_offset: int, suffix: str = ".log") -> Path:
    return config.data_dir / "logs" / LOG / f"{base_offset:020d}{suffix}"


@on_loop
async def test_index_files_are_kafkas(config: DiskConfig) -> None:
    """An entry names the last offset of the batch at its position, as Kafka's own check demands."""
    config = replace(config, segment_bytes=1 << 20, index_interval_bytes=4096)
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10)
    for at in range(200):
        append(log, 1000, records=3, timestamp_ms=at * 37 % 101)
    await engine.close()

    data = file_of(config, 0).read_bytes()
    extents = {extent.start: extent for extent in walk_batches(data)}
    timestamps = [0, *(at * 37 % 101 for at in range(200))]
    entries = list(Struct(">ii").iter_unpack(file_of(config, 0, ".index").read_bytes()))
    assert 40 < len(entries) < 55
    assert [extents[position].last_offset for _, position in entries] == [
        offset for offset, _ in entries
    ]
    positions = [0, *(position for _, position in entries)]
    assert all(
        4096 < there - here < 4096 + 2 * 1061 for here, there in itertools.pairwise(positions)
    )
    last_offsets = [extent.last_offset for extent in extents.values()]
    time_entries = list(Struct(">qi").iter_unpack(file_of(config, 0, ".timeindex").read_bytes()))
    assert len(time_entries) > 2
    assert time_entries == sorted(set(time_entries))
    for timestamp_ms, offset in time_entries:
        number = last_offsets.index(offset)
        assert timestamps[number] == timestamp_ms == max(timestamps[: number + 1])


@on_loop
async def test_more_logs_than_files_may_be_open(config: DiskConfig) -> None:
    config = replace(config, open_files_max=16)
    engine = DiskEngine(config)
    await engine.start()
    logs = [await engine.open_log(LogName(f"topic-{number}"), epoch=0) for number in range(60)]
    data = [b""] * len(logs)
    for _ in range(8):
        for number, log in enumerate(logs):
            data[number] += await append_durably(log, 5000)
    assert 0 < _open_segments(config) <= 16
    for number, log in enumerate(logs):
        assert await read(log, 0) == data[number]
    await engine.close()


@on_loop
async def test_a_read_in_flight_is_whole_though_its_segment_is_removed(config: DiskConfig) -> None:
    files = FaultyFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, *([5000] * 10))
    size = len(data) // 10
    held = await log.read(0, max_bytes=EVERYTHING, before_offset=EVERYTHING)
    files.is_cold = True
    files.read_gate.clear()
    outcomes: list[bytes | StorageError] = []

    async def read_slowly(offset: int) -> None:
        try:
            buffers = await log.read(offset, max_bytes=EVERYTHING, before_offset=EVERYTHING)
            outcomes.append(b"".join(buffers))
        except OffsetTruncated as error:
            outcomes.append(error)

    async with anyio.create_task_group() as readers:
        readers.start_soon(read_slowly, 0)
        readers.start_soon(read_slowly, 9)
        await anyio.to_thread.run_sync(files.read_begun.wait)
        readers.start_soon(log.truncate_before, 9)
        while log.start_offset != 9:
            await anyio.lowlevel.checkpoint()
        files.read_gate.set()
    assert sorted(isinstance(outcome, OffsetTruncated) for outcome in outcomes) == [False, True]
    assert data[9 * size :] in outcomes
    assert b"".join(held) == data
    await engine.close()
    names = sorted(path.name for path in file_of(config, 0).parent.iterdir())
    assert not any(name.endswith(".deleted") for name in names)
    assert f"{0:020d}.log" not in names


def _open_segments(config: DiskConfig) -> int:
    """How many segment files this process has open."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(link.readlink())
    return sum(link.is_relative_to(config.data_dir) and link.suffix == ".log" for link in links)


@on_loop
async def test_a_batch_that_would_not_fit_gets_a_segment_of_its_own(config: DiskConfig) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100, 50_000, 100)
    log.append(
        pack_batch(3, b"", records=2**31 - 1),
        base_offset=3,
        next_offset=3 + 2**31 - 1,
        max_timestamp_ms=0,
    )
    assert log.end_offset == 2**31 + 2
    append(log, 100)
    assert (await read(log, 0)).startswith(data)
    assert len(await read(log, 2**31 + 2)) == 161
    await engine.close()
    assert [path.name for path in sorted(file_of(config, 0).parent.glob("*.log"))] == [
        f"{base_offset:020d}.log" for base_offset in (0, 1, 2, 3, 2**31 + 2)
    ]
