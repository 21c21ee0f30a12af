"""Which record a time belongs to: ListOffsets by timestamp, to the record.

Rules: only what lies below the high watermark is found. The engine says where a scan begins; of
what is scanned the headers are read, and the records of the one batch that has the timestamp.

Kafka's counterpart: ``UnifiedLog.fetchOffsetByTimestamp`` (KIP-79, KIP-734).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio.to_thread
import msgspec

from datacore.log.kept_summary import SCAN_BYTES
from datacore.record.batch import iterate_headers, parse_header
from datacore.record.compression import Codec
from datacore.record.records import first_record_at_or_after

if TYPE_CHECKING:
    from datacore.log.partition_log import PartitionLog
    from datacore.record.batch import BatchHeader
    from datacore.record.records import Record
    from datacore.wire.buffer import Buffer

INLINE_RECORDS_MAX: Final = 1_000
"""In a larger batch, or a compressed one, a record is looked for by a worker thread."""


class TimestampedOffset(msgspec.Struct, frozen=True):
    """An answer of ListOffsets."""

    offset: int
    timestamp_ms: int


async def offset_for_timestamp(log: PartitionLog, timestamp_ms: int) -> TimestampedOffset | None:
    """The first record with that timestamp or a later one.

    Raises:
        KafkaError: The log cannot be read.
    """
    offset = await log.scan_start_for(timestamp_ms)
    while offset < log.high_watermark:
        for buffer in await log.read(offset, SCAN_BYTES, log.high_watermark):
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                offset = header.next_offset
                if header.max_timestamp < timestamp_ms or offset <= log.log_start_offset:
                    continue
                batch = view[at : at + header.size]
                record = await _first_record(batch, header, timestamp_ms)
                if record is not None:
                    return TimestampedOffset(record.offset, record.timestamp_ms)
    return None


async def offset_of_max_timestamp(log: PartitionLog) -> TimestampedOffset | None:
    """The first record with the largest timestamp (KIP-734); None in an empty log.

    Raises:
        KafkaError: The log cannot be read, or that batch was lost.
    """
    offset = await log.offset_of_largest_timestamp()
    if not log.log_start_offset <= offset < log.high_watermark:
        return None
    for buffer in await log.read(offset, 1, log.high_watermark):
        header = parse_header(buffer)
        record = await _first_record(buffer, header, header.max_timestamp)
        if record is not None:
            return TimestampedOffset(record.offset, record.timestamp_ms)
    return None


async def _first_record(batch: Buffer, header: BatchHeader, timestamp_ms: int) -> Record | None:
    """``first_record_at_or_after``, where a batch may hold millions of records."""
    if header.codec == Codec.NONE and header.records_count <= INLINE_RECORDS_MAX:
        return first_record_at_or_after(batch, header, timestamp_ms)
    return await anyio.to_thread.run_sync(first_record_at_or_after, batch, header, timestamp_ms)
