"""What the disk engine finds in files that a crash or a clean stop left, whole or damaged."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import Fenced
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    LOG,
    append_durably,
    on_loop,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", segment_bytes=16384, checkpoint_bytes=8192)


def file_of(config: DiskConfig, base_offset: int, suffix: str = ".log") -> Path:
    return config.data_dir / "logs" / LOG / f"{base_offset:020d}{suffix}"


async def written(config: DiskConfig, *sizes: int) -> bytes:
    """A log of these batches, as a machine leaves it that does not know what was durable."""
    draft = replace(config, data_dir=config.data_dir.with_name("draft"))
    engine = DiskEngine(draft)
    await engine.start()
    log = await engine.open_log(LOG, epoch=3)
    data = b""
    for offset, size in enumerate(sizes):
        batch = pack_batch(offset, b"\xa5" * size, max_timestamp_ms=7)
        pending = log.append(batch, base_offset=offset, next_offset=offset + 1, max_timestamp_ms=7)
        assert pending is not None
        await pending
        data += batch
    shutil.copytree(draft.data_dir, config.data_dir, ignore=shutil.ignore_patterns("ends"))
    await engine.close()
    shutil.rmtree(draft.data_dir)
    return data


async def found(config: DiskConfig) -> tuple[bytes, int]:
    """What a new engine finds, and where the log ends; then it appends and closes."""
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=3)
    end_offset = log.end_offset
    data = await read(log, log.start_offset)
    assert log.durable_end_offset == end_offset
    assert log.size_bytes == len(data)
    after = await append_durably(log, 10, 20)
    assert await read(log, log.start_offset) == data + after
    await engine.close()
    return data, end_offset


def cut_randomly(path: Path, random: Random) -> int:
    content = path.read_bytes()
    kept = random.randrange(len(content))
    path.write_bytes(content[:kept])
    return kept


def scribble(path: Path, random: Random) -> int:
    content = bytearray(path.read_bytes())
    start = random.randrange(len(content))
    content[start:] = random.randbytes(len(content) - start)
    path.write_bytes(content)
    return start


def zero_a_page(path: Path, random: Random) -> int:
    content = bytearray(path.read_bytes())
    start = random.randrange(0, len(content), 4096)
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)
    return start


def flip_a_bit(path: Path, random: Random) -> int:
    content = bytearray(path.read_bytes())
    at = random.randrange(len(content))
    content[at] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return at


def add_zeros(path: Path, random: Random) -> int:
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(random.randrange(1, 5000)))
    return size


def add_noise(path: Path, random: Random) -> int:
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(random.randbytes(random.randrange(1, 5000)))
    return size


@pytest.mark.parametrize(
    "damage", [cut_randomly, scribble, zero_a_page, flip_a_bit, add_zeros, add_noise]
)
@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_tail_is_cut_at_the_last_whole_batch_with_one_line(
    config: DiskConfig,
    damage: Callable[[Path, Random], int],
    seed: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        unchecked = replace(config, segment_bytes=1 << 20, checkpoint_bytes=1 << 20)
        data = await written(unchecked, *(random.randrange(3000) for _ in range(20)))
        whole_until = damage(file_of(config, 0), random)
        kept = [extent.end for extent in walk_batches(data) if extent.end <= whole_until]
        with caplog.at_level(logging.INFO, "datacore.storage.disk"):
            read_back, end_offset = await found(unchecked)
        assert read_back == data[: kept[-1] if kept else 0]
        assert end_offset == len(kept)
        lines = [record.getMessage() for record in caplog.records]
        if whole_until != (kept[-1] if kept else 0) or damage is not cut_randomly:
            assert len(lines) == 1
            assert f"offset {end_offset}" in lines[0]

    check()


@on_loop
async def test_everything_behind_a_hole_is_dropped_too(config: DiskConfig) -> None:
    data = await written(config, *([3000] * 20))
    (config.data_dir / "logs" / LOG / "state").unlink()
    path = file_of(config, 5)
    assert path.exists()
    content = bytearray(path.read_bytes())
    content[4000] ^= 1
    path.write_bytes(content)
    read_back, end_offset = await found(config)
    assert end_offset == 6
    assert read_back == data[: 6 * 3061]
    assert not file_of(config, 10).exists()


@on_loop
async def test_index_files_that_are_gone_or_nonsense_are_made_anew(config: DiskConfig) -> None:
    data = await written(config, *([3000] * 20))
    data_read, _ = await found(config)
    assert data_read == data
    folder = file_of(config, 0).parent
    for path in folder.glob("*.index"):
        path.unlink()
    for path in folder.glob("*.timeindex"):
        path.write_bytes(b"odd")
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=3)
    for offset in range(20):
        assert (await read(log, offset)).startswith(data[offset * 3061 : (offset + 1) * 3061])
    assert await log.find_timestamp(8) == log.end_offset
    await engine.close()
    for base_offset in (0, 5, 10):
        assert len(file_of(config, base_offset, ".index").read_bytes()) > 0


@on_loop
async def test_a_state_file_with_one_torn_slot_says_what_the_other_says(
    config: DiskConfig,
) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=4)
    data = await append_durably(log, 100, 200, 300)
    await log.truncate_before(1)
    await log.truncate_before(2)
    await engine.close()
    path = config.data_dir / "logs" / LOG / "state"
    whole = path.read_bytes()
    starts = set()
    for slot in (0, 512):
        torn = bytearray(whole)
        torn[slot + 20] ^= 255
        path.write_bytes(torn)
        engine = DiskEngine(replace(config))
        await engine.start()
        with pytest.raises(Fenced):
            await engine.open_log(LOG, epoch=3)
        log = await engine.open_log(LOG, epoch=4)
        starts.add(log.start_offset)
        assert data.endswith(await read(log, log.start_offset))
        await engine.close()
    assert starts <= {1, 2}


@on_loop
async def test_a_clean_stop_whose_recovery_point_was_lost_with_the_power_loses_nothing(
    config: DiskConfig,
) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=3)
    data = await append_durably(log, *([1000] * 40))
    path = config.data_dir / "logs" / LOG / "state"
    before = path.read_bytes()
    await engine.close()
    assert path.read_bytes() != before
    path.write_bytes(before)
    assert await found(config) == (data, 40)


@on_loop
async def test_a_snapshot_that_is_not_whole_is_none(config: DiskConfig) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10)
    await log.save_snapshot(1, b"summary")
    path = config.data_dir / "logs" / LOG / "snapshot"
    content = path.read_bytes()
    for damaged in (b"", content[:-1], content[:5], content[:-1] + b"!"):
        path.write_bytes(damaged)
        assert await log.load_snapshot() is None
    path.write_bytes(content)
    assert await log.load_snapshot() == (1, b"summary")
    await engine.close()


@on_loop
async def test_a_snapshot_of_what_a_crash_took_is_dropped(config: DiskConfig) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10, 20)
    await log.save_snapshot(2, b"summary")
    image = replace(config, data_dir=config.data_dir.with_name("image"))
    shutil.copytree(config.data_dir, image.data_dir, ignore=shutil.ignore_patterns("ends"))
    await engine.close()
    path = file_of(image, 0)
    (path.parent / "state").unlink()
    path.write_bytes(path.read_bytes()[:-1])
    engine = DiskEngine(image)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert log.end_offset == 1
    assert await log.load_snapshot() is None
    await append_durably(log, 10, 20)
    assert await log.load_snapshot() is None
    await engine.close()


@on_loop
async def test_a_log_opens_again_while_what_it_dropped_is_being_removed(
    config: DiskConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = await written(config, 100)
    scandir = os.scandir

    def scanned_before_it_was_removed(path: Path) -> list[object]:
        return [*scandir(path), SimpleNamespace(name=f"{0:020d}.index.1-2.deleted")]

    with monkeypatch.context() as patch:
        engine = DiskEngine(config)
        await engine.start()
        patch.setattr(os, "scandir", scanned_before_it_was_removed)
        log = await engine.open_log(LOG, epoch=3)
    assert await read(log, 0) == data
    await engine.close()
