"""The header of a record batch of magic 2: reading it, checking its CRC, patching it in place.

This is what the data path knows of records; what lies behind the header stays opaque. A produced
batch is changed in three places only, none of which needs its records: base offset and leader
epoch, which the CRC does not cover, and the timestamp type with its timestamp, which it does.

Kafka's counterpart is ``DefaultRecordBatch`` (KIP-98); ``datacore.wire.batch_header`` has the
layout.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import TYPE_CHECKING, Final

import msgspec
from fastcrc import crc32

from datacore.record.errors import CorruptBatch, TruncatedBatch, UnsupportedMagic
from datacore.wire.batch_header import (
    ATTRIBUTES_AT,
    BATCH_FRAME,
    BATCH_FRAME_SIZE,
    BATCH_HEADER,
    BATCH_HEADER_SIZE,
    CRC_AT,
    CRC_FROM,
    MAGIC_AT,
    MAX_TIMESTAMP_AT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.wire.buffer import Buffer

CODEC_MASK: Final = 0b111
LOG_APPEND_TIME_BIT: Final = 1 << 3
TRANSACTIONAL_BIT: Final = 1 << 4
CONTROL_BIT: Final = 1 << 5
DELETE_HORIZON_BIT: Final = 1 << 6
"""The base timestamp is the time from which the batch's tombstones may go (KIP-534)."""

MAGIC: Final = 2
LEGACY_MESSAGE_SIZE_MIN: Final = 14
"""What Kafka checks a size against before it looks at the magic: an empty message of magic 0."""

_INT32_MAX: Final = 0x7FFF_FFFF

_unpack_header: Final = BATCH_HEADER.unpack_from
_unpack_frame: Final = BATCH_FRAME.unpack_from
_crc32c: Final = crc32.iscsi
_INT16: Final = Struct(">h")
_UINT32: Final = Struct(">I")
_unpack_producer: Final = Struct(">h20xqh").unpack_from
"""From the attributes on."""
_INT64: Final = Struct(">q")
_EPOCH_AT: Final = 12
_pack_base_offset: Final = Struct(">q").pack_into
_pack_epoch: Final = Struct(">i").pack_into


