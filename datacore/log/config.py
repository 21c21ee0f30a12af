"""What a topic's configs say to the logs of its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from datacore.log.retention import UNLIMITED

if TYPE_CHECKING:
    from datacore.record.compression import Codec
    from datacore.storage.engine import SegmentLimits

LONG_MAX: Final = 2**63 - 1


class Compression(msgspec.Struct, frozen=True):
    """How a topic's batches are compressed, whatever their producers did."""

    codec: Codec
    level: int | None = None
    """The codec's level; None where it has none."""


class LogConfig(msgspec.Struct, frozen=True):
    """The topic configs that a log obeys."""

    max_message_bytes: int = 1_048_588
    log_append_time: bool = False
    timestamp_before_max_ms: int = LONG_MAX
    timestamp_after_max_ms: int = LONG_MAX
    """How far from now the timestamps of producers may lie."""
    compression: Compression | None = None
    """None: batches stay as they came (compression.type=producer)."""
    compacted: bool = False
    deletes: bool = True
    """Whether what is old may go; where not, nothing may."""
    retention_ms: int = UNLIMITED
    retention_bytes: int = UNLIMITED
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = LONG_MAX
    delete_retention_ms: int = 86_400_000
    """What compaction obeys, where the log is compacted."""
    segments: SegmentLimits | None = None
    """None: the engine chooses."""

    @property
    def looks_into_records(self) -> bool:
        """Whether a produced batch is decoded: for its keys, or for its oldest record."""
        if self.compacted:
            return True
        return self.timestamp_before_max_ms < LONG_MAX and not self.log_append_time
