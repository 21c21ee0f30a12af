"""What logs over a store of chunks must be told, whatever the store."""

from __future__ import annotations

from typing import Protocol


class ChunkedConfig(Protocol):
    """The part of an engine's settings that its logs and its flusher read."""

    @property
    def flush_timeout_s(self) -> float:
        """How long a round of group commit is tried before its appends fail."""

    @property
    def flush_bytes(self) -> int:
        """What one round writes at most, unless a single append is larger."""

    @property
    def unflushed_bytes_max(self) -> int:
        """Appends are refused while the store has this much to catch up with."""

    @property
    def cache_bytes(self) -> int:
        """Batches that are kept in memory for readers."""
