"""Where one batch ends and the next begins, in stored bytes.

Rules: reads the fixed header (``datacore.wire.batch_header``) and nothing behind it. What comes
from a caller is checked here before it is stored; what comes from a device is checked again,
because devices forget.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from fastcrc import crc32

from datacore.storage.engine import StorageError
from datacore.wire.batch_header import (
    BATCH_FRAME,
    BATCH_FRAME_SIZE,
    BATCH_HEADER_SIZE,
    CRC_AT,
    CRC_FROM,
    MAGIC_AT,
    MAX_TIMESTAMP_AT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.wire.buffer import Buffer

BATCH_SIZE_MIN: Final = BATCH_HEADER_SIZE
BATCH_EXTENT: Final = Struct(">qi11xi")
"""Base offset, length and last offset delta: which offsets a batch spans, and which bytes."""

MAX_TIMESTAMP: Final = Struct(f">{MAX_TIMESTAMP_AT}xq")
_CRC: Final = Struct(f">{CRC_AT}xI")
_MAGIC_STORED: Final = 2


class Extent(NamedTuple):
    """What one batch spans."""

    start: int
    """Where it starts in the buffer that was walked."""
    end: int
    """Where the next one starts."""
    base_offset: int
    last_offset: int


def single_batch(data: Buffer) -> bool:
    """Whether ``data`` is one whole batch and nothing else."""
    size = len(data)
    if size < BATCH_SIZE_MIN:
        return False
    length: int = BATCH_FRAME.unpack_from(data)[1]
    return length + BATCH_FRAME_SIZE == size


def walk_batches(data: Buffer, start: int = 0) -> Iterator[Extent]:
    """The whole batches of ``data`` from ``start`` on; ends before the first that is cut off.

    Raises:
        StorageError: A header says what no batch can be.
    """
    size = len(data)
    while start + BATCH_SIZE_MIN <= size:
        base_offset, length, last_offset_delta = BATCH_EXTENT.unpack_from(data, start)
        end = start + BATCH_FRAME_SIZE + length
        if end - start < BATCH_SIZE_MIN or last_offset_delta < 0:
            message = f"no batch starts at byte {start}: length {length}, offset {base_offset}"
            raise StorageError(message)
        if end > size:
            return
        yield Extent(start, end, base_offset, base_offset + last_offset_delta)
        start = end


def split_batches(data: Buffer, base_offset: int, next_offset: int) -> list[Extent]:
    """The batches of an append.

    Raises:
        StorageError: ``data`` is not a sequence of whole batches that spans exactly the offsets
            from ``base_offset`` to ``next_offset``.
    """
    extents = list(walk_batches(data))
    expected_offset = base_offset
    for extent in extents:
        if extent.base_offset < expected_offset:
            message = f"batch at offset {extent.base_offset} follows offset {expected_offset - 1}"
            raise StorageError(message)
        expected_offset = extent.last_offset + 1
    if (
        not extents
        or extents[0].base_offset != base_offset
        or extents[-1].end != len(data)
        or expected_offset != next_offset
    ):
        message = f"not whole batches of the offsets {base_offset} to {next_offset - 1}"
        raise StorageError(message)
    return extents


class RangeWalk:
    """The batches that replace a range of offsets, checked as they come, piece by piece."""

    __slots__ = ("_least_offset", "_next_offset")

    def __init__(self, base_offset: int, next_offset: int) -> None:
        self._least_offset = base_offset
        """What the next batch must end at, or behind."""
        self._next_offset = next_offset

    def walk(self, data: Buffer) -> list[Extent]:
        """The batches of one piece.

        Raises:
            StorageError: They are not whole, do not ascend, or leave the range.
        """
        extents = list(walk_batches(data))
        if not extents or extents[-1].end != len(data):
            message = f"{len(data)} bytes are not whole batches"
            raise StorageError(message)
        for _, _, base_offset, last_offset in extents:
            # Only the first batch of all may begin before the range: a log may start inside it.
            if last_offset < self._least_offset or last_offset >= self._next_offset:
                message = f"a batch of the offsets {base_offset} to {last_offset} lies elsewhere"
                raise StorageError(message)
            self._least_offset = last_offset + 1
        return extents

    def finish(self) -> None:
        """Checks that the last batch ends where the range does.

        Raises:
            StorageError: It does not, or there was none.
        """
        if self._least_offset != self._next_offset:
            message = f"the batches end at {self._least_offset}, the range at {self._next_offset}"
            raise StorageError(message)


def is_whole(batch: Buffer) -> bool:
    """Whether one batch, header and all, is what was written: magic and CRC32C."""
    return (
        batch[MAGIC_AT] == _MAGIC_STORED
        and crc32.iscsi(memoryview(batch)[CRC_FROM:]) == _CRC.unpack_from(batch)[0]
    )


def max_timestamp_ms(data: Buffer, start: int = 0) -> int:
    """The largest timestamp of the batch at ``start``, as its header says."""
    timestamp_ms: int = MAX_TIMESTAMP.unpack_from(data, start)[0]
    return timestamp_ms
