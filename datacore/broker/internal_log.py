"""A log that the broker itself writes records to: cluster metadata, groups and offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.log.kept_summary import SCAN_BYTES
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, decode_records, encode_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from datacore.coordinator.outcome import Producer
    from datacore.log.partition_log import PartitionLog
    from datacore.record.batch import BatchHeader
    from datacore.storage.pending import Pending

BATCH_BYTES_MAX: Final = 64 << 20
"""No batch of the broker's own is larger once decompressed."""


def append_records(
    log: PartitionLog,
    records: Sequence[tuple[bytes | None, bytes | None]],
    now_ms: int,
    producer: Producer | None = None,
) -> Pending[None] | None:
    """Appends (key, value) pairs as one batch, all or nothing; in a producer's transaction, if any.

    Returns:
        None when they are durable now, else what to wait for.

    Raises:
        KafkaError: The engine failed; nothing was appended.
    """
    batch = bytearray(
        encode_batch(
            [Record(offset, now_ms, key, value, []) for offset, (key, value) in enumerate(records)],
            producer_id=-1 if producer is None else producer.producer_id,
            producer_epoch=-1 if producer is None else producer.producer_epoch,
            transactional=producer is not None,
        )
    )
    return log.append_own(batch, now_ms).durable


async def replay(log: PartitionLog) -> AsyncIterator[Record]:
    """Every record of the log up to its end, in order."""
    async for header, batch in replay_batches(log):
        if not header.is_control:
            for record in records_of(header, batch):
                yield record


async def replay_batches(log: PartitionLog) -> AsyncIterator[tuple[BatchHeader, memoryview]]:
    """Every batch of the log up to its end, in order; control batches too."""
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        for buffer in await log.read(offset, SCAN_BYTES, log.log_end_offset):
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                offset = header.next_offset
                yield header, view[at : at + header.size]


def records_of(header: BatchHeader, batch: memoryview) -> Sequence[Record]:
    """The records of one of the broker's own batches."""
    # What was stored uncompressed is no bomb, however large it is.
    return decode_records(batch, header, max_bytes=max(BATCH_BYTES_MAX, header.size))
