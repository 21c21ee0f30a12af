"""What a topic says about its files: index entries, full size at once, deletion, syncing."""

from __future__ import annotations

import errno
import logging
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.disk.files import Files
from datacore.storage.disk.index import OFFSET_ENTRY
from datacore.storage.engine import FileHandling, SegmentLimits, StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG, append, append_durably, on_loop, read
from datacore.testing.engine_harness import replace as replace_range
from datacore.testing.faults import CrashingFiles, FaultyFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from datacore.storage.engine import EngineLog
    from datacore.storage.pending import Pending

SEGMENT_BYTES = 16384
NEVER_AGED_MS = 1 << 40
LONG_MS = 1 << 40
"""Longer than any test, in milliseconds."""


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data")


def limits(files: FileHandling, size_bytes: int = SEGMENT_BYTES) -> SegmentLimits:
    return SegmentLimits(size_bytes=size_bytes, age_ms=NEVER_AGED_MS, files=files)


@asynccontextmanager
async def open_log(
    config: DiskConfig, handling: FileHandling, files: Files | None = None
) -> AsyncIterator[EngineLog]:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    log.limit_segments(limits(handling))
    try:
        yield log
    finally:
        await engine.close()


def sizes(config: DiskConfig, suffix: str = ".log") -> dict[int, int]:
    """Sizes of a log's files by base offset."""
    folder = config.data_dir / "logs" / LOG
    return {int(path.stem): path.stat().st_size for path in folder.glob(f"*{suffix}")}


def deleted_files(config: DiskConfig) -> list[Path]:
    return sorted(config.data_dir.rglob("*.log*.deleted"))


