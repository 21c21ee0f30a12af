"""Start and stop: what fails on the way out keeps nothing else from being put away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from datacore.broker.broker import steady_clock_ms
from datacore.broker.topics import NewTopic
from datacore.protocol.names import TopicName
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import StorageError
from datacore.storage.memory import MemoryEngine, MemoryLog
from tests.broker.harness import running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

T = TopicName("t")


async def test_what_its_program_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(MemoryEngine()):
            raise ZeroDivisionError


async def test_a_log_that_cannot_be_closed_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved: list[str] = []

    async def full(self: MemoryLog, _offset: int, _snapshot: bytes) -> None:
        saved.append(self.name)
        raise StorageError("No space left on device")

    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 3))
        for index in range(3):
            batch = encode_batch([Record(timestamp_ms=1, value=b"v")])
            broker.partitions.log(T, index).append(memoryview(batch), 1)
        monkeypatch.setattr(MemoryLog, "save_snapshot", full)
    assert len(saved) == 4  # the metadata's log, too
    monkeypatch.undo()
    async with running(engine) as broker:  # refused while one of the logs were open
        assert [broker.partitions.log(T, index).log_end_offset for index in range(3)] == [1, 1, 1]


async def test_a_data_dir_is_free_again_after_a_stop_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DiskConfig(data_dir=tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with running(DiskEngine(config)) as broker:
            monkeypatch.setattr(broker.partitions, "close", lambda: 1 / 0)
    async with running(DiskEngine(config)) as broker:
        assert broker.cluster_id


def test_the_clock_of_groups_goes_on_when_somebody_sets_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall_s, steady_s = 1_000, 77
    monkeypatch.setattr(time, "time_ns", lambda: wall_s * 10**9)
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady_s * 10**9)
    now_ms = steady_clock_ms()
    assert now_ms() == 1_000_000
    wall_s, steady_s = 10, 78
    assert now_ms() == 1_001_000
