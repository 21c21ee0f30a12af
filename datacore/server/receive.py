"""Where a connection's bytes land before they are frames.

Rules: connections with nothing half-received own no memory; their reads go into one scratch
buffer that all connections of a loop share. That is sound because the event loop asks for a
buffer, reads into it and reports the read without a turn in between, and because whoever handles
the read says by ``keep`` what must survive it. What is kept moves into memory of the connection's
own, exactly as large as the frame that it starts. A buffer above the scratch buffer's size stays
with its connection for the next large frame until a sweep takes it back.
"""

from __future__ import annotations

import mmap
from typing import Final

SCRATCH_BYTES: Final = 256 * 1024
_ROOM_BYTES_MIN: Final = 1024
"""Read at least this much where the size of the frame is not known."""


def new_scratch() -> memoryview:
    """The buffer that all connections of one event loop share."""
    return memoryview(bytearray(SCRATCH_BYTES))


class ReceiveBuffer:
    """The received bytes of one connection that have not been handled.

    Attributes:
        data: Holds them; valid until the next call of ``keep`` or the next read.
        start: Where in ``data`` they start.
        end: Where in ``data`` they end.
    """

    __slots__ = ("_limit", "_scratch", "data", "end", "start")

    def __init__(self, scratch: memoryview) -> None:
        self._scratch = scratch
        self.data = scratch
        self.start = 0
        self.end = 0
        self._limit = len(scratch)

    def writable(self) -> memoryview:
        """Where the next bytes go; never empty after ``keep``."""
        return self.data[self.end : self._limit] if self.end else self.data

    def received(self, count: int) -> None:
        """``count`` bytes were written into what ``writable`` gave."""
        self.end += count

    def keep(self, start: int, frame_bytes: int) -> None:
        """Drops what lies before ``start`` and makes the rest survive, with room to read on.

        Args:
            start: Position in ``data`` of the first byte not handled.
            frame_bytes: Size of the incomplete frame that starts there, its size field included;
                0 where that is not known.
        """
        data = self.data
        scratch = self._scratch
        kept = self.end - start
        if not kept:
            self.start = self.end = 0
            if len(data) <= len(scratch):
                self.data = data = scratch
            self._limit = len(data)
            return
        needed = frame_bytes or kept + _ROOM_BYTES_MIN
        if data is scratch or start + needed > len(data):
            target = _allocate(needed) if data is scratch or needed > len(data) else data
            target[:kept] = data[start : self.end]
            self.data = target
            start = 0
        self.start = start
        self.end = start + kept
        self._limit = start + frame_bytes if frame_bytes else len(self.data)

    def shrink(self) -> None:
        """Gives memory back that holds nothing."""
        if self.start == self.end:
            self.data = self._scratch
            self.start = self.end = 0
            self._limit = len(self._scratch)


def _allocate(size: int) -> memoryview:
    if size <= SCRATCH_BYTES:
        return memoryview(bytearray(size))
    # A claimed size costs memory only as its bytes arrive: a bytearray would be zeroed at once.
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
