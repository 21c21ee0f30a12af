"""Buffers that reads reuse as soon as nobody holds a view of them.

Fresh memory of a megabyte costs as much as the copy into it: the kernel clears its pages.
"""

from __future__ import annotations

from typing import Final

BUFFER_SIZE: Final = 1024 * 1024 + 20 * 1024
"""A fetch of Kafka's default max.partition.fetch.bytes, and a little to see where it begins
(``reader.FIND_READ_SIZE``) and ends."""

POOLED_SIZE_MIN: Final = 32 * 1024


class BufferPool:
    """At most so many buffers; beyond them memory is fresh."""

    def __init__(self, buffers_max: int) -> None:
        self._buffers: list[bytearray] = []
        self._buffers_max = buffers_max
        self._at = 0

    def take(self, size: int) -> memoryview:
        """Memory to read into, with anything in it."""
        if not POOLED_SIZE_MIN <= size <= BUFFER_SIZE:
            return memoryview(bytearray(size))
        buffers = self._buffers
        for _ in range(len(buffers)):
            # The one used last first: its memory is in the processor's cache.
            buffer = buffers[self._at]
            try:
                # A bytearray refuses to change its size while a view of it exists.
                buffer.pop()
            except BufferError:
                self._at = (self._at + 1) % len(buffers)
                continue
            buffer.append(0)
            return memoryview(buffer)[:size]
        if len(buffers) >= self._buffers_max:
            return memoryview(bytearray(size))
        buffers.append(bytearray(BUFFER_SIZE))
        return memoryview(buffers[-1])[:size]
