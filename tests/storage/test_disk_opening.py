"""How the disk engine opens its folder and its logs, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import LogName, StorageError
from datacore.testing.engine_harness import (
    LOG,
    append,
    on_loop,
    read,
)
from datacore.testing.faults import FaultyFiles

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.engine import EngineLog


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", segment_bytes=16384, checkpoint_bytes=8192)


@on_loop
async def test_a_second_engine_over_the_same_data_dir_is_refused_with_the_process_id(
    config: DiskConfig,
) -> None:
    engine = DiskEngine(config)
    await engine.start()
    second = DiskEngine(config)
    with pytest.raises(StorageError, match=r"is in use by process \d+"):
        await second.start()
    await second.close()
    await engine.close()
    await second.start()
    await second.close()


@on_loop
async def test_a_data_dir_that_cannot_be_made_is_refused(config: DiskConfig) -> None:
    config.data_dir.write_bytes(b"a file")
    with pytest.raises(StorageError, match="data_dir"):
        await DiskEngine(config).start()


@on_loop
async def test_a_thousand_logs_that_were_closed_open_without_reading_a_batch(
    config: DiskConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [LogName(f"topic-{number}") for number in range(1000)]
    engine = DiskEngine(config)
    await engine.start()
    logs = [await engine.open_log(name, epoch=0) for name in names]
    for log in logs:
        append(log, 100)
    await engine.close()

    files = FaultyFiles()

    def refuse(fd: int, buffer: memoryview, position: int) -> int:
        message = f"{len(buffer)} bytes of {fd} were read at {position}"
        raise AssertionError(message)

    monkeypatch.setattr(files, "read", refuse)
    files.sync_begun.clear()
    engine = DiskEngine(config, files=files)
    await engine.start()
    for name in names:
        log = await engine.open_log(name, epoch=0)
        assert log.end_offset == log.durable_end_offset == 1
    assert not files.sync_begun.is_set()
    await engine.close()


@on_loop
async def test_a_log_that_is_being_closed_opens_when_that_is_done(config: DiskConfig) -> None:
    files = FaultyFiles()
    engine = DiskEngine(config, files=files)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    files.sync_gate.clear()
    data = append(log, 100, 200)
    again: list[EngineLog] = []

    async def open_again() -> None:
        again.append(await engine.open_log(LOG, epoch=0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.close)
        await anyio.to_thread.run_sync(files.sync_begun.wait)
        tasks.start_soon(open_again)
        await anyio.lowlevel.checkpoint()
        assert again == []
        files.sync_gate.set()
    assert await read(again[0], 0) == data
    await engine.close()


@on_loop
async def test_folders_of_deleted_logs_are_removed_at_the_next_start(config: DiskConfig) -> None:
    leftover = config.data_dir / "deleted" / "1.2-3.deleted"
    leftover.mkdir(parents=True)
    (leftover / "state").write_bytes(b"")
    engine = DiskEngine(config)
    await engine.start()
    await engine.open_log(LOG, epoch=0)
    await engine.delete_log(LOG)
    await engine.close()
    assert list((config.data_dir / "deleted").iterdir()) == []
    assert list((config.data_dir / "logs").iterdir()) == []


def test_settings_outside_of_their_limits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="segment_bytes must lie between"):
        DiskConfig(data_dir=tmp_path, segment_bytes=2**31)
    with pytest.raises(ValueError, match="open_files_max must lie between"):
        DiskConfig(data_dir=tmp_path, open_files_max=1)
