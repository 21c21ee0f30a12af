"""Reads a segment file batch by batch, by the layouts and not by the broker's codecs.

Rules:

- A file is read from its start, one batch at a time; nothing is assumed of its name or its indexes.
- A batch with a wrong CRC, or whose records do not parse, is shown with what is wrong, and reading
  goes on behind it. Where no whole batch follows, reading ends with a ``Tail`` that says why.
- Files of Apache Kafka are read too, magic 0 and 1 included.

Kafka's counterpart: ``DumpLogSegments``.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from construct import ConstructError
from fastcrc import crc32

from datacore.cli import layouts
from datacore.cli.segment import Found, StoredBatch, StoredRecord, Tail
from datacore.record.compression import Codec, codec_of, decompress
from datacore.record.errors import RecordError
from datacore.record.legacy_lz4 import with_right_checksum

_PROBE_BYTES: Final = layouts.ENTRY.sizeof()
_ENTRY_SIZE_MIN: Final = 14
_MAGIC_MAX: Final = 2
_WINDOW_BYTES: Final = 1 << 20


def read_segment(path: Path, *, records: bool) -> Iterator[Found]:
    """Yields what a segment file holds, in order.

    Args:
        path: The ``.log`` file.
        records: Whether to decompress and read the records, too.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        position = 0
        while position < end:
            found = _read_entry(file, position, end, records=records)
            yield found
            if isinstance(found, Tail):
                return
            position += found.size_bytes


def _read_entry(file: BinaryIO, position: int, end: int, *, records: bool) -> Found:
    left = end - position
    file.seek(position)
    probe = file.read(_PROBE_BYTES)
    if not any(probe):
        return Tail(position, left, _reason_of_zeros(file, position))
    if len(probe) < _PROBE_BYTES:
        return Tail(position, left, "torn: less than a batch's first fields")
    entry = layouts.ENTRY.parse(probe)
    size_bytes = layouts.ENTRY_SIZE_FROM + entry.size
    if entry.size < _ENTRY_SIZE_MIN or not 0 <= entry.magic <= _MAGIC_MAX:
        reason = f"no batch: a size of {entry.size} bytes and magic {entry.magic}"
        return Tail(position, left, reason)
    if size_bytes > left:
        return Tail(position, left, f"torn: {left} bytes of a batch of {size_bytes}")
    file.seek(position)
    content = file.read(size_bytes)
    read = _read_batch if entry.magic == _MAGIC_MAX else _read_message
    try:
        return read(content, position, records=records)
    except ConstructError as error:
        return Tail(position, left, f"no batch: {_sentence(error)}")


def _reason_of_zeros(file: BinaryIO, position: int) -> str:
    """Room that is set aside for a file that is being written is zeros up to its end."""
    file.seek(position)
    while window := file.read(_WINDOW_BYTES):
        zeros = len(window) - len(window.lstrip(b"\0"))
        position += zeros
        if zeros < len(window):
            return f"zeros, and something else from position {position} on: damage"
    return "zeros up to the end: room that was never written"


def _read_batch(content: bytes, position: int, *, records: bool) -> StoredBatch:
    batch = layouts.RECORD_BATCH.parse(content)
    attributes = batch.attributes
    found = StoredBatch(
        position=position,
        size_bytes=len(content),
        magic=batch.magic,
        base_offset=batch.base_offset,
        last_offset=batch.base_offset + batch.last_offset_delta,
        codec=_codec_name(attributes.codec),
        crc=batch.crc,
        is_crc_valid=crc32.iscsi(content[layouts.CRC32C_FROM :]) == batch.crc,
        timestamp_type=_timestamp_type(attributes),
        max_timestamp_ms=batch.max_timestamp,
        record_count=batch.record_count,
        partition_leader_epoch=batch.partition_leader_epoch,
        producer_id=batch.producer_id,
        producer_epoch=batch.producer_epoch,
        base_sequence=batch.base_sequence,
        is_transactional=attributes.is_transactional,
        is_control=attributes.is_control,
        delete_horizon_ms=batch.base_timestamp if attributes.has_delete_horizon else None,
    )
    if not records:
        return found
    try:
        return msgspec.structs.replace(found, records=_records_of_batch(batch))
    except (ConstructError, RecordError) as error:
        return msgspec.structs.replace(found, problem=_sentence(error))


def _records_of_batch(batch: Any) -> tuple[StoredRecord, ...]:
    content = decompress(batch.records, codec_of(batch.attributes.codec))
    append_time = batch.max_timestamp if batch.attributes.is_log_append_time else None
    return tuple(
        StoredRecord(
            offset=batch.base_offset + record.offset_delta,
            timestamp_ms=(
                batch.base_timestamp + record.timestamp_delta
                if append_time is None
                else append_time
            ),
            key=record.key,
            value=record.value,
            headers=tuple((header.key, header.value) for header in record.headers),
        )
        for record in layouts.RECORDS.parse(content)
    )


def _read_message(content: bytes, position: int, *, records: bool) -> StoredBatch:
    message = layouts.MESSAGE.parse(content)
    is_compressed = message.attributes.codec != Codec.NONE
    found = StoredBatch(
        position=position,
        size_bytes=len(content),
        magic=message.magic,
        base_offset=None if is_compressed else message.offset,
        last_offset=message.offset,
        codec=_codec_name(message.attributes.codec),
        crc=message.crc,
        is_crc_valid=zlib.crc32(content[layouts.CRC32_FROM :]) == message.crc,
        timestamp_type="none" if message.magic == 0 else _timestamp_type(message.attributes),
        max_timestamp_ms=_timestamp(message),
        record_count=None if is_compressed else 1,
    )
    if not records:
        return found
    try:
        inside = _records_of_message(message)
    except (ConstructError, RecordError) as error:
        return msgspec.structs.replace(found, problem=_sentence(error))
    return msgspec.structs.replace(
        found,
        records=inside,
        record_count=len(inside),
        base_offset=inside[0].offset if inside else None,
    )


def _records_of_message(message: Any) -> tuple[StoredRecord, ...]:
    """The message, or what a wrapper holds, whose inner offsets of magic 1 begin with 0."""
    codec = codec_of(message.attributes.codec)
    if codec is Codec.NONE:
        return (_record_of_message(message, 0, None),)
    content = message.value or b""
    if codec is Codec.LZ4 and message.magic == 0:
        content = with_right_checksum(content)
    inside = layouts.MESSAGE_SET.parse(decompress(content, codec))
    if not inside:
        return ()
    first = message.offset - inside[-1].offset if message.magic == 1 else 0
    append_time = message.timestamp if message.attributes.is_log_append_time else None
    return tuple(_record_of_message(inner, first, append_time) for inner in inside)


def _record_of_message(message: Any, first: int, append_time: int | None) -> StoredRecord:
    timestamp_ms = _timestamp(message) if append_time is None else append_time
    return StoredRecord(first + message.offset, timestamp_ms, message.key, message.value, ())


def _timestamp(message: Any) -> int:
    return -1 if message.timestamp is None else int(message.timestamp)


def _timestamp_type(attributes: Any) -> str:
    return "LogAppendTime" if attributes.is_log_append_time else "CreateTime"


def _codec_name(number: int) -> str:
    return Codec(number).name.lower() if number in {*Codec} else f"unknown ({number})"


def _sentence(error: Exception) -> str:
    """The last line of an error; construct puts the place inside the layout on the first."""
    return (str(error).splitlines() or [type(error).__name__])[-1]
