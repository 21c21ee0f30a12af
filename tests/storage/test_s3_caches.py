"""What the S3 engine does not ask the bucket for: what is on this machine's disk, or on its way."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from datacore.storage.engine import CannotStart
from datacore.storage.s3.disk_cache import DiskCache
from datacore.storage.s3.store import READ_AHEAD_BYTES
from datacore.testing.engine_harness import LOG, append_durably, on_loop, read, running
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite
from tests.storage.test_s3 import FORGETFUL, StoreHarness

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.engine import EngineLog
    from datacore.storage.s3.engine import S3Engine
    from datacore.testing.engine_harness import EngineHarness

BATCH_BYTES = 900_000
"""A chunk for each, about; the memory holds one."""


@pytest.fixture
def harness(tmp_path: Path) -> StoreHarness:
    return StoreHarness(replace(FORGETFUL, disk_cache_dir=tmp_path / "cache"))


class TestS3EngineWithADiskCache(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> EngineHarness:
        return StoreHarness(
            replace(FORGETFUL, disk_cache_dir=tmp_path / "cache", disk_cache_bytes=1 << 20)
        )


async def started(harness: StoreHarness) -> tuple[S3Engine, EngineLog]:
    engine = harness()
    await engine.start()
    return engine, await engine.open_log(LOG, epoch=0)


@on_loop
async def test_what_was_read_once_is_not_asked_for_again(harness: StoreHarness) -> None:
    engine, log = await started(harness)
    data = await append_durably(log, *[BATCH_BYTES] * 5)
    assert await read(log, 0) == data
    gets = engine.bucket.requests.gets
    assert await read(log, 0) == data
    assert engine.bucket.requests.gets == gets
    assert engine.store.disk_cache is not None
    assert engine.store.disk_cache.hits > 0
    await engine.close()


@on_loop
async def test_a_file_that_is_not_as_it_was_written_is_asked_for_again(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    engine, log = await started(harness)
    data = await append_durably(log, *[BATCH_BYTES] * 5)
    assert await read(log, 0) == data
    assert harness.config.disk_cache_dir is not None
    first, second, *_ = sorted(harness.config.disk_cache_dir.glob("*.chunk"))
    damaged = bytearray(first.read_bytes())
    damaged[-1] ^= 1
    first.write_bytes(damaged)
    second.unlink()
    with caplog.at_level(logging.WARNING, "datacore.storage.s3"):
        assert await read(log, 0) == data
    assert f"{first} is not used any more: it is not what was written" in caplog.text
    assert f"{second} is not used any more: No such file" in caplog.text
    await engine.close()


@on_loop
async def test_it_begins_empty_and_holds_no_more_than_it_may(
    harness: StoreHarness, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    harness = replace(harness, config=replace(harness.config, disk_cache_bytes=2_000_000))
    for _ in range(2):
        engine, log = await started(harness)
        assert list(folder.glob("*.chunk")) == []
        data = await append_durably(log, *[BATCH_BYTES] * 5)
        assert (await read(log, 0)).endswith(data)
        sizes = [each.stat().st_size for each in folder.glob("*.chunk")]
        assert 0 < sum(sizes) <= 2_000_000
        await engine.close()


@on_loop
async def test_a_disk_that_fails_costs_requests_and_nothing_else(
    harness: StoreHarness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine, log = await started(harness)
    data = await append_durably(log, *[BATCH_BYTES] * 3)
    (tmp_path / "cache").rename(tmp_path / "away")
    with caplog.at_level(logging.WARNING, "datacore.storage.s3"):
        assert await read(log, 0) == data
        assert await read(log, 0) == data
    assert "cannot be written: No such file or directory" in caplog.text
    await engine.close()


@on_loop
async def test_a_folder_that_cannot_be_used_or_is_in_use_ends_the_start(
    harness: StoreHarness, tmp_path: Path
) -> None:
    async with running(harness):
        with pytest.raises(CannotStart, match=r"another process uses s3\.disk_cache_dir"):
            await harness().start()
    (tmp_path / "file").touch()
    cache = DiskCache(tmp_path / "file", 1 << 20)
    with pytest.raises(CannotStart, match="file cannot be used: File exists"):
        cache.start()


@on_loop
async def test_who_reads_on_finds_the_next_step_fetched_already() -> None:
    engine, log = await started(StoreHarness(FORGETFUL))
    data = await append_durably(log, *[BATCH_BYTES] * 12)
    await engine.rewriter.run()
    store, requests = engine.store, engine.bucket.requests
    read_bytes = requests.read_bytes
    found = b""
    offset = 0
    steps = 0
    while offset < log.end_offset:
        before = requests.gets
        chunks = await store.read(1, offset, log.end_offset, READ_AHEAD_BYTES)
        assert steps < 2 or requests.gets == before, "it was on its way, or there"
        steps += 1
        found += b"".join(chunk.data for chunk in chunks)
        offset = chunks[-1].next_offset
        if step := store.read_ahead._steps.get(1):
            await step.task
    assert steps > 3
    assert found == data
    assert requests.read_bytes == read_bytes + len(data), "nothing was read twice or in vain"
    await engine.close()
