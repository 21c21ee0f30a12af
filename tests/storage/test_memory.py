"""The memory engine: the shared suite, and what is its own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from datacore.storage.engine import StorageError
from datacore.storage.memory import MemoryEngine
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG, EngineHarness, append, on_loop
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite


@dataclass(frozen=True, slots=True)
class MemoryHarness:
    survives_restart: bool = False

    def __call__(self) -> MemoryEngine:
        return MemoryEngine()


class TestMemoryEngine(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self) -> EngineHarness:
        return MemoryHarness()


@on_loop
async def test_a_read_over_a_thousand_appends_is_a_handful_of_views() -> None:
    log = await MemoryEngine().open_log(LOG, epoch=0)
    for _ in range(1000):
        append(log, 1000)
    buffers = log.read_warm(0, max_bytes=1 << 30, before_offset=1 << 30)
    assert buffers is not None
    assert len(buffers) <= 10
    assert all(isinstance(buffer, memoryview) and buffer.readonly for buffer in buffers)


@on_loop
async def test_an_append_that_would_pass_the_limit_fails_and_deleting_makes_room() -> None:
    engine = MemoryEngine(bytes_max=1000)
    log = await engine.open_log(LOG, epoch=0)
    append(log, 500)
    with pytest.raises(StorageError, match="full"):
        append(log, 500)
    assert log.end_offset == 1
    await log.truncate_before(1)
    append(log, 500)
    with pytest.raises(StorageError, match="full"):
        log.append(pack_batch(2, bytes(500)), base_offset=2, next_offset=3, max_timestamp_ms=0)
    await engine.delete_log(LOG)
    assert engine.bytes_held == 0
