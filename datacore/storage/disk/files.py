"""The engine's file boundary: every call through which a device can fail.

Rules: nothing in ``datacore.storage.disk`` writes, reads or syncs a segment past this class, so
that tests can put a failing device in its place (``datacore.testing.faults``).

Warm reads need ``preadv2`` with ``RWF_NOWAIT`` (Linux, on file systems that know it). Elsewhere
``read_warm`` says "not in memory" and every read is done by a worker thread.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from datacore.storage.disk.preallocate import preallocate
from datacore.storage.disk.writeback import start_writeback

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.wire.buffer import Buffer

COLD: Final = -1
"""``read_warm``: a device would have to be asked."""

_RWF_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0)
_SEEK_DATA: Final[int] = getattr(os, "SEEK_DATA", os.SEEK_SET)
_COLD_ERRNOS: Final = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Files:
    """The operating system's files."""

    pwrite = staticmethod(os.pwrite)
    """``(fd, data, position) -> bytes written``; fewer than asked where the device is full."""

    fdatasync = staticmethod(getattr(os, "fdatasync", os.fsync))
    """``(fd)``: returns when the device has the data and the size."""

    ftruncate = staticmethod(os.ftruncate)

    preallocate = staticmethod(preallocate)
    """``(fd, size)``: the file has that size from now on, and room for it."""

    def open(self, path: str, flags: int) -> int:
        """Opens a segment file."""
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def read_warm(self, fd: int, buffer: memoryview, position: int) -> int:
        """Fills ``buffer`` from memory alone.

        Returns:
            Bytes read, fewer where the rest is not in memory; ``COLD`` when none is.
        """
        if not _RWF_NOWAIT:
            return COLD
        try:
            return os.preadv(fd, [buffer], position, _RWF_NOWAIT)
        except OSError as error:
            if error.errno in _COLD_ERRNOS:
                return COLD
            raise

    def read(self, fd: int, buffer: memoryview, position: int) -> int:
        """Fills ``buffer``, asking the device where need be; less only at the end of the file."""
        done = 0
        while done < len(buffer):
            count = os.preadv(fd, [buffer[done:]], position + done)
            if count == 0:
                break
            done += count
        return done

    def next_data(self, fd: int, position: int) -> int:
        """Where a file holds anything but a hole from ``position`` on; -1 where it does not."""
        try:
            return os.lseek(fd, position, _SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return -1
            if error.errno == errno.EINVAL:
                return position
            raise

    def start_writeback(self, fd: int, position: int) -> None:
        """Lets the device begin with what was written from ``position`` on, without waiting.

        When several files are to be synced this overlaps their writes.
        """
        start_writeback(fd, position)

    def sync_folder(self, path: Path) -> None:
        """Makes names that were made, changed or removed in a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file another name, in place of the file that has it; not durably yet."""
        source.replace(target)

    def replace(self, path: Path, content: bytes, *, sync_folder: bool = True) -> None:
        """Writes a file so that a crash leaves the old content or the new, never a mix.

        With ``sync_folder`` it leaves the new one once this has returned.
        """
        draft = path.with_name(path.name + "~")
        fd = self.open(str(draft), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            write_all(self, fd, content, 0)
            self.fdatasync(fd)
        finally:
            os.close(fd)
        draft.replace(path)
        if sync_folder:
            self.sync_folder(path.parent)


def write_all(files: Files, fd: int, data: Buffer, position: int) -> None:
    """Writes to the last byte.

    Raises:
        OSError: As the device says; a device that takes nothing and names no reason is full.
    """
    view = memoryview(data)
    while view:
        count = files.pwrite(fd, view, position)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        position += count
        view = view[count:]
