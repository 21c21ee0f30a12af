"""Replacing on disk: crashes at every step, devices that fail, and files that are in use."""

from __future__ import annotations

import errno
from dataclasses import replace as with_changes
from random import Random
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import SegmentLimits, StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    append_durably,
    check_extents,
    on_loop,
    read,
    replace,
)
from datacore.testing.faults import CrashingFiles, FaultyFiles

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.engine import EngineLog


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", index_interval_bytes=300)


async def filled(log: EngineLog) -> None:
    log.limit_segments(SegmentLimits(size_bytes=1000, age_ms=1 << 40))
    await append_durably(log, *([200] * 40), timestamp_ms=3)


class PhotographedFiles(CrashingFiles):
    """Takes a picture of what a crash would leave, before each step that a crash could part."""

    def __init__(self, config: DiskConfig, random: Random) -> None:
        super().__init__()
        self.config = config
        self.random = random
        self.images: list[Path] = []
        self.is_on = False

    def photograph(self) -> None:
        with self._lock:
            if self.is_on:
                image = self.config.data_dir.with_name(f"image-{len(self.images)}")
                self.crash_image(self.config.data_dir, image, self.random)
                self.images.append(image)

    def fdatasync(self, fd: int, /) -> None:  # type: ignore[override]  # as in CrashingFiles
        self.photograph()
        super().fdatasync(fd)

    def rename(self, source: Path, target: Path) -> None:
        self.photograph()
        super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        self.photograph()
        super().sync_folder(path)


@pytest.mark.parametrize("seed", range(5))
@on_loop
async def test_a_loss_of_power_leaves_the_old_batches_or_the_new_ones(
    config: DiskConfig, seed: int
) -> None:
    files = PhotographedFiles(config, Random(seed))
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    first, second, *_, last = await log.extents()
    old = await read(log, 0)
    files.is_on = True
    base_offset, next_offset = (second if seed % 2 else first).base_offset, last.base_offset
    kept = pack_batch(base_offset + 1, b"kept"), pack_batch(next_offset - 1, b"")
    await replace(log, base_offset, next_offset, *kept)
    files.photograph()
    files.is_on = False
    new = await read(log, 0)
    await engine.close()

    found: list[bytes] = []
    for image in files.images:
        again = DiskEngine(with_changes(config, data_dir=image))
        await again.start()
        log = await again.open_log(LOG, epoch=0)
        assert (log.start_offset, log.end_offset) == (0, 40)
        found.append(await read(log, 0))
        await check_extents(log)
        assert await log.find_timestamp(3) <= 39
        await append_durably(log, 100)
        await again.close()
        left = {path.suffix for path in (image / "logs" / LOG).iterdir()}
        assert left <= {".log", ".index", ".timeindex", "", ".deleted"}
        names = {path.name for path in (image / "logs" / LOG).glob("*.swap")}
        assert not names
    assert set(found) == {old, new}
    assert found == sorted(found, key=lambda data: data == new)


@on_loop
async def test_a_full_device_replaces_nothing_and_keeps_nothing(config: DiskConfig) -> None:
    files = FaultyFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    whole = await read(log, 0)
    next_offset = list(await log.extents())[2].next_offset
    folder = config.data_dir / "logs" / LOG
    files.free_bytes = 100
    with pytest.raises(StorageError):
        await replace(log, 0, next_offset, pack_batch(next_offset - 1, bytes(200)))
    assert await read(log, 0) == whole
    assert not [path for path in folder.iterdir() if path.suffix in {".deleted", ".swap"}]
    files.free_bytes = None
    await replace(log, 0, next_offset, pack_batch(next_offset - 1, bytes(200)))
    assert len(list(walk_batches(await read(log, 0)))) == 40 - next_offset + 1
    await engine.close()


@on_loop
async def test_a_device_that_does_not_sync_replaces_nothing(config: DiskConfig) -> None:
    files = FaultyFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    whole = await read(log, 0)
    next_offset = list(await log.extents())[2].next_offset
    for suffix in (".log", ".index", ".timeindex"):
        files.sync_error, files.sync_errors_in = errno.EIO, f"{0:020d}{suffix}"
        with pytest.raises(StorageError):
            await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
        assert await read(log, 0) == whole
    files.sync_error = None
    await engine.close()


class UnnamingFiles(FaultyFiles):
    """Files whose names cannot be changed once a replacement is decided."""

    is_broken = False

    def rename(self, source: Path, target: Path) -> None:
        if self.is_broken and target.suffix != ".swap":
            raise OSError(errno.EIO, "no names today")
        super().rename(source, target)


@on_loop
async def test_names_that_cannot_be_put_right_are_put_right_by_the_next_start(
    config: DiskConfig,
) -> None:
    files = UnnamingFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    _, second, third, *_ = await log.extents()
    files.is_broken = True
    last = pack_batch(third.next_offset - 1, b"")
    await replace(log, second.base_offset, third.next_offset, last)
    new = await read(log, 0)
    assert len(list(walk_batches(new))) < 40
    with pytest.raises(StorageError):
        await replace(log, second.base_offset, third.next_offset, last)
    new += await append_durably(log, 50)
    await engine.close()

    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert await read(log, 0) == new
    await replace(log, second.base_offset, third.next_offset, last)
    assert await read(log, 0) == new
    await engine.close()


@on_loop
async def test_a_cold_reader_in_flight_begins_anew(config: DiskConfig) -> None:
    files = FaultyFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    next_offset = list(await log.extents())[-1].base_offset
    files.is_cold = True
    files.read_gate.clear()
    found: list[bytes] = []

    async def read_cold() -> None:
        buffers = await log.read(3, max_bytes=EVERYTHING, before_offset=EVERYTHING)
        found.append(b"".join(buffers))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_cold)
        await anyio.to_thread.run_sync(files.read_begun.wait)
        await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
        files.read_gate.set()
    assert found == [await read(log, 3)]
    await engine.close()


@on_loop
async def test_old_files_lose_their_names_and_their_space(config: DiskConfig) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await filled(log)
    next_offset = list(await log.extents())[-1].base_offset
    await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
    await engine.close()
    folder = config.data_dir / "logs" / LOG
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(
        [
            *(f"{0:020d}{suffix}" for suffix in (".index", ".log", ".timeindex")),
            f"{next_offset:020d}.log",  # whose indexes have no entries yet
            "state",
        ]
    )
