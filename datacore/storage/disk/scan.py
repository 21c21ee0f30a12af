"""Walking the batches of a segment file, for whoever may wait for the device.

Rules: runs in worker threads; reads through ``Files``; never beyond the size it is given.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.storage.batches import BATCH_SIZE_MIN, is_whole
from datacore.wire.batch_header import BATCH_FRAME_SIZE, BATCH_HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.storage.disk.files import Files

_FIELDS: Final = Struct(">qi11xi8xq")
"""Base offset, length, last offset delta, max timestamp."""

_HEADERS_WINDOW_SIZE: Final = 64 * 1024
_WHOLE_WINDOW_SIZE: Final = 1024 * 1024


class FoundBatch(NamedTuple):
    """One batch of a file, as its header says."""

    position: int
    end_position: int
    base_offset: int
    last_offset: int
    max_timestamp_ms: int


def scan_headers(files: Files, fd: int, position: int, size: int) -> Iterator[FoundBatch]:
    """The batches from ``position`` on; ends at what is no header, or at ``size``."""
    window = memoryview(b"")
    window_position = position
    while position + BATCH_SIZE_MIN <= size:
        at = position - window_position
        if at + BATCH_HEADER_SIZE > len(window):
            window = _read(files, fd, position, min(_HEADERS_WINDOW_SIZE, size - position))
            window_position, at = position, 0
            if len(window) < BATCH_HEADER_SIZE:
                return
        found = _parse(window, at, position)
        if found is None or found.end_position > size:
            return
        yield found
        position = found.end_position


def scan_whole(files: Files, fd: int, position: int, size: int) -> Iterator[FoundBatch]:
    """``scan_headers``, ending also before the first batch whose checksum is wrong."""
    window = memoryview(b"")
    window_position = position
    for found in scan_headers(files, fd, position, size):
        end = found.end_position - window_position
        if end > len(window):
            wanted = max(_WHOLE_WINDOW_SIZE, found.end_position - found.position)
            wanted = min(wanted, size - found.position)
            window = _read(files, fd, found.position, wanted)
            window_position = found.position
            end = found.end_position - window_position
            if end > len(window):
                return
        if not is_whole(window[found.position - window_position : end]):
            return
        yield found


def is_blank(files: Files, fd: int, position: int, size: int) -> bool:
    """Whether a file holds nothing but zeros from ``position`` on, as a preallocated one does."""
    while position < size:
        position = files.next_data(fd, position)
        if not 0 <= position < size:
            return True
        window = _read(files, fd, position, min(_WHOLE_WINDOW_SIZE, size - position))
        if bytes(window).strip(b"\0"):
            return False
        if not window:
            return True
        position += len(window)
    return True


def _read(files: Files, fd: int, position: int, size: int) -> memoryview:
    buffer = memoryview(bytearray(size))
    return buffer[: files.read(fd, buffer, position)]


def _parse(window: memoryview, at: int, position: int) -> FoundBatch | None:
    base_offset, length, last_offset_delta, max_timestamp_ms = _FIELDS.unpack_from(window, at)
    size = length + BATCH_FRAME_SIZE
    if size < BATCH_SIZE_MIN or last_offset_delta < 0 or base_offset < 0:
        return None
    last_offset = base_offset + last_offset_delta
    return FoundBatch(position, position + size, base_offset, last_offset, max_timestamp_ms)
