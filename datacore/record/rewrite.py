"""A batch with fewer records, or in another codec: records keep their bytes and their order.

Compaction decides by key and by whether there is a value, so that is all that is read of a record.
What stays is copied, not decoded and encoded again: base offset and base timestamp of its batch
stay, and with them every delta. Only a delete horizon changes the base timestamp (KIP-534), and
then the timestamp deltas are written anew.

Kafka's counterparts: ``MemoryRecords.filterTo``, and ``LogValidator`` for another codec.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from fastcrc import crc32

from datacore.record.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    TRANSACTIONAL_BIT,
)
from datacore.record.compression import DECOMPRESSED_BYTES_MAX, Codec, compress
from datacore.record.errors import InvalidRecord
from datacore.record.records import NO_TIMESTAMP, records_bytes
from datacore.record.varint import read_varint, read_varlong, zigzag
from datacore.wire.batch_header import (
    BATCH_FRAME_SIZE,
    BATCH_HEADER,
    BATCH_HEADER_SIZE,
    CRC_AT,
    CRC_FROM,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

_UINT32: Final = Struct(">I")
_KEPT_BY_EMPTY: Final = LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT


class RawRecord(NamedTuple):
    """A record as it is stored, and what compaction wants to know of it."""

    data: bytes
    """All of it, its length in front."""
    offset_delta: int
    timestamp_delta: int
    key: bytes | None
    has_value: bool


def iterate_raw_records(
    batch: Buffer, header: BatchHeader, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> Iterator[RawRecord]:
    """Decompresses a batch at once and yields its records one by one.

    Arguments and errors as for ``iterate_records``; values and headers are not looked into.
    """
    data = records_bytes(batch, header, max_bytes=max_bytes)
    at = 0
    end = len(data)
    try:
        for _ in range(header.records_count):
            start = at
            size, at = read_varint(data, at)
            stop = at + size
            if size < 0 or stop > end:
                raise InvalidRecord(f"A record of {size} bytes; {end - at} are left.")
            timestamp_delta, at = read_varlong(data, at + 1)
            offset_delta, at = read_varint(data, at)
            key_size, at = read_varint(data, at)
            key = None
            if key_size >= 0:
                key = data[at : at + key_size]
                at += key_size
            value_size, at = read_varint(data, at)
            if at + max(value_size, 0) > stop:
                raise InvalidRecord(f"A record of {size} bytes holds more than that.")
            yield RawRecord(data[start:stop], offset_delta, timestamp_delta, key, value_size >= 0)
            at = stop
    except IndexError:
        raise InvalidRecord("The records end before their batch's last one.") from None
    if at != end:
        raise InvalidRecord(f"{end - at} bytes are left behind the batch's last record.")


def recompressed(
    batch: Buffer,
    header: BatchHeader,
    codec: Codec,
    level: int | None,
    *,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> bytearray:
    """The batch with the same records in another codec.

    Args:
        batch: The whole batch, CRC checked.
        header: Its header.
        codec: The other codec.
        level: The codec's level; None is its default.
        max_bytes: The most that the batch may hold when decompressed.

    Raises:
        TruncatedBatch: As for ``iterate_records``.
        DecompressionError: As for ``iterate_records``.
    """
    body = records_bytes(batch, header, max_bytes=max_bytes)
    if codec is not Codec.NONE:
        body = compress(body, codec, level)
    attributes = header.attributes & ~CODEC_MASK | codec
    return _pack(
        header,
        attributes,
        header.base_timestamp,
        header.max_timestamp,
        header.records_count,
        body,
    )


def batch_of_some(
    header: BatchHeader, kept: Sequence[RawRecord], *, delete_horizon_ms: int | None = None
) -> bytearray:
    """The batch with these of its records alone, compressed as it was.

    Args:
        header: The batch's header.
        kept: At least one of its records, in order.
        delete_horizon_ms: From when on its tombstones may go; None: as it says itself.
    """
    attributes = header.attributes
    base_timestamp_ms = header.base_timestamp
    largest_ms = base_timestamp_ms + max(record.timestamp_delta for record in kept)
    parts = [record.data for record in kept]
    if delete_horizon_ms is not None:
        attributes |= DELETE_HORIZON_BIT
        shift_ms = base_timestamp_ms - delete_horizon_ms
        base_timestamp_ms = delete_horizon_ms
        parts = [
            _with_timestamp_delta(record.data, record.timestamp_delta + shift_ms) for record in kept
        ]
    body = b"".join(parts)
    codec = Codec(attributes & CODEC_MASK)
    if codec is not Codec.NONE:
        body = compress(body, codec)
    max_timestamp_ms = header.max_timestamp if header.has_log_append_time else largest_ms
    return _pack(header, attributes, base_timestamp_ms, max_timestamp_ms, len(kept), body)


def empty_batch(header: BatchHeader) -> bytearray:
    """The batch without any record, for what its header says of its producer and its offsets."""
    attributes = header.attributes & _KEPT_BY_EMPTY
    return _pack(header, attributes, NO_TIMESTAMP, header.max_timestamp, 0, b"")


def offsets_only(leader_epoch: int, offset: int, max_timestamp_ms: int) -> bytearray:
    """A batch that holds one offset and nothing else, so that no hole ends a stretch of a log."""
    nobody = (-1, -1, -1)
    fields = (offset, 0, leader_epoch, MAGIC, 0, 0, 0, NO_TIMESTAMP, max_timestamp_ms, *nobody, 0)
    return _with_crc(bytearray(BATCH_HEADER.pack(*fields)))


def _pack(
    header: BatchHeader,
    attributes: int,
    base_timestamp_ms: int,
    max_timestamp_ms: int,
    records_count: int,
    body: bytes,
) -> bytearray:
    batch = bytearray(BATCH_HEADER_SIZE)
    BATCH_HEADER.pack_into(
        batch,
        0,
        header.base_offset,
        0,
        header.leader_epoch,
        MAGIC,
        0,
        attributes,
        header.last_offset_delta,
        base_timestamp_ms,
        max_timestamp_ms,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        records_count,
    )
    batch += body
    return _with_crc(batch)


def _with_crc(batch: bytearray) -> bytearray:
    """The batch with its length and its CRC in place."""
    _UINT32.pack_into(batch, _LENGTH_AT, len(batch) - BATCH_FRAME_SIZE)
    _UINT32.pack_into(batch, CRC_AT, crc32.iscsi(memoryview(batch)[CRC_FROM:]))
    return batch


_LENGTH_AT: Final = 8


def _with_timestamp_delta(record: bytes, timestamp_delta: int) -> bytes:
    """The record with another timestamp delta."""
    _, at = read_varint(record, 0)
    _, behind = read_varlong(record, at + 1)
    body = record[at : at + 1] + zigzag(timestamp_delta) + record[behind:]
    return zigzag(len(body)) + body
