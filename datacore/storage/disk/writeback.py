"""Begins to write a file back without waiting for it: ``sync_file_range(2)``, on Linux alone.

Rules: elsewhere this does nothing. The advice "not needed again" of ``posix_fadvise`` starts writes
too, but drops every page that the device already has, and whoever consumes what was just produced
would have to wait for the device (docs/decisions/0015). Python's library has no such call, hence
``ctypes``, imported when first needed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SYNC_FILE_RANGE_WRITE: Final = 2


def start_writeback(fd: int, position: int) -> None:
    """Has the device begin with everything from ``position`` on that it has not got yet."""
    _sync_file_range()(fd, position)


@functools.cache
def _sync_file_range() -> Callable[[int, int], None]:
    """``(fd, position)``."""
    import ctypes  # noqa: PLC0415  # 3 ms that a broker may never need

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return lambda *_: None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]

    def begin(fd: int, position: int) -> None:
        # Advice alone: what is wrong with the file, its sync will say.
        call(fd, position, 0, _SYNC_FILE_RANGE_WRITE)

    return begin
