"""What goes from the beginning of a log: by DeleteRecords, and by retention.

Rules: only what consumers can see goes; which of it, retention decides (``retention.py``).
Kafka's counterparts: ``UnifiedLog.maybeIncrementLogStartOffset`` and ``deleteOldSegments``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from datacore._generated.errors import ErrorCode
from datacore.log.retention import expired_extents
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.log.partition_log import PartitionLog

EXTENTS_AT_ONCE: Final = 8
"""How many an engine frees in one call: it may rename three files for each, on the event loop."""

BEFORE_HIGH_WATERMARK: Final = -1
"""DeleteRecords' offset for everything that consumers can see."""


async def delete_records_before(log: PartitionLog, offset: int) -> int:
    """Makes ``offset`` the start of the log, durably (DeleteRecords); -1: the high watermark.

    Returns:
        The log start offset, which may have been higher already.

    Raises:
        KafkaError: POLICY_VIOLATION, the topic keeps the last record of each key;
            OFFSET_OUT_OF_RANGE, no consumer may see what lies before the offset;
            KAFKA_STORAGE_ERROR.
    """
    if not log.config.deletes:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "cleanup.policy does not say delete.")
    wanted = log.high_watermark if offset == BEFORE_HIGH_WATERMARK else offset
    if not 0 <= wanted <= log.high_watermark:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"The high watermark is {log.high_watermark}, before {offset}.",
        )
    ends = [each.next_offset for each in await log.extents()]
    await _move_start_by(log, [end for end in ends if end < wanted] + [wanted])
    return log.log_start_offset


async def delete_expired(log: PartitionLog, now_ms: int) -> None:
    """Deletes what retention.ms and retention.bytes no longer keep, durably.

    Raises:
        KafkaError: KAFKA_STORAGE_ERROR; what is gone is gone.
    """
    config = log.config
    if not config.deletes or (config.retention_ms < 0 and config.retention_bytes < 0):
        return
    extents = await log.extents()
    expired = expired_extents(
        extents,
        now_ms=now_ms,
        retention_ms=config.retention_ms,
        retention_bytes=config.retention_bytes,
        high_watermark=log.high_watermark,
    )
    await _move_start_by(log, [extent.next_offset for extent in extents[:expired]])


async def _move_start_by(log: PartitionLog, ends: Sequence[int]) -> None:
    """Moves the start to the last of the ends of extents, a few of them at a time.

    Each step is durable before the next, so a crash leaves a start that was on the way.
    """
    for offset in [*ends[EXTENTS_AT_ONCE - 1 : -1 : EXTENTS_AT_ONCE], *ends[-1:]]:
        await log.move_start(offset)
        await checkpoint()
