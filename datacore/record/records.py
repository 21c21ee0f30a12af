"""The records inside a batch of magic 2: decoding, encoding, validating.

The data path does not come here: a batch is stored and served as its producer wrote it. Records are
decoded where a feature needs them (compaction, gateways, lookup by timestamp, down-conversion),
and encoded where the broker itself writes.

Everything that arrives is checked: a batch that decodes has exactly the records that its header
promises, and each field lies within its record. Kafka's counterparts are ``DefaultRecord`` and
``LogValidator`` (KIP-98).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

import msgspec
from fastcrc import crc32

from datacore.record.batch import (
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    TRANSACTIONAL_BIT,
)
from datacore.record.compression import (
    DECOMPRESSED_BYTES_MAX,
    Codec,
    codec_of,
    compress,
    decompress,
)
from datacore.record.errors import InvalidRecord, RecordFault, RefusedRecords, TruncatedBatch
from datacore.record.varint import INT64_MAX, INT64_MIN, read_varint, read_varlong, zigzag
from datacore.wire.batch_header import (
    BATCH_FRAME_SIZE,
    BATCH_HEADER,
    BATCH_HEADER_SIZE,
    CRC_AT,
    CRC_FROM,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

NO_TIMESTAMP: Final = -1

_UINT32: Final = Struct(">I")
_INT32_SPAN: Final = 1 << 31
_NULL: Final = b"\x01"
"""-1 as a varint: the length of what is null."""


class Record(msgspec.Struct, gc=False):
    """One record. A null key or value differs from an empty one; headers keep order and doubles.

    Header keys are UTF-8; bytes that are not survive as lone surrogates (``surrogateescape``), as
    Kafka stores them untouched, too.
    """

    offset: int = 0
    timestamp_ms: int = NO_TIMESTAMP
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes | None]] = msgspec.field(default_factory=list)


def decode_records(
    batch: Buffer, header: BatchHeader, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> list[Record]:
    """All records of a batch; arguments and errors as for ``iterate_records``."""
    return list(iterate_records(batch, header, max_bytes=max_bytes))


def iterate_records(
    batch: Buffer, header: BatchHeader, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> Iterator[Record]:
    """Decompresses a batch at once and yields its records one by one.

    Args:
        batch: The whole batch, whose CRC was checked when it was appended.
        header: Its header.
        max_bytes: The most that it may hold when decompressed.

    Raises:
        TruncatedBatch: The batch is not whole.
        DecompressionError: The codec is unknown, its data bad, or too large when decompressed.
        InvalidRecord: The records do not parse, or are not as many as the header says. Raised
            when the iteration comes to it.
    """
    return _records(records_bytes(batch, header, max_bytes=max_bytes), header, header.records_count)


def first_record_at_or_after(
    batch: Buffer,
    header: BatchHeader,
    timestamp_ms: int,
    *,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> Record | None:
    """The first record of a batch with that timestamp or a later one; None when there is none.

    Records before it are skipped undecoded, and a batch whose largest timestamp is smaller is not
    even decompressed. Arguments and errors as for ``iterate_records``.
    """
    if header.max_timestamp < timestamp_ms:
        return None
    data = records_bytes(batch, header, max_bytes=max_bytes)
    if header.has_log_append_time:
        return next(_records(data, header, header.records_count), None)
    wanted_delta = timestamp_ms - header.base_timestamp
    at = 0
    try:
        for _ in range(header.records_count):
            length, body_at = read_varint(data, at)
            if length < 0 or body_at + length > len(data):
                raise InvalidRecord(f"A record of {length} bytes; {len(data) - body_at} are left.")
            if read_varlong(data, body_at + 1)[0] >= wanted_delta:
                return next(_records(data[at : body_at + length], header, 1))
            at = body_at + length
    except IndexError:
        raise InvalidRecord("The records end before their batch's last one.") from None
    return None


def validate_records(
    batch: Buffer,
    header: BatchHeader,
    *,
    require_keys: bool,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> int:
    """Decodes a produced batch and refuses what Kafka refuses by its records.

    The broker's append does without this unless the topic is compacted, or limits how old a record
    may be: that the count is the last
    offset delta + 1 stands in the header, and a CRC that matches says that the records are what the
    producer wrote. Kafka decompresses and walks each produced batch. So a topic that is not
    compacted takes here, of a faulty producer, what Kafka refuses: records that do not parse, that
    are not as many as the header says, or (compressed ones) whose offset deltas are not 0, 1, 2 ...
    Its consumers meet them as their own decoding error. Kafka also sets a wrong maximum timestamp
    right, which here stands as the producer wrote it and misleads lookup and retention by time.

    Args:
        batch: The whole batch, CRC checked.
        header: Its header.
        require_keys: The topic is compacted.
        max_bytes: The most that it may hold when decompressed.

    Returns:
        The smallest timestamp; -1 where no record has one.

    Raises:
        TruncatedBatch: As for ``iterate_records``.
        DecompressionError: As for ``iterate_records``.
        InvalidRecord: As for ``iterate_records``; or count and offset deltas do not agree.
        RefusedRecords: A record has no key.
    """
    if header.records_count <= 0 or header.records_count != header.last_offset_delta + 1:
        raise InvalidRecord(
            f"A produced batch of {header.records_count} records "
            f"has the last offset delta {header.last_offset_delta}."
        )
    keyless: list[RecordFault] = []
    oldest_ms = INT64_MAX
    records = iterate_records(batch, header, max_bytes=max_bytes)
    for index, record in enumerate(records):
        if record.offset != header.base_offset + index:
            raise InvalidRecord(
                f"Record {index} of a produced batch has the offset delta "
                f"{record.offset - header.base_offset}."
            )
        if require_keys and record.key is None:
            keyless.append(RecordFault(index, "A compacted topic takes no record without a key."))
        if NO_TIMESTAMP != record.timestamp_ms < oldest_ms:
            oldest_ms = record.timestamp_ms
    if keyless:
        raise RefusedRecords(f"{len(keyless)} records were refused for want of a key.", keyless)
    return NO_TIMESTAMP if oldest_ms == INT64_MAX else oldest_ms


def encode_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    codec: Codec = Codec.NONE,
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    leader_epoch: int = -1,
    transactional: bool = False,
    control: bool = False,
    log_append_time_ms: int | None = None,
    delete_horizon_ms: int | None = None,
    offset_deltas: Sequence[int] | None = None,
    last_offset_delta: int | None = None,
    max_timestamp_ms: int | None = None,
) -> bytearray:
    """Writes one batch, with its CRC; writable, so that ``assign`` can patch it.

    Args:
        records: What goes in. Their own offsets do not count.
        base_offset: Offset of the first record.
        codec: How the records are compressed.
        level: The codec's level; None is its default.
        producer_id: -1: none.
        producer_epoch: -1: none.
        base_sequence: Sequence number of the first record; -1: none.
        leader_epoch: Epoch of the partition's leader; -1: not known.
        transactional: The batch belongs to a transaction.
        control: The batch holds a control record.
        log_append_time_ms: The time that all records get; None: each has its own.
        delete_horizon_ms: Time from which the batch's tombstones may go; None: not known yet.
        offset_deltas: Each record's offset relative to ``base_offset``, where compaction left
            holes; None: 0, 1, 2 ...
        last_offset_delta: Where the batch ends, when compaction took its last records; None: at
            the last record.
        max_timestamp_ms: The largest timestamp, where compaction took that record; None: that of
            the records.

    Raises:
        ValueError: There are no records, and ``last_offset_delta`` does not say why.
    """
    listed = records if isinstance(records, list) else list(records)
    deltas = range(len(listed)) if offset_deltas is None else offset_deltas
    if last_offset_delta is None:
        if not listed:
            raise ValueError("A batch without records needs a last offset delta.")
        last_offset_delta = deltas[-1]
    base_timestamp = listed[0].timestamp_ms if listed else NO_TIMESTAMP
    if max_timestamp_ms is None:
        max_timestamp_ms = max((record.timestamp_ms for record in listed), default=NO_TIMESTAMP)
    attributes = codec | TRANSACTIONAL_BIT * transactional | CONTROL_BIT * control
    if log_append_time_ms is not None:
        attributes |= LOG_APPEND_TIME_BIT
        max_timestamp_ms = log_append_time_ms
    if delete_horizon_ms is not None:
        attributes |= DELETE_HORIZON_BIT
        base_timestamp = delete_horizon_ms
    body = b"".join(
        _encode_record(record, record.timestamp_ms - base_timestamp, delta)
        for record, delta in zip(listed, deltas, strict=True)
    )
    if codec is not Codec.NONE:
        body = compress(body, codec, level)
    batch = bytearray(BATCH_HEADER_SIZE)
    BATCH_HEADER.pack_into(
        batch,
        0,
        base_offset,
        BATCH_HEADER_SIZE - BATCH_FRAME_SIZE + len(body),
        leader_epoch,
        MAGIC,
        0,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp_ms,
        producer_id,
        producer_epoch,
        base_sequence,
        len(listed),
    )
    batch += body
    _UINT32.pack_into(batch, CRC_AT, crc32.iscsi(memoryview(batch)[CRC_FROM:]))
    return batch


def _encode_record(record: Record, timestamp_delta: int, offset_delta: int) -> bytes:
    key = record.key
    value = record.value
    parts = [
        b"\x00",
        zigzag(timestamp_delta),
        zigzag(offset_delta),
        _NULL if key is None else zigzag(len(key)) + key,
        _NULL if value is None else zigzag(len(value)) + value,
        zigzag(len(record.headers)),
    ]
    for name, content in record.headers:
        name_bytes = name.encode("utf-8", "surrogateescape")
        parts += (zigzag(len(name_bytes)), name_bytes)
        parts.append(_NULL if content is None else zigzag(len(content)) + content)
    body = b"".join(parts)
    return zigzag(len(body)) + body


def records_bytes(
    batch: Buffer, header: BatchHeader, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> bytes:
    """The records of a batch as bytes, decompressed; errors as for ``iterate_records``."""
    if len(batch) < header.size:
        raise TruncatedBatch(f"{len(batch)} bytes of a batch of {header.size}.")
    view = memoryview(batch)[BATCH_HEADER_SIZE : header.size]
    return decompress(view, codec_of(header.codec), max_bytes=max_bytes)


def _records(data: bytes, header: BatchHeader, count: int) -> Iterator[Record]:
    """Yields ``count`` records that fill ``data`` exactly."""
    base_offset = header.base_offset
    base_timestamp = header.base_timestamp
    append_time = header.max_timestamp if header.has_log_append_time else None
    end = len(data)
    at = 0
    if count < 0:
        raise InvalidRecord(f"A batch of {count} records.")
    if not -_INT32_SPAN <= base_offset <= INT64_MAX - _INT32_SPAN:
        raise InvalidRecord("The batch's offsets take more than 64 bits.")
    try:
        for _ in range(count):
            size, at = read_varint(data, at)
            stop = at + size
            if size < 0 or stop > end:
                raise InvalidRecord(f"A record of {size} bytes; {end - at} are left.")
            at += 1  # the record's attributes: no bit of them is in use
            timestamp_delta, at = read_varlong(data, at)
            offset_delta, at = read_varint(data, at)
            key, at = _field(data, at)
            value, at = _field(data, at)
            headers: list[tuple[str, bytes | None]] = []
            if data[at] == 0:
                at += 1
            else:
                at = _read_headers(data, at, stop, headers)
            if at != stop:
                raise InvalidRecord(f"A record of {size} bytes ends {at - stop} bytes off.")
            timestamp = append_time
            if timestamp is None:
                timestamp = base_timestamp + timestamp_delta
                if not INT64_MIN <= timestamp <= INT64_MAX:
                    raise InvalidRecord("A record's timestamp takes more than 64 bits.")
            yield Record(base_offset + offset_delta, timestamp, key, value, headers)
    except IndexError:
        raise InvalidRecord("The records end before their batch's last one.") from None
    if at != end:
        raise InvalidRecord(f"{end - at} bytes are left behind the batch's last record.")


def _field(data: bytes, at: int) -> tuple[bytes | None, int]:
    """The nullable bytes at ``at``, and where they end; behind the data's end, if they lie so."""
    length, at = read_varint(data, at)
    if length < 0:
        return None, at
    stop = at + length
    return data[at:stop], stop


def _read_headers(data: bytes, at: int, stop: int, headers: list[tuple[str, bytes | None]]) -> int:
    """Reads the headers at ``at`` and returns where they end."""
    count, at = read_varint(data, at)
    if count < 0:
        raise InvalidRecord(f"A record with {count} headers.")
    for _ in range(count):
        name, at = _field(data, at)
        if name is None:
            raise InvalidRecord("A record header has no key.")
        content, at = _field(data, at)
        if at > stop:
            raise InvalidRecord("A record's headers are longer than the record.")
        headers.append((name.decode("utf-8", "surrogateescape"), content))
    return at
