"""The file ``end`` of a log: an offset before which everything was durable, a moment ago.

It tells apart what recovery finds behind the recovery point: below this offset a batch that is not
whole was whole once, and is damage to be reported; behind it, it is what a crash left of a write.

Rules: at most ``NOTED_EVERY_S`` old while the process lives, and never ahead of the log. Written
without a sync, behind rounds of group commit and off their thread: a crash of the process leaves
it, and one of the machine what the kernel had written back, which is older and therefore right.

CRC32C of what follows, uint32; the offset, int64.
"""

from __future__ import annotations

import os
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Final

from fastcrc import crc32

from datacore.storage.disk.files import write_all

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from datacore.storage.disk.files import Files
    from datacore.storage.disk.store import Janitor

NOTED_EVERY_S: Final = 1.0

_CRC: Final = Struct(">I")
_OFFSET: Final = Struct(">q")


def write_durable_end(files: Files, folder: Path, offset: int, *, sync: bool = False) -> None:
    """Notes a log's durable end.

    Raises:
        OSError: It says what it said, or nothing.
    """
    content = _OFFSET.pack(offset)
    fd = files.open(str(folder / "end"), os.O_WRONLY | os.O_CREAT)
    try:
        write_all(files, fd, _CRC.pack(crc32.iscsi(content)) + content, 0)
        if sync:
            files.fdatasync(fd)
    finally:
        os.close(fd)


def read_durable_end(folder: Path) -> int:
    """The offset; 0 where there is none that is whole."""
    try:
        content = (folder / "end").read_bytes()
    except FileNotFoundError:
        return 0
    if len(content) != _CRC.size + _OFFSET.size:
        return 0
    if crc32.iscsi(content[_CRC.size :]) != _CRC.unpack_from(content)[0]:
        return 0
    offset: int = _OFFSET.unpack_from(content, _CRC.size)[0]
    return offset


class DurableEnds:
    """Writes the durable ends of all logs that have moved, now and then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, files: Files, janitor: Janitor) -> None:
        self._loop = loop
        self._files = files
        self._janitor = janitor
        self._moved: dict[Path, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, folder: Path, offset: int) -> None:
        """A log is durable up to an offset."""
        self._moved[folder] = offset
        if self._timer is None:
            self._timer = self._loop.call_later(NOTED_EVERY_S, self.write)

    def write(self) -> None:
        """Hands what has moved to the janitor's thread."""
        self._timer = None
        moved, self._moved = self._moved, {}
        self._janitor.do(
            partial(write_durable_end, self._files, folder, offset)
            for folder, offset in moved.items()
        )

    def forget(self, folder: Path) -> None:
        """A log is about to be cut: what was noted of it is not to be written any more."""
        self._moved.pop(folder, None)

    def lower(self, folder: Path, offset: int) -> None:
        """Durably, before the log is cut to end there; in a worker thread, after ``forget``.

        Raises:
            OSError: The log must not be cut.
        """
        self._janitor.call(partial(write_durable_end, self._files, folder, offset, sync=True))

    def stop(self) -> None:
        """Closed logs have a recovery point at their end."""
        if self._timer is not None:
            self._timer.cancel()
        self._moved = {}
