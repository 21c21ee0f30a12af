"""What retention takes from a log: which offset becomes its start. A pure function.

Rules, as Kafka's ``UnifiedLog.deleteOldSegments`` has them:

- Whole extents go, the oldest first, up to the first that stays. The last one may go, too.
- By time: all records of the extent are older than ``retention.ms``, judged by the largest
  timestamp. An extent without any timestamp does not expire.
- By size: what is left without the extent is still ``retention.bytes`` or more.
- Nothing at or behind the high watermark goes, whatever its age.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.engine import LogExtent

UNLIMITED = -1


def expired_extents(
    extents: Sequence[LogExtent],
    *,
    now_ms: int,
    retention_ms: int,
    retention_bytes: int,
    high_watermark: int,
) -> int:
    """How many of the extents may go, counted from the first.

    Args:
        extents: The log, as its engine cuts it.
        now_ms: The time.
        retention_ms: What is older goes; negative: nothing does.
        retention_bytes: What the log keeps at least, when it has that much; negative: everything.
        high_watermark: Where consumers' view of the log ends.
    """
    left_bytes = sum(extent.size_bytes for extent in extents)
    by_time = retention_ms >= 0
    for count, extent in enumerate(extents):
        if extent.next_offset > high_watermark:
            return count
        # Once the first extent that is young enough was met, later ones stay, whatever their age.
        by_time = by_time and 0 <= extent.max_timestamp_ms < now_ms - retention_ms
        left_bytes -= extent.size_bytes
        by_size = 0 <= retention_bytes <= left_bytes
        if not by_time and not by_size:
            return count
    return len(extents)
