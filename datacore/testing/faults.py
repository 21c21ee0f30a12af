"""Devices that fail when a test says so, at the disk engine's file boundary.

Rules: a fault lasts until it is taken back. What a failing call did before it failed is what a
device would have done: a full one takes a part, a broken one nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacore.storage.disk.files import COLD, Files

if TYPE_CHECKING:
    from random import Random

    from datacore.wire.buffer import Buffer

PAGE_SIZE: Final = 4096


class FaultyFiles(Files):
    """Files on a device that a test can fill, break, slow down or cool."""

    def __init__(self) -> None:
        self.write_error: int | None = None
        """An errno: every write fails with it."""
        self.free_bytes: int | None = None
        """Writes take no more than this, then the device is full; None: as much as they want."""
        self.sync_error: int | None = None
        """An errno: every sync of data fails with it."""
        self.sync_errors_in: str = ""
        """Only files whose path has this in it fail to sync."""
        self.read_error: int | None = None
        """An errno: every read fails with it."""
        self.is_cold = False
        """No read is served from memory."""
        self.sync_gate = threading.Event()
        """Syncs wait for it."""
        self.sync_gate.set()
        self.sync_begun = threading.Event()
        """Set by every sync that begins, before it waits."""
        self.read_gate = threading.Event()
        """Reads that ask the device wait for it."""
        self.read_gate.set()
        self.read_begun = threading.Event()
        """Set by every such read, before it waits."""
        self._paths: dict[int, str] = {}

    def open(self, path: str, flags: int) -> int:
        """See ``Files``."""
        fd = super().open(path, flags)
        self._paths[fd] = path
        return fd

    def pwrite(  # type: ignore[override]  # a function there, a method here
        self, fd: int, data: Buffer, position: int, /
    ) -> int:
        """See ``Files``."""
        if self.write_error is not None:
            raise OSError(self.write_error, os.strerror(self.write_error))
        if self.free_bytes is None:
            return os.pwrite(fd, data, position)
        if self.free_bytes == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = os.pwrite(fd, memoryview(data)[: self.free_bytes], position)
        self.free_bytes -= count
        return count

    def fdatasync(self, fd: int, /) -> None:  # type: ignore[override]  # as above
        """See ``Files``."""
        self.sync_begun.set()
        self.sync_gate.wait()
        if self.sync_error is not None and self.sync_errors_in in self._paths.get(fd, ""):
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        os.fdatasync(fd)

    def read_warm(self, fd: int, buffer: memoryview, position: int) -> int:
        """See ``Files``."""
        self._fail_read()
        return COLD if self.is_cold else super().read_warm(fd, buffer, position)

    def read(self, fd: int, buffer: memoryview, position: int) -> int:
        """See ``Files``."""
        self.read_begun.set()
        self.read_gate.wait()
        self._fail_read()
        return super().read(fd, buffer, position)

    def _fail_read(self) -> None:
        if self.read_error is not None:
            raise OSError(self.read_error, os.strerror(self.read_error))


class CrashingFiles(Files):
    """Files of a machine that may lose its power: remembers what no sync has covered.

    Names of new files last once their folder was synced. Renames and removals last at once, which
    is the worse case for an engine that relies on neither.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._paths: dict[int, str] = {}
        self._synced: dict[str, bytes] = {}
        """Of each file that was written to, what a crash leaves of it for sure."""
        self._unnamed: set[str] = set()
        """Files whose folder was not synced since they were made."""

    def open(self, path: str, flags: int) -> int:
        """See ``Files``."""
        with self._lock:
            is_new = not Path(path).exists()
            fd = super().open(path, flags)
            self._paths[fd] = path
            if is_new:
                self._unnamed.add(path)
                self._synced[path] = b""
            return fd

    def pwrite(  # type: ignore[override]  # a function there, a method here
        self, fd: int, data: Buffer, position: int, /
    ) -> int:
        """See ``Files``."""
        with self._lock:
            path = self._paths[fd]
            if path not in self._synced:
                self._synced[path] = Path(path).read_bytes()
            return os.pwrite(fd, data, position)

    def fdatasync(self, fd: int, /) -> None:  # type: ignore[override]  # as above
        """See ``Files``."""
        with self._lock:
            path = Path(self._paths[fd])
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                self._synced[str(path)] = path.read_bytes()

    def sync_folder(self, path: Path) -> None:
        """See ``Files``."""
        with self._lock:
            self._unnamed = {name for name in self._unnamed if Path(name).parent != path}

    def rename(self, source: Path, target: Path) -> None:
        """See ``Files``."""
        with self._lock:
            super().rename(source, target)
            self._synced.pop(str(target), None)
            if str(source) in self._synced:
                self._synced[str(target)] = self._synced.pop(str(source))
            self._unnamed.discard(str(target))
            if str(source) in self._unnamed:
                self._unnamed.remove(str(source))
                self._unnamed.add(str(target))

    def replace(self, path: Path, content: bytes, *, sync_folder: bool = True) -> None:
        """See ``Files``."""
        with self._lock:
            super().replace(path, content, sync_folder=sync_folder)
            self._synced[str(path)] = content

    def crash_image(self, data_dir: Path, image: Path, random: Random) -> None:
        """Copies a data_dir as a loss of power could leave it.

        Of every page that no sync has covered, the old content, the new content, zeros or nothing
        is left; files that were only just made may be missing.
        """
        with self._lock:
            shutil.copytree(data_dir, image, ignore=shutil.ignore_patterns("lock", "*.deleted"))
            for path, synced in self._synced.items():
                left = image / Path(path).relative_to(data_dir)
                if not left.exists():
                    continue
                if path in self._unnamed and random.random() < 0.5:
                    left.unlink()
                    continue
                left.write_bytes(_after_crash(synced, left.read_bytes(), random))


def _after_crash(synced: bytes, written: bytes, random: Random) -> bytes:
    left = bytearray(written)
    for start in range(0, len(written), PAGE_SIZE):
        page = slice(start, start + PAGE_SIZE)
        if written[page] == synced[page]:
            continue
        kept = synced[page].ljust(len(written[page]), b"\0")
        left[page] = random.choice([written[page], kept])
    if len(written) > len(synced):
        del left[random.randint(len(synced), len(written)) :]
    elif random.random() < 0.5:
        left += synced[len(written) :]
    return bytes(left)
