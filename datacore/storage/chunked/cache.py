"""Chunks in memory: what readers find without asking the store.

Rules: a log's chunks lie here by offset. What is not durable yet is pinned, for only this process
has it; of the rest the least recently read goes, over all logs, when the bound is passed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore.storage.chunked.chunk import Chunk


_OVERHEAD_BYTES: Final = 512
"""What a chunk takes beside its data, about."""


class ChunkCache:
    """All that may be forgotten, of all logs."""

    __slots__ = ("_bytes", "_bytes_max", "_chunks")

    def __init__(self, bytes_max: int) -> None:
        self._bytes = 0
        self._bytes_max = bytes_max
        self._chunks: OrderedDict[Chunk, CachedLog] = OrderedDict()

    def add(self, log: CachedLog, chunk: Chunk) -> None:
        """Lets a chunk be forgotten in its turn, and forgets whose turn it is."""
        self._chunks[chunk] = log
        self._bytes += chunk.size + _OVERHEAD_BYTES
        while self._bytes > self._bytes_max and len(self._chunks) > 1:
            oldest, its_log = self._chunks.popitem(last=False)
            self._bytes -= oldest.size + _OVERHEAD_BYTES
            its_log.forget(oldest)

    def touch(self, chunk: Chunk) -> None:
        """Notes that a chunk was read."""
        if chunk in self._chunks:
            self._chunks.move_to_end(chunk)

    def drop(self, chunk: Chunk) -> None:
        """Counts out a chunk that its log does not have any more."""
        if self._chunks.pop(chunk, None) is not None:
            self._bytes -= chunk.size + _OVERHEAD_BYTES


class CachedLog:
    """The chunks of one log that are in memory, in the order of their offsets."""

    __slots__ = ("_bases", "_cache", "_chunks")

    def __init__(self, cache: ChunkCache) -> None:
        self._cache = cache
        self._bases: list[int] = []
        self._chunks: dict[int, Chunk] = {}

    def pin(self, chunk: Chunk) -> None:
        """Holds a chunk that only this process has; it lies behind all others."""
        self._bases.append(chunk.base_offset)
        self._chunks[chunk.base_offset] = chunk

    def add(self, chunk: Chunk) -> None:
        """Keeps a chunk of the store for a while, in the place of the same offsets."""
        self.drop(chunk.base_offset, chunk.next_offset)
        insort(self._bases, chunk.base_offset)
        self._chunks[chunk.base_offset] = chunk
        self._cache.add(self, chunk)

    def find(self, offset: int) -> Chunk | None:
        """The chunk that answers for ``offset``, if it is here."""
        at = bisect_right(self._bases, offset) - 1
        if at < 0:
            return None
        chunk = self._chunks[self._bases[at]]
        if offset >= chunk.next_offset:
            return None
        self._cache.touch(chunk)
        return chunk

    def stored(self, pinned: Iterable[Chunk], stored: Iterable[Chunk]) -> None:
        """The store has the pinned chunks now, in this form."""
        for chunk in pinned:
            self.forget(chunk)
        for chunk in stored:
            insort(self._bases, chunk.base_offset)
            self._chunks[chunk.base_offset] = chunk
        for chunk in stored:
            self._cache.add(self, chunk)

    def forget(self, chunk: Chunk) -> None:
        """Lets go of a chunk that the cache does not count, or no longer."""
        del self._bases[bisect_left(self._bases, chunk.base_offset)]
        del self._chunks[chunk.base_offset]

    def drop(self, base_offset: int, next_offset: int) -> None:
        """Lets go of every chunk with an offset of this range, pinned or not."""
        first = max(bisect_right(self._bases, base_offset) - 1, 0)
        if first < len(self._bases) and self._chunks[self._bases[first]].next_offset <= base_offset:
            first += 1
        behind = bisect_left(self._bases, next_offset)
        for base in self._bases[first:behind]:
            self._cache.drop(self._chunks.pop(base))
        del self._bases[first:behind]

    def drop_before(self, offset: int) -> None:
        """Lets go of every chunk that ends at ``offset`` or before it."""
        while self._bases and self._chunks[self._bases[0]].next_offset <= offset:
            self._cache.drop(self._chunks.pop(self._bases.pop(0)))
