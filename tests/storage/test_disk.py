"""The disk engine: the shared suite, and what is its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.testing.engine_harness import EngineHarness


@dataclass(frozen=True, slots=True)
class DiskHarness:
    config: DiskConfig
    survives_restart: bool = True

    def __call__(self) -> DiskEngine:
        return DiskEngine(self.config)


class TestDiskEngine(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> EngineHarness:
        return DiskHarness(DiskConfig(data_dir=tmp_path))


class TestDiskEngineOfSmallSegments(EngineSuite, ReplaceSuite):
    """Every few batches a new file, every batch an index entry."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> EngineHarness:
        config = DiskConfig(
            data_dir=tmp_path,
            segment_bytes=4096,
            index_interval_bytes=0,
            checkpoint_bytes=8192,
            open_files_max=16,
        )
        return DiskHarness(config)


class TestDiskEngineWithoutSync(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> EngineHarness:
        return DiskHarness(DiskConfig(data_dir=tmp_path, sync=False, segment_bytes=65536))
