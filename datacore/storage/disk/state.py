"""The file ``state`` of a log: its owner, its start, and how much of it is known to be whole.

Rules:

- Two slots of fixed size, written in turn; the one with a right checksum and the higher sequence
  counts. So an update is one small write and one fdatasync, and a torn one leaves the slot before.
- The slot that was synced last is never overwritten: an update that need not be durable at once
  (``sync=False``) goes to the other slot, and so does the next one.
- Fields are merged under a lock: the flusher moves the recovery point while the event loop's
  worker threads move the start.

Kafka's counterparts, one file each for all logs: recovery-point-offset-checkpoint,
log-start-offset-checkpoint, .kafka_cleanshutdown, partition.metadata.
"""

from __future__ import annotations

import os
import threading
from dataclasses import astuple, dataclass, replace
from struct import Struct
from typing import TYPE_CHECKING, Final

from fastcrc import crc32

from datacore.storage.disk.files import write_all

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.files import Files

_MAGIC: Final = b"DCL1"
_SLOT: Final = Struct(">4sqqqqqqiiqq")
_CRC: Final = Struct(">I")
_SLOT_SIZE: Final = _SLOT.size + _CRC.size
_SLOT_DISTANCE: Final = 512
"""Slots lie in different sectors, which devices write one at a time."""


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """Everything before it is whole, synced and indexed: no recovery looks at it again."""

    segment_base_offset: int = 0
    """The segment that was written when the point was taken."""
    offset: int = 0
    """The log's end then."""
    position: int = 0
    """Bytes of that segment before the point."""
    offset_index_size: int = 0
    time_index_size: int = 0
    """Bytes of its index files that are whole."""
    max_timestamp_ms: int = -1
    max_timestamp_offset: int = 0
    """The largest timestamp of that segment, and the last offset of the batch that has it."""


@dataclass(frozen=True, slots=True)
class LogState:
    """What the file says."""

    epoch: int
    start_offset: int
    recovery_point: RecoveryPoint


class StateFile:
    """The file ``state`` of one log."""

    __slots__ = ("_files", "_lock", "_path", "_sequence", "current", "is_synced")

    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self._path = path
        self._lock = threading.Lock()
        self._sequence = 0
        self.is_synced = True
        """Whether all updates are durable."""
        self.current = LogState(-1, 0, RecoveryPoint())

    def load(self) -> bool:
        """Reads ``current``; False when there is no file, or none that is whole."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return False
        found = False
        for at in (0, _SLOT_DISTANCE):
            slot = content[at : at + _SLOT_SIZE]
            if len(slot) < _SLOT_SIZE or slot[:4] != _MAGIC:
                continue
            if _CRC.pack(crc32.iscsi(slot[: _SLOT.size])) != slot[_SLOT.size :]:
                continue
            _, sequence, epoch, start_offset, *point = _SLOT.unpack_from(slot)
            if sequence > self._sequence:
                self._sequence = sequence
                self.current = LogState(epoch, start_offset, RecoveryPoint(*point))
                found = True
        return found

    def update(
        self,
        *,
        sync: bool,
        epoch: int | None = None,
        start_offset: int | None = None,
        recovery_point: RecoveryPoint | None = None,
    ) -> None:
        """Changes what is not None.

        Raises:
            OSError: The change may be lost; ``current`` has it nevertheless.
        """
        with self._lock:
            current = self.current
            if epoch is not None:
                current = replace(current, epoch=epoch)
            if start_offset is not None:
                current = replace(current, start_offset=start_offset)
            if recovery_point is not None:
                current = replace(current, recovery_point=recovery_point)
            self.current = current
            self._write(sync=sync)

    def sync(self) -> None:
        """Makes updates durable that did not ask for it."""
        with self._lock:
            if not self.is_synced:
                self._write(sync=True)

    def _write(self, *, sync: bool) -> None:
        if self.is_synced:
            self._sequence += 1
            self.is_synced = False
        current = self.current
        slot = _SLOT.pack(
            _MAGIC,
            self._sequence,
            current.epoch,
            current.start_offset,
            *astuple(current.recovery_point),
        )
        fd = self._files.open(str(self._path), os.O_WRONLY | os.O_CREAT)
        try:
            at = self._sequence % 2 * _SLOT_DISTANCE
            write_all(self._files, fd, slot + _CRC.pack(crc32.iscsi(slot)), at)
            if sync:
                self._files.fdatasync(fd)
                self.is_synced = True
        finally:
            os.close(fd)
