"""Both engines beside a list of batches: hypothesis looks for calls that tell them apart."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.log import DiskLog
from datacore.storage.engine import NEVER, FileHandling, SegmentLimits
from datacore.testing.engine_model import EngineModel
from tests.storage.test_disk import DiskHarness
from tests.storage.test_memory import MemoryHarness

if TYPE_CHECKING:
    from datacore.testing.engine_harness import EngineHarness


HOUR_MS = 3_600_000


class MemoryModel(EngineModel):
    def make_harness(self) -> EngineHarness:
        return MemoryHarness()


class DiskModel(EngineModel):
    """Small segments, sparse indexes, frequent checkpoints; and processes that just end."""

    sync = True

    def make_harness(self) -> EngineHarness:
        self.folder = Path(tempfile.mkdtemp(prefix="datacore-model-"))
        self.numbers = itertools.count()
        return self.harness_in(self.folder / "data")

    def harness_in(self, data_dir: Path) -> DiskHarness:
        self.data_dir = data_dir
        return DiskHarness(
            DiskConfig(
                data_dir=data_dir,
                sync=self.sync,
                segment_bytes=16384,
                index_interval_bytes=1000,
                checkpoint_bytes=8192,
                open_files_max=16,
                read_pool_buffers=2,
            )
        )

    @rule(
        size_bytes=st.integers(1000, 20_000),
        handling=st.builds(
            FileHandling,
            index_interval_bytes=st.none() | st.integers(0, 5000),
            preallocates=st.booleans(),
            delete_delay_ms=st.sampled_from([0, 1, HOUR_MS]),
            flush_messages=st.sampled_from([1, 5, NEVER]),
            flush_ms=st.sampled_from([1, HOUR_MS, NEVER]),
        ),
    )
    def handle_files(self, size_bytes: int, handling: FileHandling) -> None:
        """Does with files what a topic says from now on."""

        async def limit() -> None:  # on the loop, which timers need
            self.log.limit_segments(SegmentLimits(size_bytes, HOUR_MS, files=handling))

        self.run(limit())

    @precondition(lambda self: self.model.end_offset > 0)
    @rule()
    def end_the_process(self) -> None:
        """A new engine finds what the kernel was given, as after kill -9."""
        self.run(self.checkpoints_written())
        image = self.folder / f"image-{next(self.numbers)}"
        # What is on its way out goes when the janitor comes to it, perhaps while this copies.
        shutil.copytree(self.data_dir, image, ignore=shutil.ignore_patterns("*.deleted"))
        self.run(self.engine.close())
        self.waits.clear()
        self.harness = self.harness_in(image)
        self.open()

    async def checkpoints_written(self) -> None:
        """Waits until no thread writes: a copy is not made in an instant, as a crash is."""
        for pending in self.waits:
            await pending
        await self.log.save_snapshot(*(self.model.snapshot or (0, b"")))
        if self.model.snapshot is None:
            self.model.snapshot = (0, b"")
        # A checkpoint goes on behind the answers of its round. A copy that took the indexes from
        # before it and the state from behind it would be what no crash leaves.
        assert isinstance(self.log, DiskLog)
        commit = self.log._commit
        while commit._is_waiting or commit._checkpoint is not None:
            await anyio.lowlevel.checkpoint()

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class UnsyncedDiskModel(DiskModel):
    sync = False


SETTINGS = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TestMemoryModel = MemoryModel.TestCase
TestMemoryModel.settings = SETTINGS
TestDiskModel = DiskModel.TestCase
TestDiskModel.settings = SETTINGS
TestUnsyncedDiskModel = UnsyncedDiskModel.TestCase
TestUnsyncedDiskModel.settings = SETTINGS


STEPS = 10_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("model", [MemoryModel, DiskModel, UnsyncedDiskModel])
def test_ten_thousand_steps_show_no_difference(model: type[EngineModel]) -> None:
    steps = 0

    class Counted(model):  # type: ignore[misc, valid-type]  # whichever it is
        @invariant()
        def count(self) -> None:
            nonlocal steps
            steps += 1

    run_state_machine_as_test(
        Counted,
        settings=settings(SETTINGS, max_examples=STEPS // 30, derandomize=False, database=None),
    )
    print(f"{model.__name__}: {steps} steps")
    assert steps >= STEPS
