"""Bytes that were durable and are not what was written any more: found, told, and never served.

A reader gets ``Damaged`` for what is lost, everything else as it was, and no offset twice.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.damage import STRETCH_SIZE
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import Damaged, LogName, OffsetTruncated
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    OTHER_LOG,
    append_durably,
    on_loop,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacore.storage.engine import EngineLog


@pytest.fixture
def config(tmp_path: Path) -> DiskConfig:
    return DiskConfig(data_dir=tmp_path / "data", segment_bytes=65536, checkpoint_bytes=1 << 20)


def folder_of(config: DiskConfig) -> Path:
    return config.data_dir / "logs" / LOG


def segments_of(config: DiskConfig) -> list[Path]:
    return sorted(folder_of(config).glob("*.log"))


@dataclass
class Log:
    """What a log held before it was damaged: batches by base offset."""

    batches: dict[int, bytes] = field(default_factory=dict)
    end_offset: int = 0


@dataclass
class Found:
    """What a reader got out of a log, from its start to its end."""

    batches: dict[int, bytes] = field(default_factory=dict)
    holes: list[tuple[int, int]] = field(default_factory=list)

    def note_hole(self, first_offset: int, next_offset: int) -> None:
        assert first_offset < next_offset
        if self.holes and self.holes[-1][1] == first_offset:
            first_offset, _ = self.holes.pop()
        self.holes.append((first_offset, next_offset))


async def append_batches(log: EngineLog, random: Random, count: int, known: Log) -> None:
    pending = None
    for _ in range(count):
        records = random.randrange(1, 5)
        offset = log.end_offset
        batch = pack_batch(
            offset,
            random.randbytes(random.randrange(3000)),
            records=records,
            max_timestamp_ms=1000 + offset,
        )
        pending = log.append(
            batch,
            base_offset=offset,
            next_offset=offset + records,
            max_timestamp_ms=1000 + offset,
        )
        known.batches[offset] = batch
        known.end_offset = log.end_offset
    assert pending is not None
    await pending


async def stopped(config: DiskConfig, seed: int, count: int = 120) -> Log:
    """A log as a clean stop leaves it: all of it lies below the recovery point."""
    known = Log()
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_batches(log, Random(seed), count, known)
    await engine.close()
    return known


async def killed(config: DiskConfig, tmp_path: Path, seed: int, count: int = 120) -> Log:
    """A log as kill -9 leaves it."""
    known = Log()
    draft = DiskConfig(
        data_dir=tmp_path / "draft",
        segment_bytes=config.segment_bytes,
        checkpoint_bytes=config.checkpoint_bytes,
    )
    engine = DiskEngine(draft)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_batches(log, Random(seed), count, known)
    shutil.copytree(draft.data_dir, config.data_dir)
    await engine.close()
    return known


async def found(config: DiskConfig, known: Log) -> Found:
    """Reads a log as a consumer does that steps over what is lost; then it goes on."""
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert log.end_offset == log.durable_end_offset == known.end_offset
    result = Found()
    offset = log.start_offset
    while offset < log.end_offset:
        try:
            [*buffers] = await log.read(offset, max_bytes=10_000, before_offset=EVERYTHING)
        except Damaged as error:
            result.note_hole(offset, error.next_offset)
            offset = error.next_offset
            continue
        data = b"".join(buffers)
        assert data, f"nothing at {offset}, and no error"
        for extent in walk_batches(data):
            assert extent.base_offset == offset, f"{offset} was left out in silence"
            result.batches[extent.base_offset] = data[extent.start : extent.end]
            offset = extent.last_offset + 1
    for lost_from, lost_to in result.holes:
        for lost in {lost_from, (lost_from + lost_to) // 2, lost_to - 1}:
            with pytest.raises(Damaged):
                await log.read(lost, max_bytes=10, before_offset=EVERYTHING)
    await engine.close()
    return result


def assert_only_lost(known: Log, result: Found, *, at_most: int) -> None:
    """What was served is what was written, and no more is lost than so many batches."""
    assert all(known.batches[offset] == batch for offset, batch in result.batches.items())
    lost = known.batches.keys() - result.batches.keys()
    assert len(lost) <= at_most
    assert all(any(a <= offset < b for a, b in result.holes) for offset in lost)


def flip_a_bit(content: bytearray, random: Random) -> int:
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return 1


def zero_a_page(content: bytearray, random: Random) -> int:
    start = random.randrange(0, len(content), 4096)
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    return 200


def scribble(content: bytearray, random: Random) -> int:
    start = random.randrange(len(content))
    end = min(len(content), start + random.randrange(1, 10_000))
    content[start:end] = random.randbytes(end - start)
    return 200


def cut(content: bytearray, random: Random) -> int:
    del content[random.randrange(len(content)) :]
    return 200


def flip_a_bit_of_a_base_offset(content: bytearray, random: Random) -> int:
    """No checksum covers it."""
    extents = list(walk_batches(bytes(content)))
    content[random.choice(extents).start + random.randrange(8)] ^= 1 << random.randrange(8)
    return 1


DAMAGES = [flip_a_bit, flip_a_bit_of_a_base_offset, zero_a_page, scribble, cut]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", range(5))
def test_damage_below_the_recovery_point_is_isolated_and_told(
    config: DiskConfig,
    damage: Callable[[bytearray, Random], int],
    seed: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        known = await stopped(config, seed)
        path = random.choice(segments_of(config))
        content = bytearray(path.read_bytes())
        at_most = damage(content, random)
        path.write_bytes(content)
        result = await found(config, known)
        assert_only_lost(known, result, at_most=at_most)
        assert result.holes
        lines = [line for line in caplog.messages if "is damaged" in line]
        assert any(path.name in line for line in lines)
        assert await found(config, known) == result

    check()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", range(5))
def test_damage_behind_the_recovery_point_of_what_was_durable_is_isolated_and_told(
    config: DiskConfig,
    tmp_path: Path,
    damage: Callable[[bytearray, Random], int],
    seed: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        known = await killed(config, tmp_path, seed)
        path = segments_of(config)[-1]
        content = bytearray(path.read_bytes())
        at_most = damage(content, random)
        path.write_bytes(content)
        with caplog.at_level(logging.INFO, "datacore.storage.disk"):
            result = await found(config, known)
        assert_only_lost(known, result, at_most=at_most)
        assert result.holes
        assert any("is damaged" in line for line in caplog.messages)
        assert await found(config, known) == result

    check()


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
@pytest.mark.parametrize("damage", [flip_a_bit, scribble, cut, None])
@pytest.mark.parametrize("seed", range(2))
def test_damaged_and_missing_indexes_are_made_anew_and_mislead_nobody(
    config: DiskConfig,
    suffix: str,
    damage: Callable[[bytearray, Random], int] | None,
    seed: int,
) -> None:
    @on_loop
    async def check() -> None:
        random = Random(seed)
        known = await stopped(config, seed)
        for path in folder_of(config).glob("*" + suffix):
            content = bytearray(path.read_bytes())
            if damage is None:
                path.unlink()
            elif content:
                damage(content, random)
                path.write_bytes(content)
        engine = DiskEngine(config)
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        offsets = list(known.batches)
        for offset in random.sample(offsets, len(offsets)):
            (batch,) = await log.read(offset, max_bytes=1, before_offset=EVERYTHING)
            assert batch == known.batches[offset]
        await engine.close()
        assert (await found(config, known)).batches == known.batches

    check()


@on_loop
async def test_a_look_up_by_time_steps_over_damage(config: DiskConfig) -> None:
    known = await stopped(config, 1)
    path = segments_of(config)[0]
    content = bytearray(path.read_bytes())
    victim = list(known.batches)[10]
    start = sum(len(known.batches[offset]) for offset in list(known.batches)[:10])
    content[start : start + 61] = bytes(61)
    path.write_bytes(content)
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    for offset in list(known.batches)[11:]:
        assert await log.find_timestamp(1000 + offset) == offset
    assert await log.find_timestamp(1000 + victim) == list(known.batches)[11]
    await engine.close()


@on_loop
async def test_a_batch_inside_of_a_record_is_not_taken_for_one_of_the_log(
    config: DiskConfig,
) -> None:
    """Somebody may keep batches in records; behind a damaged header they look like the log's."""
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10)
    inside = pack_batch(2, b"not of this log") + b"and more"
    batch = pack_batch(1, inside)
    await_durable = log.append(batch, base_offset=1, next_offset=2, max_timestamp_ms=0)
    assert await_durable is not None
    await await_durable
    behind = await append_durably(log, 30, 30, 30)
    await engine.close()
    path = segments_of(config)[0]
    content = bytearray(path.read_bytes())
    content[71 + 8] ^= 255
    path.write_bytes(content)
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    with pytest.raises(Damaged) as lost:
        await log.read(1, max_bytes=1, before_offset=EVERYTHING)
    assert lost.value.next_offset == 2
    assert await read(log, 2) == behind
    await engine.close()


