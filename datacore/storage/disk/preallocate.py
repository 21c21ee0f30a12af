"""Gives a file its full size at once: ``fallocate(2)``, on Linux alone.

Rules: where the call or the file system does not know it, the file gets its size and no space, as
Kafka does everywhere. ``posix_fallocate`` would write to every block there, and Python's library
has no other such call, hence ``ctypes``, imported when first needed.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_KNOWN: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})


def preallocate(fd: int, size: int) -> None:
    """Reserves space for a new file of so many bytes; they read as zeros.

    Raises:
        OSError: There is not that much room, or as the device says.
    """
    code = _fallocate()(fd, size)
    if code in _NOT_KNOWN:
        os.ftruncate(fd, size)
    elif code:
        raise OSError(code, os.strerror(code))


@functools.cache
def _fallocate() -> Callable[[int, int], int]:
    """``(fd, size) -> errno``."""
    import ctypes  # noqa: PLC0415  # 3 ms that a broker may never need

    call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if call is None:
        return lambda *_: errno.ENOSYS
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

    def reserve(fd: int, size: int) -> int:
        while call(fd, 0, 0, size):
            code = ctypes.get_errno()
            if code != errno.EINTR:
                return code
        return 0

    return reserve
