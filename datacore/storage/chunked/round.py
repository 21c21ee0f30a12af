"""What one log gathers for its next round of group commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.chunked.chunk import joined
from datacore.storage.chunked.segments import Segment
from datacore.storage.chunked.store import Round
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from datacore.storage.chunked.chunk import Chunk


class Gathered:
    """Appends that become durable together, or fail together."""

    __slots__ = (
        "_by_segment",
        "base_offset",
        "chunks",
        "growths",
        "next_offset",
        "pending",
        "size",
    )

    def __init__(self, base_offset: int) -> None:
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size = 0
        self.pending: Pending[None] = Pending()
        self.chunks: list[Chunk] = []
        """One for each append."""
        self.growths: list[Segment] = []
        """What each segment grows by."""
        self._by_segment: list[list[Chunk]] = []

    def add(self, chunk: Chunk, segment: Segment) -> None:
        """Takes an append that belongs to a segment."""
        if not self.growths or self.growths[-1].base_offset != segment.base_offset:
            self.growths.append(
                Segment(
                    segment.base_offset,
                    chunk.next_offset,
                    0,
                    segment.first_timestamp_ms,
                    chunk.max_timestamp_ms,
                )
            )
            self._by_segment.append([])
        self.growths[-1].grow(chunk)
        self._by_segment[-1].append(chunk)
        self.chunks.append(chunk)
        self.next_offset = chunk.next_offset
        self.size += chunk.size

    def as_round(self, log_id: int, owner: int) -> Round:
        """What the store is to write: as few chunks as may be, and none over two segments."""
        return Round(
            log_id,
            owner,
            self.base_offset,
            self.next_offset,
            self.growths,
            [chunk for chunks in self._by_segment for chunk in joined(chunks)],
        )
