"""The disk engine after a loss of power and after kill -9, with what it had called durable."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    on_loop,
    read,
)
from datacore.testing.faults import CrashingFiles
from tests.storage.append_until_killed import payload_of

if TYPE_CHECKING:
    from datacore.storage.engine import EngineLog

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(30))
def test_a_loss_of_power_takes_nothing_that_was_called_durable(tmp_path: Path, seed: int) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        files = CrashingFiles()
        config = DiskConfig(data_dir=tmp_path / "data", segment_bytes=16384, checkpoint_bytes=8192)
        engine = DiskEngine(config, files=files)
        await engine.start()
        logs = [await engine.open_log(name, epoch=seed) for name in (LOG, OTHER_LOG)]
        histories: list[bytes] = [b"", b""]
        for _ in range(random.randrange(5, 60)):
            which = random.randrange(2)
            histories[which] = await _do_something(logs[which], histories[which], random)
        durable = [(log.start_offset, log.durable_end_offset) for log in logs]
        files.crash_image(config.data_dir, tmp_path / "image", random)
        await engine.close()

        engine = DiskEngine(replace(config, data_dir=tmp_path / "image"))
        await engine.start()
        for log, history, (start_offset, durable_end_offset) in zip(
            logs, histories, durable, strict=True
        ):
            again = await engine.open_log(log.name, epoch=seed)
            assert again.start_offset == start_offset
            assert again.end_offset >= durable_end_offset
            kept = await read(again, start_offset)
            extents = list(walk_batches(history))
            first = next((e.start for e in extents if e.last_offset >= start_offset), len(history))
            assert history[first:].startswith(kept)
            await append_durably(again, 100)
        await engine.close()

    check()


async def _do_something(log: EngineLog, history: bytes, random: Random) -> bytes:
    """One step of a log's life; returns all that was ever appended and not cut."""
    match random.choices(["append", "durable", "before", "after", "snapshot"], [8, 6, 1, 1, 1])[0]:
        case "append":
            history += append(log, *(random.randrange(4000) for _ in range(random.randrange(1, 4))))
        case "durable":
            history += await append_durably(log, random.randrange(4000))
        case "before":
            await log.truncate_before(random.randint(log.start_offset, log.end_offset))
        case "after":
            bases = [e.base_offset for e in walk_batches(history) if e.start >= 0]
            bases = [base for base in bases if base >= log.start_offset] or [log.end_offset]
            offset = random.choice(bases)
            await log.truncate_after(offset)
            ends = [e.start for e in walk_batches(history) if e.base_offset == offset]
            history = history[: ends[0]] if ends else history
        case "snapshot":
            await log.save_snapshot(log.end_offset, random.randbytes(50))
    return history


@pytest.mark.parametrize("sync", ["sync", "no-sync"])
def test_kill_9_loses_nothing_that_was_acknowledged_and_gives_no_offset_twice(
    tmp_path: Path, sync: str
) -> None:
    acknowledged = -1
    for round_number in range(4):
        command = [sys.executable, "-m", "tests.storage.append_until_killed"]
        with subprocess.Popen(
            [*command, str(tmp_path), sync], stdout=subprocess.PIPE, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            resumed_at = -int(process.stdout.readline())
            assert resumed_at > acknowledged
            lines = [process.stdout.readline() for _ in range(150 * (round_number + 1))]
            process.kill()
            lines += process.stdout.readlines()
        acknowledged = max(int(line) for line in lines if line.endswith(b"\n"))
        assert acknowledged >= resumed_at + 149

    @on_loop
    async def check() -> None:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        assert log.end_offset > acknowledged
        data = await read(log, 0)
        offsets = []
        for extent in walk_batches(data):
            offsets.append(extent.base_offset)
            payload = data[extent.start + 61 : extent.end]
            assert payload == payload_of(extent.base_offset)
        assert offsets == list(range(log.end_offset))
        await engine.close()

    check()
