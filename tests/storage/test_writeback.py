"""What is left in memory of the files that the disk engine writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from datacore.storage.disk.files import COLD, Files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = 4096
SIZE = 64 * PAGE


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """A file of which the device has everything, and so has memory."""
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(opened, os.urandom(SIZE), 0)
    os.fdatasync(opened)
    yield opened
    os.close(opened)


def warm_bytes(fd: int) -> int:
    return Files().read_warm(fd, memoryview(bytearray(SIZE)), 0)


def test_what_is_written_back_stays_in_memory(fd: int) -> None:
    if warm_bytes(fd) == COLD:
        pytest.skip("this file system does not say what is in memory")
    Files().start_writeback(fd, 0)
    assert warm_bytes(fd) == SIZE