async def await_that(condition: Callable[[], object]) -> None:
    """Lets other threads go on until it is so; pytest's limit ends what never becomes so."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.to_thread.run_sync(lambda: None)


# --- index.interval.bytes


@on_loop
async def test_index_entries_lie_as_far_apart_as_the_topic_says_from_the_next_append_on(
    config: DiskConfig,
) -> None:
    async with open_log(config, FileHandling(index_interval_bytes=0)) as log:
        data = await append_durably(log, *[100] * 10)
        log.limit_segments(limits(FileHandling(index_interval_bytes=1 << 20)))
        data += await append_durably(log, *[100] * 10)
        for offset in range(20):
            assert await read(log, offset) == data[offset * 161 :]
    assert sizes(config, ".index") == {0: 9 * OFFSET_ENTRY.size}


@on_loop
async def test_a_topic_that_says_nothing_has_the_engines_interval(tmp_path: Path) -> None:
    config = DiskConfig(data_dir=tmp_path, index_interval_bytes=0)
    async with open_log(config, FileHandling()) as log:
        await append_durably(log, *[100] * 10)
    assert sizes(config, ".index") == {0: 9 * OFFSET_ENTRY.size}


@on_loop
async def test_entries_of_what_was_cut_off_do_not_count_in_a_log_that_is_opened_again(
    config: DiskConfig,
) -> None:
    """Its file is not cut with the log, and keeps them until another entry takes their place."""
    async with open_log(config, FileHandling(index_interval_bytes=0)) as log:
        await append_durably(log, *[100] * 5)
    async with open_log(config, FileHandling(index_interval_bytes=1 << 20)) as log:
        await log.truncate_after(1)
        left = append(log, 10, records=5)
        await log.truncate_before(3)
        assert log.size_bytes == len(left)
    async with open_log(config, FileHandling()) as log:
        assert await read(log, 3) == left
        assert log.size_bytes == len(left)


# --- preallocate


@on_loop
async def test_a_preallocated_file_has_its_full_size_and_loses_the_rest_when_another_follows(
    config: DiskConfig,
) -> None:
    async with open_log(config, FileHandling(preallocates=True)) as log:
        data = await append_durably(log, *[6000] * 2)
        assert sizes(config) == {0: SEGMENT_BYTES}
        assert log.size_bytes == len(data)
        data += await append_durably(log, 6000)
        assert sizes(config) == {0: 2 * 6061, 2: SEGMENT_BYTES}
        assert await read(log, 0) == data
        log.limit_segments(limits(FileHandling(preallocates=False)))
        data += await append_durably(log, 6000, 6000)
        assert sizes(config) == {0: 2 * 6061, 2: 2 * 6061, 4: 6061}
        log.limit_segments(limits(FileHandling(preallocates=True)))
        data += await append_durably(log, 6000, 6000)
        assert sizes(config)[6] == SEGMENT_BYTES
    assert sizes(config) == {0: 2 * 6061, 2: 2 * 6061, 4: 2 * 6061, 6: 6061}
    async with open_log(config, FileHandling()) as log:
        assert await read(log, 0) == data


@on_loop
async def test_a_file_that_was_closed_because_it_was_idle_is_trimmed_too(tmp_path: Path) -> None:
    config = DiskConfig(data_dir=tmp_path, open_files_max=16)
    engine = DiskEngine(config)
    await engine.start()
    names = [type(LOG)(f"log-{number}") for number in range(40)]
    for name in names:
        log = await engine.open_log(name, epoch=0)
        log.limit_segments(limits(FileHandling(preallocates=True)))
        await append_durably(log, 100)
    await engine.close()
    for name in names:
        [path] = (config.data_dir / "logs" / name).glob("*.log")
        assert path.stat().st_size == 161


@on_loop
async def test_after_a_crash_the_rest_of_a_preallocated_file_is_no_data_and_no_damage(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    image = replace(config, data_dir=config.data_dir.with_name("image"))
    async with open_log(config, FileHandling(preallocates=True)) as log:
        data = await append_durably(log, *[3000] * 12)
        await anyio.to_thread.run_sync(shutil.copytree, config.data_dir, image.data_dir)
    assert SEGMENT_BYTES in sizes(image).values()
    with caplog.at_level(logging.WARNING, "datacore.storage.disk"):
        async with open_log(image, FileHandling()) as log:
            assert log.end_offset == 12
            assert await read(log, 0) == data
            data += await append_durably(log, 50)
            assert await read(log, 0) == data
    assert not caplog.records
    assert sum(sizes(image).values()) == len(data)


@on_loop
async def test_a_loss_of_power_takes_nothing_durable_out_of_preallocated_files(
    config: DiskConfig,
) -> None:
    for seed in range(20):
        random = Random(seed)
        case = replace(config, data_dir=config.data_dir.with_name(f"data-{seed}"))
        image = replace(config, data_dir=config.data_dir.with_name(f"image-{seed}"))
        files = CrashingFiles()
        async with open_log(case, FileHandling(preallocates=True), files) as log:
            data = await append_durably(log, *random.choices((10, 3000, 9000), k=10))
            for _ in range(random.randrange(3)):
                append(log, 5000)
            files.crash_image(case.data_dir, image.data_dir, random)
        async with open_log(image, FileHandling()) as log:
            assert log.end_offset >= 10
            assert (await read(log, 0)).startswith(data)


@on_loop
async def test_a_device_without_room_for_a_whole_file_takes_what_there_is_room_for(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    class FullFiles(Files):
        @staticmethod
        def preallocate(fd: int, size: int) -> None:
            del fd, size
            raise OSError(errno.ENOSPC, "No space left on device")

    async with open_log(config, FileHandling(preallocates=True), FullFiles()) as log:
        data = await append_durably(log, 100)
        assert await read(log, 0) == data
    assert "cannot be preallocated" in caplog.text


@on_loop
async def test_a_failed_write_to_a_preallocated_file_leaves_nothing_behind(
    config: DiskConfig,
) -> None:
    files = FaultyFiles()
    async with open_log(config, FileHandling(preallocates=True), files) as log:
        data = await append_durably(log, 100)
        files.free_bytes = 50
        with pytest.raises(StorageError, match="No space left"):
            append(log, 1000)
        files.free_bytes = None
        data += await append_durably(log, 200)
        assert await read(log, 0) == data
    assert sizes(config) == {0: len(data)}


# --- file.delete.delay.ms


@on_loop
async def test_files_that_retention_takes_stay_for_a_while_under_another_name(
    config: DiskConfig,
) -> None:
    async with open_log(config, FileHandling(delete_delay_ms=LONG_MS)) as log:
        await append_durably(log, *[6000] * 6)
        await log.truncate_before(4)
        assert sizes(config) == {4: 2 * 6061}
        assert [path.name[:20] for path in deleted_files(config)] == [f"{n:020d}" for n in (0, 2)]
        assert log.size_bytes == 2 * 6061
    assert len(deleted_files(config)) == 2  # a stop does not wait for them
    async with open_log(config, FileHandling(delete_delay_ms=LONG_MS)) as log:
        assert not deleted_files(config)  # and a start removes them
        assert log.start_offset == 4


@on_loop
async def test_they_are_gone_when_it_is_over(config: DiskConfig) -> None:
    async with open_log(config, FileHandling(delete_delay_ms=5)) as log:
        await append_durably(log, *[6000] * 6)
        await log.truncate_before(4)
        await await_that(lambda: not deleted_files(config))


@on_loop
async def test_another_delay_counts_for_what_is_deleted_from_then_on(config: DiskConfig) -> None:
    async with open_log(config, FileHandling(delete_delay_ms=LONG_MS)) as log:
        await append_durably(log, *[6000] * 8)
        await log.truncate_before(2)
        log.limit_segments(limits(FileHandling(delete_delay_ms=0)))
        await log.truncate_before(4)
        await await_that(lambda: len(deleted_files(config)) == 1)
        [kept] = deleted_files(config)
        assert kept.name.startswith(f"{0:020d}")


@on_loop
async def test_a_read_that_has_begun_finishes_on_files_that_are_removed_meanwhile(
    config: DiskConfig,
) -> None:
    files = FaultyFiles()
    async with open_log(config, FileHandling(delete_delay_ms=0), files) as log:
        data = await append_durably(log, *[6000] * 6)
        files.is_cold = True
        files.read_gate.clear()
        found: list[bytes] = []

        async def read_slowly() -> None:
            buffers = await log.read(4, max_bytes=1, before_offset=6)
            found.append(b"".join(buffers))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly)
            await anyio.to_thread.run_sync(files.read_begun.wait)
            files.is_cold = False
            await log.truncate_before(4)
            await await_that(lambda: not deleted_files(config))
            files.read_gate.set()
        assert found == [data[4 * 6061 : 5 * 6061]]


@on_loop
async def test_files_that_compaction_replaces_stay_for_a_while(config: DiskConfig) -> None:
    async with open_log(config, FileHandling(delete_delay_ms=LONG_MS)) as log:
        data = await append_durably(log, *[6000] * 6)
        await replace_range(log, 0, 4, pack_batch(3, b"left"))
        assert [path.name[:20] for path in deleted_files(config)] == [f"{n:020d}" for n in (0, 2)]
        assert await read(log, 0) == pack_batch(3, b"left") + data[4 * 6061 :]
    async with open_log(config, FileHandling()) as log:
        assert not deleted_files(config)
        assert await read(log, 0) == pack_batch(3, b"left") + data[4 * 6061 :]


@on_loop
async def test_a_deleted_log_stays_for_a_while_and_is_none(config: DiskConfig) -> None:
    engine = DiskEngine(config)
    await engine.start()
    for delay_ms in (LONG_MS, 0):
        log = await engine.open_log(LOG, epoch=0)
        log.limit_segments(limits(FileHandling(delete_delay_ms=delay_ms)))
        await append_durably(log, 100)
        await engine.delete_log(LOG)
        assert await engine.list_logs() == []
    await await_that(lambda: len(list((config.data_dir / "deleted").iterdir())) == 1)
    await engine.close()
    engine = DiskEngine(config)
    await engine.start()
    await await_that(lambda: not list((config.data_dir / "deleted").iterdir()))
    await engine.close()


# --- flush.messages and flush.ms


@dataclass
class CountingFiles(Files):
    """Counts syncs of segments."""

    synced: list[int] = field(default_factory=list)
    segments: set[int] = field(default_factory=set)

    def open(self, path: str, flags: int) -> int:
        fd = super().open(path, flags)
        self.segments.discard(fd)
        if path.endswith(".log"):
            self.segments.add(fd)
        return fd

    def fdatasync(self, fd: int, /) -> None:  # type: ignore[override]  # a function there
        super().fdatasync(fd)
        if fd in self.segments:
            self.synced.append(fd)


@on_loop
async def test_the_append_that_makes_flush_messages_unsynced_waits_for_the_device(
    config: DiskConfig,
) -> None:
    files = FaultyFiles()
    handling = FileHandling(flush_messages=3)
    async with open_log(replace(config, sync=False), handling, files) as log:
        files.sync_gate.clear()
        assert append_one(log) is None
        assert append_one(log) is None
        third = append_one(log)
        assert third is not None
        assert log.durable_end_offset == log.end_offset == 3  # as far as the kernel goes
        assert append_one(log) is None
        assert not third.is_settled
        files.sync_gate.set()
        await third


@on_loop
async def test_no_record_is_unsynced_for_longer_than_flush_ms(config: DiskConfig) -> None:
    files = CountingFiles()
    async with open_log(replace(config, sync=False), FileHandling(flush_ms=1), files) as log:
        assert append_one(log) is None
        await await_that(lambda: len(files.synced) == 1)
        assert append_one(log) is None
        await await_that(lambda: len(files.synced) == 2)


@on_loop
async def test_both_are_obeyed_at_once_when_they_are_altered(config: DiskConfig) -> None:
    files = CountingFiles()
    async with open_log(replace(config, sync=False), FileHandling(), files) as log:
        assert [append_one(log) for _ in range(5)] == [None] * 5
        assert not files.synced
        log.limit_segments(limits(FileHandling(flush_messages=6)))
        sixth = append_one(log)
        assert sixth is not None
        await sixth
        assert len(files.synced) == 1
        assert append_one(log) is None
        log.limit_segments(limits(FileHandling(flush_ms=1)))
        await await_that(lambda: len(files.synced) == 2)


@on_loop
async def test_a_flush_that_fails_fails_the_append_that_waits_and_takes_nothing_back(
    config: DiskConfig,
) -> None:
    files = FaultyFiles()
    handling = FileHandling(flush_messages=2)
    async with open_log(replace(config, sync=False), handling, files) as log:
        files.sync_error = errno.EIO
        assert append_one(log) is None
        second = append_one(log)
        assert second is not None
        with pytest.raises(StorageError, match="failed to sync"):
            await second
        assert log.end_offset == 2
        files.sync_error = None
        assert append_one(log) is None
        fourth = append_one(log)
        assert fourth is not None
        await fourth


def append_one(log: EngineLog) -> Pending[None] | None:
    return log.append(
        pack_batch(log.end_offset, b"value"),
        base_offset=log.end_offset,
        next_offset=log.end_offset + 1,
        max_timestamp_ms=0,
    )
