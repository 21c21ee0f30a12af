"""The file ``ends`` of a store: up to where each of its logs is durable.

It tells apart what recovery finds behind a recovery point: below this offset a batch that is not
whole was whole once, and is damage to be reported; behind it, it is what a crash left of a write.

Rules:

- Written by the flusher's thread when a round has synced a log, before anybody is answered; one
  ``pwrite`` of 32 bytes, never synced. A crash of the process leaves it as it is, one of the
  machine leaves what the kernel had written back: older, and therefore right.
- A log that is cut to end earlier, or deleted, says so here first, synced.
- What cannot be written is left out: an older end is a right one.

A slot: CRC32C of what follows, uint32; 4 bytes unused; the log's name as 16 bytes of BLAKE2b; the
offset, int64. Kafka has no counterpart: it takes all that its recovery cuts for a torn write.
"""

from __future__ import annotations

import os
import threading
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Final

from fastcrc import crc32

from datacore.storage.disk.files import write_all

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.files import Files
    from datacore.storage.engine import LogName

_SLOT: Final = Struct(">I4x16sq")
_CRC: Final = Struct(">I")
_SUMMED_FROM: Final = _CRC.size
_KEY_SIZE: Final = 16


class DurableEnds:
    """The ends of all logs; ``open`` reads what an earlier process has left."""

    __slots__ = ("_by_key", "_fd", "_files", "_free", "_lock", "_slots_end")

    def __init__(self, files: Files) -> None:
        self._files = files
        self._fd = -1
        self._lock = threading.Lock()
        """Guards what follows: logs are deleted by several worker threads at a time."""
        self._by_key: dict[bytes, DurableEnd] = {}
        self._free: list[int] = []
        """Places that no log has."""
        self._slots_end = 0

    def open(self, path: Path) -> None:
        """Opens the file, made when missing, in a worker thread.

        Raises:
            OSError: As the device says.
        """
        self._fd = self._files.open(str(path), os.O_RDWR | os.O_CREAT)
        content = path.read_bytes()
        self._slots_end = len(content) // _SLOT.size * _SLOT.size
        for position in range(0, self._slots_end, _SLOT.size):
            part = content[position : position + _SLOT.size]
            crc, key, offset = _SLOT.unpack(part)
            is_whole = crc == crc32.iscsi(part[_SUMMED_FROM:])
            if is_whole and offset > 0 and key not in self._by_key:
                self._by_key[key] = DurableEnd(self._files, self._fd, position, key, offset)
            else:
                self._free.append(position)

    def of(self, name: LogName) -> DurableEnd:
        """A log's place in the file."""
        key = _key(name)
        with self._lock:
            end = self._by_key.get(key)
            if end is None:
                if self._free:
                    position = self._free.pop()
                else:
                    position = self._slots_end
                    self._slots_end += _SLOT.size
                end = self._by_key[key] = DurableEnd(self._files, self._fd, position, key, 0)
        return end

    def forget(self, name: LogName) -> None:
        """A log is about to be deleted; in a worker thread.

        Raises:
            OSError: It must not be.
        """
        with self._lock:
            end = self._by_key.pop(_key(name), None)
            if end is not None:
                self._free.append(end.position)
                if end.offset > 0:
                    end.lower(0)

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DurableEnd:
    """One log's place in the file, and what it says there.

    Attributes:
        position: The place.
        offset: Everything before it is durable; 0 where nothing is known.
    """

    __slots__ = ("_fd", "_files", "_key", "offset", "position")

    def __init__(self, files: Files, fd: int, position: int, key: bytes, offset: int) -> None:
        self._files = files
        self._fd = fd
        self._key = key
        self.position = position
        self.offset = offset

    def note(self, offset: int) -> None:
        """The log is durable up to there; in the flusher's thread."""
        self.offset = offset
        try:
            self._files.pwrite(self._fd, self._content(offset), self.position)
        except OSError:
            return  # what it says is older, and right

    def lower(self, offset: int) -> None:
        """The log is about to be cut to end there, and no round is under way; in a worker thread.

        Raises:
            OSError: It must not be cut.
        """
        write_all(self._files, self._fd, self._content(offset), self.position)
        self._files.fdatasync(self._fd)
        self.offset = offset

    def _content(self, offset: int) -> bytes:
        summed = _SLOT.pack(0, self._key, offset)[_SUMMED_FROM:]
        return _CRC.pack(crc32.iscsi(summed)) + summed


def _key(name: LogName) -> bytes:
    return blake2b(name.encode(), digest_size=_KEY_SIZE).digest()
