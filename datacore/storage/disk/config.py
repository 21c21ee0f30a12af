"""What the disk engine can be told, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1

_LIMITS: Final = {
    "segment_bytes": (1024, INT32_MAX),
    "index_interval_bytes": (0, INT32_MAX),
    "checkpoint_bytes": (4096, 2**40),
    "open_files_max": (16, 2**20),
    "read_pool_buffers": (0, 1024),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConfig:
    """Settings of one disk engine."""

    data_dir: Path
    """Made when missing; one process at a time."""

    sync: bool = True
    """Whether data is durable once the device has it (fdatasync), or once the kernel has it.

    Without it an acknowledged batch survives a crash of the process, not one of the machine.
    """

    segment_bytes: int = 2**30
    """A log goes on in a new file before one would grow beyond this (Kafka: segment.bytes)."""

    index_interval_bytes: int = 4096
    """Bytes between two index entries (Kafka: index.interval.bytes)."""

    checkpoint_bytes: int = 64 * 1024 * 1024
    """A log is read back after a crash from its last checkpoint; this is how far apart they lie."""

    open_files_max: int = 4096
    """Segment files open at a time; the process's own limit halves it where that is lower."""

    read_pool_buffers: int = 16
    """Buffers of a little over 1 MiB that reads reuse."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _LIMITS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                message = f"{name} must lie between {lowest} and {highest}, not {value}"
                raise ValueError(message)