@on_loop
async def test_a_missing_file_in_the_middle_is_a_hole_that_is_told(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    known = await stopped(config, 3)
    paths = segments_of(config)
    gone, behind = int(paths[1].stem), int(paths[2].stem)
    paths[1].unlink()
    result = await found(config, known)
    assert result.holes == [(gone, behind)]
    assert_only_lost(known, result, at_most=len(known.batches))
    assert any(f"offsets {gone} to {behind - 1} are lost" in line for line in caplog.messages)


@on_loop
async def test_without_its_last_file_a_log_goes_on_where_it_had_ended(config: DiskConfig) -> None:
    known = await stopped(config, 4)
    last = segments_of(config)[-1]
    gone = int(last.stem)
    last.unlink()
    result = await found(config, known)
    assert result.holes == [(gone, known.end_offset)]
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    assert await read(log, known.end_offset) == data
    await engine.close()


@on_loop
async def test_without_its_first_file_a_log_begins_behind_it(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    known = await stopped(config, 5)
    paths = segments_of(config)
    paths[0].unlink()
    result = await found(config, known)
    assert result.holes == []
    assert min(result.batches) == int(paths[1].stem)
    assert any("is missing" in line or "are missing" in line for line in caplog.messages)


@on_loop
async def test_without_any_file_a_log_gives_no_offset_twice(config: DiskConfig) -> None:
    known = await stopped(config, 6)
    for path in segments_of(config):
        path.unlink()
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert log.start_offset == log.end_offset == known.end_offset
    with pytest.raises(OffsetTruncated):
        await log.read(0, max_bytes=1, before_offset=EVERYTHING)
    await append_durably(log, 100)
    await engine.close()


@on_loop
async def test_a_log_that_was_cut_on_purpose_has_lost_nothing(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    known = Log()
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_batches(log, Random(7), 20, known)
    middle = list(known.batches)[10]
    await log.truncate_after(middle)
    image = DiskConfig(data_dir=config.data_dir.with_name("image"))
    shutil.copytree(config.data_dir, image.data_dir)
    await engine.close()
    engine = DiskEngine(image)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert log.end_offset == middle
    await engine.close()
    assert caplog.messages == []


@on_loop
async def test_a_log_made_under_the_name_of_a_deleted_one_has_lost_nothing(
    config: DiskConfig, caplog: pytest.LogCaptureFixture
) -> None:
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10, 20, 30)
    await engine.delete_log(LOG)
    log = await engine.open_log(LOG, epoch=0)
    await append_durably(log, 10)
    await engine.open_log(OTHER_LOG, epoch=0)
    image = DiskConfig(data_dir=config.data_dir.with_name("image"))
    shutil.copytree(config.data_dir, image.data_dir)
    await engine.close()
    engine = DiskEngine(image)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    assert log.end_offset == 1
    await engine.close()
    assert caplog.messages == []


@pytest.mark.parametrize("content", [b"", b"odd", bytes(32), bytes(range(64))])
def test_a_file_of_ends_that_is_nonsense_says_nothing(config: DiskConfig, content: bytes) -> None:
    @on_loop
    async def check() -> None:
        known = await stopped(config, 8, count=20)
        (config.data_dir / "ends").write_bytes(content)
        assert (await found(config, known)).batches == known.batches

    check()


@on_loop
async def test_the_file_of_ends_does_not_grow_with_logs_that_come_and_go(
    config: DiskConfig,
) -> None:
    for _ in range(3):
        engine = DiskEngine(config)
        await engine.start()
        for number in range(4):
            name = LogName(f"passing-{number}")
            await append_durably(await engine.open_log(name, epoch=0), 10)
            await engine.delete_log(name)
        await engine.close()
    assert (config.data_dir / "ends").stat().st_size == 32


@on_loop
async def test_what_was_checked_once_is_served_from_memory(config: DiskConfig) -> None:
    """Stretches are checked when they are read first, and no others with them."""
    config = DiskConfig(data_dir=config.data_dir)
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, *([STRETCH_SIZE // 8] * 40))
    await engine.close()
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    for offset in (0, 20, 39):
        assert log.read_warm(offset, max_bytes=1, before_offset=EVERYTHING) is None
        (batch,) = await log.read(offset, max_bytes=1, before_offset=EVERYTHING)
        assert data.find(bytes(batch)) == offset * len(batch)
        assert log.read_warm(offset, max_bytes=1, before_offset=EVERYTHING) == [batch]
    assert log.read_warm(30, max_bytes=1, before_offset=EVERYTHING) is None
    fresh = await append_durably(log, 100)
    assert log.read_warm(40, max_bytes=1, before_offset=EVERYTHING) == [fresh]
    await engine.close()
