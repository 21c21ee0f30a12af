"""What the disk engine and the kernel's page cache have to say to each other, both on Linux alone.

- ``is_in_memory`` asks ``cachestat(2)``, Linux 6.5 and up; elsewhere the answer is no. It touches
  nothing, so what is asked about gets no younger for the kernel. A page that is just being read
  counts as there; whoever needs it waits for the end of that one read.
- ``start_writeback`` is ``sync_file_range(2)``; elsewhere it does nothing. The advice "not needed
  again" of ``posix_fadvise`` starts writes too, but drops every page that the device already has,
  and whoever consumes what was just produced would have to wait for the device.

Python's library has neither call, hence ``ctypes``, imported when first needed.
"""

from __future__ import annotations

import functools
import mmap
import platform
import struct
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER: Final = 451
_MACHINES: Final = frozenset({"x86_64", "aarch64"})
"""Where the call is known to have that number, in processes of 64 bits."""

_RANGE: Final = struct.Struct("=QQ")
"""``struct cachestat_range``: position, size."""
_STATE_BYTES: Final = 40
"""``struct cachestat``: five 64-bit counts, the first one that of the pages in memory."""

_SYNC_FILE_RANGE_WRITE: Final = 2


def is_in_memory(fd: int, position: int, size: int) -> bool:
    """Whether no byte of that stretch of a file would have to be read from a device."""
    first = position // mmap.PAGESIZE
    last = (position + size - 1) // mmap.PAGESIZE
    return _cached_pages()(fd, position, size) == last - first + 1


def start_writeback(fd: int, position: int) -> None:
    """Has the device begin with everything from ``position`` on that it has not got yet."""
    _sync_file_range()(fd, position)


@functools.cache
def _cached_pages() -> Callable[[int, int, int], int]:
    """``(fd, position, size) -> pages``, fewer than there are where the kernel does not say."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or struct.calcsize("P") != 8:
        return lambda *_: -1
    import ctypes  # noqa: PLC0415  # 3 ms at a start that may never need it

    syscall = ctypes.PyDLL(None).syscall  # so short that giving up the GIL would cost more
    syscall.restype = ctypes.c_long
    long, pointer = ctypes.c_long, ctypes.c_char_p

    def cached_pages(fd: int, position: int, size: int) -> int:
        state = ctypes.create_string_buffer(_STATE_BYTES)
        stretch = pointer(_RANGE.pack(position, size))
        if syscall(long(_NUMBER), long(fd), stretch, state, long(0)):
            return -1
        return int.from_bytes(state.raw[:8], sys.byteorder)

    return cached_pages


@functools.cache
def _sync_file_range() -> Callable[[int, int], None]:
    import ctypes  # noqa: PLC0415  # as above

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return lambda *_: None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]

    def begin(fd: int, position: int) -> None:
        # Advice alone: what is wrong with the file, its sync will say.
        call(fd, position, 0, _SYNC_FILE_RANGE_WRITE)

    return begin
