"""The disk engine on devices that are full, broken or slow, and what a reader may then see."""

from __future__ import annotations

import errno
import logging
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    on_loop,
    read,
)
from datacore.testing.faults import FaultyFiles

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.engine import EngineLog
    from datacore.storage.pending import Pending


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path, segment_bytes=65536)


def append_pending(log: EngineLog, size: int) -> Pending[None]:
    offset = log.end_offset
    pending = log.append(
        pack_batch(offset, bytes(size)),
        base_offset=offset,
        next_offset=offset + 1,
        max_timestamp_ms=offset,
    )
    assert pending is not None
    return pending


@on_loop
async def test_a_full_device_refuses_an_append_whole_and_takes_one_when_there_is_room(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    for free_bytes in (0, 1, 100):
        files.free_bytes = free_bytes
        with pytest.raises(StorageError, match="No space left"):
            append(log, 1000)
        assert (log.end_offset, log.durable_end_offset, log.size_bytes) == (1, 1, len(data))
        assert await read(log, 0) == data
    files.free_bytes = None
    data += await append_durably(log, 50, 60)
    assert await read(log, 0) == data
    await engine.close()
    assert await _reopened(config) == data


@on_loop
async def test_a_write_error_does_not_fail_what_was_written_before(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    pending = append_pending(log, 10)
    files.write_error = errno.EIO
    with pytest.raises(StorageError, match="Input/output error"):
        append(log, 10)
    files.write_error = None
    await pending
    assert log.durable_end_offset == log.end_offset == 1
    await engine.close()


@on_loop
async def test_a_failed_sync_takes_back_all_that_was_not_durable_and_the_log_goes_on(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100, 200, timestamp_ms=5)
    files.sync_error = errno.EIO
    files.sync_gate.clear()
    in_round = append_pending(log, 300)
    told: list[tuple[int, int]] = []
    in_round.then(lambda _: told.append((log.end_offset, log.durable_end_offset)))
    files.sync_gate.set()
    with pytest.raises(StorageError, match="durable"):
        await in_round
    assert told == [(2, 2)]
    assert log.size_bytes == len(data)
    assert await read(log, 0) == data
    assert await log.find_timestamp(6) == 2
    files.sync_error = None
    data += await append_durably(log, 50)
    assert await read(log, 0) == data
    await engine.close()
    assert await _reopened(config) == data


@on_loop
async def test_what_was_appended_during_a_round_that_fails_fails_too(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    files.sync_error = errno.EIO
    files.sync_gate.clear()
    first = append_pending(log, 100)
    files.sync_begun.clear()
    await anyio.to_thread.run_sync(files.sync_begun.wait)
    second = append_pending(log, 100)
    assert second is not first
    files.sync_gate.set()
    for pending in (first, second):
        with pytest.raises(StorageError, match="durable"):
            await pending
    assert (log.end_offset, log.durable_end_offset, log.size_bytes) == (0, 0, 0)
    files.sync_error = None
    data = await append_durably(log, 10, 20)
    assert await read(log, 0) == data
    await engine.close()
    assert await _reopened(config) == data


@on_loop
async def test_a_log_whose_sync_fails_does_not_fail_its_neighbour(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    broken = await engine.open_log(LOG, epoch=0)
    sound = await engine.open_log(OTHER_LOG, epoch=0)
    files.sync_error = errno.EIO
    files.sync_errors_in = LOG
    of_broken, of_sound = append_pending(broken, 10), append_pending(sound, 10)
    with pytest.raises(StorageError, match="durable"):
        await of_broken
    await of_sound
    assert (broken.end_offset, sound.end_offset) == (0, 1)
    await engine.close()


@on_loop
async def test_a_failed_sync_across_a_roll_goes_back_over_the_roll(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 40_000)
    files.sync_error = errno.EIO
    pendings = [append_pending(log, 40_000) for _ in range(3)]
    for pending in pendings:
        with pytest.raises(StorageError, match="durable"):
            await pending
    assert (log.end_offset, log.size_bytes) == (1, len(data))
    files.sync_error = None
    data += await append_durably(log, 40_000, 10, 40_000)
    assert await read(log, 0) == data
    await engine.close()
    assert await _reopened(config) == data


@on_loop
async def test_bytes_behind_the_next_segments_base_are_cut_at_recovery(
    config: DiskConfig, files: FaultyFiles, tmp_path: Path
) -> None:
    """A failed flush may leave them, when the device refuses even to cut the file."""
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    files.sync_error = errno.EIO
    lost = append_pending(log, 200)
    with pytest.raises(StorageError, match="durable"):
        await lost
    files.sync_error = None
    first = tmp_path / "logs" / LOG / f"{0:020d}.log"
    with first.open("ab") as file:
        file.write(pack_batch(1, bytes(200)))
    data += await append_durably(log, 300)
    image = tmp_path / "image"
    shutil.copytree(tmp_path / "logs", image / "logs", ignore=shutil.ignore_patterns("*.deleted"))
    await engine.close()
    assert await _reopened(replace(config, data_dir=image)) == data


@on_loop
async def test_bytes_behind_the_next_segments_base_are_not_served_where_recovery_does_not_look(
    config: DiskConfig, tmp_path: Path
) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 40_000, 40_000)
    await engine.close()
    first = tmp_path / "logs" / LOG / f"{0:020d}.log"
    with first.open("ab") as file:
        file.write(pack_batch(1, bytes(200)))
    assert await _reopened(config) == data


@on_loop
async def test_without_room_for_a_new_segment_the_log_stays_as_it_was(
    config: DiskConfig, files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 60_000)

    def refuse(path: str, flags: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", path, flags)

    with monkeypatch.context() as patch:
        patch.setattr(files, "open", refuse)
        with pytest.raises(StorageError, match="No space left"):
            append(log, 10_000)
    assert (log.end_offset, log.size_bytes) == (1, len(data))
    data += await append_durably(log, 10_000)
    assert await read(log, 0) == data
    await engine.close()


@on_loop
async def test_a_checkpoint_that_fails_is_written_anew(
    config: DiskConfig, files: FaultyFiles, caplog: pytest.LogCaptureFixture
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, *([5000] * 10))
    files.sync_error = errno.EIO
    files.sync_errors_in = "index"
    with caplog.at_level(logging.WARNING, "datacore.storage.disk"):
        data += await append_durably(log, 40_000)
        await log.truncate_before(1)
        await log.save_snapshot(11, b"flushes, and so waits for the checkpoint")
    assert "cannot write a checkpoint" in caplog.text
    files.sync_error = None
    data += await append_durably(log, 40_000)
    await engine.close()
    again = DiskEngine(config)
    await again.start()
    log = await again.open_log(LOG, epoch=0)
    for offset in range(1, 12):
        assert data.endswith(await read(log, offset))
    await again.close()


@on_loop
async def test_reads_that_must_ask_the_device_are_whole_and_survive_what_happens_meanwhile(
    config: DiskConfig, files: FaultyFiles
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, *([20_000] * 10))
    files.is_cold = True
    assert log.read_warm(0, max_bytes=1000, before_offset=10) is None
    for offset in range(10):
        buffers = await log.read(offset, max_bytes=1 << 20, before_offset=10)
        assert data.endswith(b"".join(buffers))
    await log.truncate_before(5)
    await log.truncate_after(8)
    size = len(data) // 10
    buffers = await log.read(5, max_bytes=1 << 20, before_offset=10)
    assert b"".join(buffers) == data[5 * size : 8 * size]
    await engine.close()


@on_loop
async def test_a_file_that_was_cut_behind_the_engines_back_is_an_error_not_a_hang(
    config: DiskConfig, files: FaultyFiles, tmp_path: Path
) -> None:
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 1000, 1000)
    path = tmp_path / "logs" / LOG / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(StorageError, match="ends before"):
        await log.read(0, max_bytes=1 << 20, before_offset=2)
    path.write_bytes(bytes(2200))
    with pytest.raises(StorageError, match="damaged"):
        await log.read(0, max_bytes=1 << 20, before_offset=2)
    await engine.close()


async def _reopened(config: DiskConfig) -> bytes:
    """All that an engine finds that has just been started."""
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=1)
    data = await read(log, log.start_offset)
    assert log.size_bytes == len(data)
    await engine.close()
    return data
