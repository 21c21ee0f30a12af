"""Batches that were read from the bucket, kept on a disk so that they are not asked for again.

Rules:

- The bucket is the truth: which bytes of which object are wanted, its journal says each time. This
  only spares a request for bytes that are named alike and never change.
- Every file is checked by its CRC when it is read. What does not fit, or cannot be read, is as if
  it were not there, and a disk that fails costs a line in the log and requests, nothing else.
- It begins empty: what an earlier process has left is deleted, not trusted. One process has a
  folder at a time.
- The least recently used goes first, before the bound is passed.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.storage.engine import CannotStart

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("datacore.storage.s3")

SUFFIX: Final = ".chunk"

Place = tuple[str, int, int]
"""An object's key, where in it, and how many bytes."""


class _Kept(NamedTuple):
    file: Path
    size: int
    crc: int


class DiskCache:
    """One folder of files.

    Attributes:
        hits: How often it had what was asked for.
        misses: How often it had not.
    """

    __slots__ = ("_bytes", "_bytes_max", "_count", "_folder", "_kept", "_lock", "hits", "misses")

    def __init__(self, folder: Path, bytes_max: int) -> None:
        """Takes its bounds; ``start`` touches the disk."""
        self.hits = 0
        self.misses = 0
        self._folder = folder
        self._bytes_max = bytes_max
        self._bytes = 0
        self._count = 0
        self._kept: OrderedDict[Place, _Kept] = OrderedDict()
        self._lock: int | None = None

    def start(self) -> None:
        """Empties the folder, which is made where it is missing.

        Raises:
            CannotStart: It cannot be used, or another process uses it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                message = f"another process uses s3.disk_cache_dir {self._folder}"
                raise CannotStart(message) from None
            for left in self._folder.glob(f"*{SUFFIX}"):
                left.unlink()
        except OSError as error:
            self.close()
            message = f"s3.disk_cache_dir {self._folder} cannot be used: {error.strerror}"
            raise CannotStart(message) from None

    def close(self) -> None:
        """Lets another process have the folder; what is in it goes at its start."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def get(self, key: str, at: int, size: int) -> bytes | None:
        """Bytes of an object, where they are here and as they were put."""
        place = (key, at, size)
        kept = self._kept.get(place)
        if kept is None:
            self.misses += 1
            return None
        self._kept.move_to_end(place)
        try:
            data = await asyncio.to_thread(kept.file.read_bytes)
        except OSError as error:
            data = b""
            reason = error.strerror
        else:
            reason = "it is not what was written"
        if len(data) == kept.size and zlib.crc32(data) == kept.crc:
            self.hits += 1
            return data
        self.misses += 1
        if self._kept.get(place) is kept:  # else it went meanwhile, which is no mistake
            logger.warning("%s is not used any more: %s", kept.file, reason)
            await self._drop(place)
        return None

    async def put(self, key: str, at: int, data: bytes) -> None:
        """Keeps bytes of an object that were read from the bucket."""
        place = (key, at, len(data))
        if place in self._kept or len(data) > self._bytes_max:
            return
        self._count += 1
        kept = _Kept(self._folder / f"{self._count}{SUFFIX}", len(data), zlib.crc32(data))
        self._kept[place] = kept
        self._bytes += kept.size
        while self._bytes > self._bytes_max:
            await self._drop(next(iter(self._kept)))
        try:
            await asyncio.to_thread(kept.file.write_bytes, data)
        except OSError as error:
            logger.warning("%s cannot be written: %s", kept.file, error.strerror)
            await self._drop(place)

    async def _drop(self, place: Place) -> None:
        kept = self._kept.pop(place, None)
        if kept is not None:
            self._bytes -= kept.size
            await asyncio.to_thread(_remove, kept.file)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be deleted: %s", file, error.strerror)
