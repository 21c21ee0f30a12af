"""Compaction at work on one log: read, decide, replace (``compaction.py`` has the rules).

Rules:

- A round goes through the dirty part once, to learn the last offset of each key, and through
  everything from the start once, to write what survives. Where the map of keys becomes full, the
  round ends there and the next one goes on.
- Memory is bounded by the map, one read of the log and one batch. All Python that grows with the
  number of records runs at a ``Pace``; produce and fetch wait for a millisecond of it at most.
- Each range is replaced by itself: a crash, or an engine that fails, leaves ranges that are done
  and ranges that are not, all of them right.
- The round's end is kept in the log's summary, durably, before another round may begin: only then
  may a marker go of whose transaction the summary before still told (``cleaned_transactions.py``).

Kafka's counterparts: ``Cleaner`` and the checkpoint of ``LogCleanerManager``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from datacore.log.cleanable import cleanable_part, extents_by_range
from datacore.log.cleaned_transactions import CleanedTransactions
from datacore.log.compaction import Survivors, index_keys
from datacore.log.kept_summary import SCAN_BYTES
from datacore.record.batch import end_offset_of, iterate_headers, parse_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.log.cleanable import Cleanable
    from datacore.log.key_offsets import KeyOffsets
    from datacore.log.pace import Pace
    from datacore.log.partition_log import PartitionLog
    from datacore.wire.buffer import Buffer

WRITE_BYTES: Final = 1 << 18
"""What survives is handed to the engine in pieces of at least this size."""

SEGMENT_BYTES: Final = 1 << 30
"""Where the log's config does not say how large a range may be."""


class Cleaning(msgspec.Struct, frozen=True):
    """What a round came to."""

    cleaned_offset: int
    """Everything before it is clean now."""
    records_seen: int
    records_kept: int
    bytes_before: int
    bytes_after: int


async def look(log: PartitionLog, now_ms: int) -> Cleanable | None:
    """What a round would clean, if it is time for one.

    Raises:
        KafkaError: The log cannot be read.
    """
    config = log.config
    part = cleanable_part(
        await log.extents(),
        cleaned_offset=log.cleaned_offset,
        last_stable_offset=log.last_stable_offset,
        now_ms=now_ms,
        min_compaction_lag_ms=config.min_compaction_lag_ms,
    )
    if part.dirty_bytes == 0:
        return None
    if part.dirty_ratio > config.min_cleanable_dirty_ratio:
        return part
    oldest_ms = now_ms - config.max_compaction_lag_ms
    if oldest_ms > 0 and await _is_older(log, part, oldest_ms):
        return part
    return None


async def _is_older(log: PartitionLog, part: Cleanable, oldest_ms: int) -> bool:
    """Whether the first batch of a dirty extent is older than max.compaction.lag.ms allows."""
    for extent in await log.extents():
        if part.first_dirty_offset < extent.next_offset <= part.end_offset:
            for buffer in await log.read(extent.base_offset, 1, extent.next_offset):
                if 0 <= parse_header(buffer).max_timestamp < oldest_ms:
                    return True
    return False


async def clean(
    log: PartitionLog, part: Cleanable, keys: KeyOffsets, pace: Pace, now_ms: int
) -> Cleaning:
    """One round over a log.

    Args:
        log: The log.
        part: What ``look`` said of it.
        keys: An empty map; it is not empty afterwards.
        pace: How to take turns with the event loop.
        now_ms: The time.

    Raises:
        KafkaError: The log cannot be read or written, or its start has moved. What was replaced
            before that is right.
    """
    await log.save_cleaned()
    first_dirty_offset = part.first_dirty_offset
    await _index(log, part, keys, pace)
    end_offset = keys.latest_offset + 1
    extents = await log.extents()
    start_offset = log.log_start_offset
    transactions = CleanedTransactions(log.aborted_between(start_offset, end_offset))
    survivors = Survivors(
        keys,
        transactions,
        log.producers.by_id,
        end_offset=end_offset,
        now_ms=now_ms,
        delete_retention_ms=log.config.delete_retention_ms,
    )
    bytes_before = log.size_bytes
    segments = log.config.segments
    size_bytes_max = segments.size_bytes if segments else SEGMENT_BYTES
    for base_offset, next_offset in extents_by_range(extents, end_offset, size_bytes_max):
        surviving = _surviving(log, survivors, base_offset, next_offset, pace)
        await log.replace(base_offset, next_offset, surviving)
    cleaned_offset = max(end_offset, first_dirty_offset)
    largest = await _largest_timestamp(log, cleaned_offset)
    await log.note_cleaned(cleaned_offset, transactions.vanished, largest)
    return Cleaning(
        cleaned_offset,
        survivors.records_seen,
        survivors.records_kept,
        bytes_before,
        log.size_bytes,
    )


async def _index(log: PartitionLog, part: Cleanable, keys: KeyOffsets, pace: Pace) -> None:
    """Learns the last offset of each key of the dirty part, as far as the map reaches."""
    offset = part.first_dirty_offset
    transactions = CleanedTransactions(log.aborted_between(offset, part.end_offset))
    while offset < part.end_offset:
        buffers = await log.read(offset, SCAN_BYTES, part.end_offset)
        if not buffers:
            break
        await pace.spend(sum(map(len, buffers)))
        work = index_keys(buffers, part.first_dirty_offset, keys, transactions)
        async for _ in pace.run(work):
            return  # the map is full
        offset = end_offset_of(buffers[-1])
    keys.latest_offset = part.end_offset - 1


async def _surviving(
    log: PartitionLog, survivors: Survivors, base_offset: int, next_offset: int, pace: Pace
) -> AsyncIterator[Buffer]:
    """What survives of a range, in pieces."""
    offset = base_offset
    written_offset = base_offset
    parts: list[Buffer] = []
    size = 0
    while offset < next_offset:
        buffers = await log.read(offset, SCAN_BYTES, next_offset)
        if not buffers:
            break
        await pace.spend(sum(map(len, buffers)))
        surviving: AsyncIterator[Buffer] = pace.run(survivors.of(buffers))
        async for batch in surviving:
            parts.append(batch)
            size += len(batch)
            written_offset = parse_header(batch).next_offset
            if size >= WRITE_BYTES:
                yield b"".join(parts)
                await pace.spend(size)
                parts, size = [], 0
        offset = end_offset_of(buffers[-1])
    end = survivors.end_range(next_offset, written_offset)
    if end is not None:
        parts.append(end)
    if parts:
        yield b"".join(parts)


async def _largest_timestamp(log: PartitionLog, cleaned_offset: int) -> tuple[int, int] | None:
    """The largest timestamp and its batch, where compaction may have taken the one that had it."""
    before = log.largest_timestamp
    if before[1] >= cleaned_offset:
        return None
    largest_ms = max((each.max_timestamp_ms for each in await log.extents()), default=-1)
    found = largest_ms, -1
    offset = await log.scan_start_for(largest_ms)
    while largest_ms >= 0 and found[1] < 0 and offset < log.high_watermark:
        for buffer in await log.read(offset, SCAN_BYTES, log.high_watermark):
            for _, header in iterate_headers(buffer):
                if header.max_timestamp >= largest_ms and found[1] < 0:
                    found = header.max_timestamp, header.base_offset
            offset = end_offset_of(buffer)
    # What was appended meanwhile has a say of its own.
    return found if log.largest_timestamp == before else None