class BatchHeader(msgspec.Struct, gc=False):
    """A batch's header, field by field, and the size of the whole batch in bytes."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int
    size: int

    @property
    def last_offset(self) -> int:
        """The offset of the last record, also where compaction has removed it."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset behind the batch."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> int:
        """The codec's number, 0 to 7; not each of them is a ``Codec``."""
        return self.attributes & CODEC_MASK

    @property
    def has_log_append_time(self) -> bool:
        """All records bear ``max_timestamp``, which the broker set."""
        return self.attributes & LOG_APPEND_TIME_BIT != 0

    @property
    def is_transactional(self) -> bool:
        """The batch belongs to a transaction, as data or as its marker."""
        return self.attributes & TRANSACTIONAL_BIT != 0

    @property
    def is_control(self) -> bool:
        """The batch holds a control record, which no consumer sees."""
        return self.attributes & CONTROL_BIT != 0

    @property
    def has_delete_horizon(self) -> bool:
        """``base_timestamp`` is the delete horizon."""
        return self.attributes & DELETE_HORIZON_BIT != 0

    @property
    def has_producer_id(self) -> bool:
        """The producer is idempotent or transactional."""
        return self.producer_id >= 0

    @property
    def last_sequence(self) -> int:
        """The last record's sequence number, which wraps from 2^31 - 1 to 0; -1: none."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & _INT32_MAX


def is_transactional(record_set: Buffer) -> bool:
    """Whether a record set begins with a whole batch of a transaction."""
    return (
        len(record_set) >= BATCH_HEADER_SIZE
        and record_set[MAGIC_AT] == MAGIC
        and bool(record_set[ATTRIBUTES_AT + 1] & TRANSACTIONAL_BIT)
        and len(record_set) >= _unpack_frame(record_set)[1] + BATCH_FRAME_SIZE
    )


def transaction_of(record_set: Buffer) -> tuple[int, int] | None:
    """Producer id and epoch of a transactional batch; None for all but one whole such batch."""
    if (
        not is_transactional(record_set)
        or len(record_set) > _unpack_frame(record_set)[1] + BATCH_FRAME_SIZE
    ):
        return None
    _, producer_id, producer_epoch = _unpack_producer(record_set, ATTRIBUTES_AT)
    return (producer_id, producer_epoch) if producer_id >= 0 else None


def parse_header(buffer: Buffer, at: int = 0) -> BatchHeader:
    """Reads the header of the batch that starts at ``at``; the batch itself may be cut.

    Raises:
        TruncatedBatch: Not even the header is whole.
        CorruptBatch: The size is too small for any batch, or the magic is none of 0, 1 and 2.
        UnsupportedMagic: It is a message of magic 0 or 1.
    """
    try:
        fields = _unpack_header(buffer, at)
    except struct.error:
        raise _refusal(buffer, at) from None
    size = fields[1] + BATCH_FRAME_SIZE
    if fields[3] != MAGIC or size < BATCH_HEADER_SIZE:
        raise _refusal(buffer, at)
    return BatchHeader(*(*fields, size))


def magic_of(record_set: Buffer) -> int:
    """The magic of the first batch or message of a record set of any magic: 0, 1 or 2.

    Raises:
        TruncatedBatch: There is none.
        CorruptBatch: The magic is another.
    """
    if len(record_set) <= MAGIC_AT:
        raise TruncatedBatch(f"A record set of {len(record_set)} bytes holds no batch.")
    magic = record_set[MAGIC_AT]
    if magic > MAGIC:
        raise CorruptBatch(f"Magic {magic} is not known.")
    return magic


def is_magic_2(record_set: Buffer) -> bool:
    """Whether a record set begins as a batch of magic 2 does; what is too short does not."""
    return len(record_set) > MAGIC_AT and record_set[MAGIC_AT] == MAGIC


def is_cut(record_set: Buffer) -> bool:
    """Whether of a record set of any magic not even the first batch or message is there as a whole.

    What cannot be a batch's beginning is not cut, but corrupt.
    """
    present = len(record_set)
    if present < BATCH_FRAME_SIZE:
        return True
    size = _unpack_frame(record_set)[1]
    if size < LEGACY_MESSAGE_SIZE_MIN or (present > MAGIC_AT and record_set[MAGIC_AT] > MAGIC):
        return False
    return bool(present < size + BATCH_FRAME_SIZE)


def iterate_headers(buffer: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """Yields position and header of each whole batch; a cut last one ends the iteration.

    Raises:
        CorruptBatch: As for ``parse_header``.
        UnsupportedMagic: As for ``parse_header``.
    """
    at = 0
    end = len(buffer)
    while end - at > MAGIC_AT:
        size = _unpack_frame(buffer, at)[1] + BATCH_FRAME_SIZE
        if end - at < size:
            return
        header = parse_header(buffer, at)
        yield at, header
        at += size


def end_offset_of(buffer: Buffer) -> int:
    """The offset behind the last of the whole batches in ``buffer``, which are of magic 2."""
    at = last_at = 0
    end = len(buffer)
    while at < end:
        last_at = at
        at += _unpack_frame(buffer, at)[1] + BATCH_FRAME_SIZE
    return parse_header(buffer, last_at).next_offset


def verify_crc(batch: Buffer, header: BatchHeader) -> bool:
    """Whether the CRC32C of a whole batch is the one in its header."""
    return _crc32c(memoryview(batch)[CRC_FROM : header.size]) == header.crc


def assign(batch: memoryview, base_offset: int, leader_epoch: int) -> None:
    """Gives a batch its place in the log, in place. The CRC covers neither field."""
    _pack_base_offset(batch, 0, base_offset)
    _pack_epoch(batch, _EPOCH_AT, leader_epoch)


def set_log_append_time(batch: memoryview, timestamp_ms: int) -> None:
    """Gives all records of exactly one batch the broker's time, in place, with a new CRC."""
    attributes = _INT16.unpack_from(batch, ATTRIBUTES_AT)[0]
    _INT16.pack_into(batch, ATTRIBUTES_AT, attributes | LOG_APPEND_TIME_BIT)
    _INT64.pack_into(batch, MAX_TIMESTAMP_AT, timestamp_ms)
    _UINT32.pack_into(batch, CRC_AT, _crc32c(batch[CRC_FROM:]))


def set_max_timestamp(batch: memoryview, timestamp_ms: int) -> None:
    """Says in the header of exactly one batch what its largest timestamp is, with a new CRC."""
    _INT64.pack_into(batch, MAX_TIMESTAMP_AT, timestamp_ms)
    _UINT32.pack_into(batch, CRC_AT, _crc32c(batch[CRC_FROM:]))


def clear_log_append_time(batch: memoryview) -> None:
    """Takes a producer's LogAppendTime bit out of exactly one batch, in place, with a new CRC."""
    attributes = _INT16.unpack_from(batch, ATTRIBUTES_AT)[0]
    _INT16.pack_into(batch, ATTRIBUTES_AT, attributes & ~LOG_APPEND_TIME_BIT)
    _UINT32.pack_into(batch, CRC_AT, _crc32c(batch[CRC_FROM:]))


def _refusal(buffer: Buffer, at: int) -> CorruptBatch | TruncatedBatch | UnsupportedMagic:
    """Why there is no header of magic 2 at ``at``, judged in the order in which Kafka does."""
    present = len(buffer) - at
    if at < 0 or present <= MAGIC_AT:
        return TruncatedBatch(f"A record set of {max(present, 0)} bytes holds no batch.")
    length = _unpack_frame(buffer, at)[1]
    if length < LEGACY_MESSAGE_SIZE_MIN:
        return CorruptBatch(f"A batch of {length} bytes is less than the smallest possible one.")
    magic = buffer[at + MAGIC_AT]
    if magic > MAGIC:
        return CorruptBatch(f"Magic {magic} is not known.")
    if magic < MAGIC:
        return UnsupportedMagic(magic)
    if length + BATCH_FRAME_SIZE < BATCH_HEADER_SIZE:
        return CorruptBatch(f"A batch of {length} bytes is less than its header.")
    return TruncatedBatch(f"{present} bytes are less than the header of a batch.")
