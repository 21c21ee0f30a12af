"""What the disk engine finds after a crash, after a clean stop, and in damaged files."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from struct import Struct
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import Fenced, LogName, OffsetTruncated, StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    on_loop,
    read,
)
from datacore.testing.faults import CrashingFiles, FaultyFiles
from tests.storage.append_until_killed import payload_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.storage.engine import EngineLog

ROOT = Path(__file__).parents[2]


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
