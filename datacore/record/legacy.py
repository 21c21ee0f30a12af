"""Message sets of magic 0 and 1: what clients before Kafka 0.11, and some since, send and read.

A set is a sequence of messages. A compressed set is one message, the wrapper, whose value is the
compressed inner set; the wrapper's offset is that of its last inner message. Inner offsets are
absolute in magic 0 and relative in magic 1, which also has timestamps (KIP-31, KIP-32).

The log stores magic 2 only: what comes in is converted up, and what an old Fetch version takes is
converted down, both as Kafka 3.9 does (4.0 dropped it, KIP-724).

====  ================  ===========================================
byte  field             type
====  ================  ===========================================
0     offset            int64
8     size              int32, bytes that follow
12    crc               uint32, CRC32 of everything from magic on
16    magic             int8
17    attributes        int8
18    timestamp         int64, milliseconds; magic 1 only
...   key, value        int32 length (-1: null), bytes
====  ================  ===========================================
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

import msgspec
from fastcrc import crc32

from datacore.record import legacy_lz4
from datacore.record.batch import (
    CODEC_MASK,
    LEGACY_MESSAGE_SIZE_MIN,
    LOG_APPEND_TIME_BIT,
    iterate_headers,
)
from datacore.record.compression import (
    DECOMPRESSED_BYTES_MAX,
    Codec,
    codec_of,
    compress,
    decompress,
)
from datacore.record.errors import CorruptBatch, InvalidRecord, InvalidTimestamp, UnsupportedCodec
from datacore.record.records import NO_TIMESTAMP, Record, encode_batch, iterate_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

_FRAME: Final = Struct(">qi")
_CRC: Final = Struct(">I")
_MAGIC_AND_ATTRIBUTES: Final = Struct(">bb")
_TIMESTAMP: Final = Struct(">q")
_LENGTH: Final = Struct(">i")
_MAGIC_AT: Final = 16
_NULL: Final = _LENGTH.pack(-1)


class MessageSet(msgspec.Struct, gc=False):
    """A decoded set: inner messages in place of wrappers, offsets absolute."""

    magic: int
    codec: Codec
    records: list[Record]
    """Without headers, and without timestamps in magic 0."""
    has_log_append_time: bool
    """A message or the wrapper says that a broker has set its timestamp."""


class _Message(msgspec.Struct, gc=False):
    offset: int
    magic: int
    attributes: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


def parse_message_set(
    message_set: Buffer, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> MessageSet:
    """Decodes the whole messages of a set; a cut last one is left out, as Kafka does.

    Args:
        message_set: One or more messages of magic 0 or 1.
        max_bytes: The most that a compressed set may hold.

    Raises:
        CorruptBatch: A size, magic or CRC is wrong, inside a wrapper or outside.
        InvalidRecord: There is no whole message, or they do not agree with each other: several
            magics, a wrapper beside other messages, a wrapper in a wrapper, or one without content.
        UnsupportedCodec: zstd, which needs magic 2.
        DecompressionError: The codec is unknown, its data bad, or too large when decompressed.
    """
    messages = list(_messages(memoryview(message_set)))
    if not messages:
        raise InvalidRecord("A message set without a whole message.")
    magic = messages[0].magic
    wrapper = None
    for message in messages:
        if message.magic != magic:
            raise InvalidRecord("A message set mixes several magics.")
        if message.attributes & CODEC_MASK:
            wrapper = message
    if wrapper is None:
        has_append_time = any(message.attributes & LOG_APPEND_TIME_BIT for message in messages)
        records = [_record(message) for message in messages]
        return MessageSet(magic, Codec.NONE, records, has_append_time)
    if len(messages) > 1:
        raise InvalidRecord("A compressed message stands beside others.")
    codec = codec_of(wrapper.attributes & CODEC_MASK)
    has_append_time = wrapper.attributes & LOG_APPEND_TIME_BIT != 0
    return MessageSet(magic, codec, _unwrap(wrapper, codec, max_bytes), has_append_time)


def up_convert(
    message_set: Buffer,
    *,
    log_append_time_ms: int | None = None,
    codec: Codec | None = None,
    level: int | None = None,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> bytearray:
    """Converts a produced set to one batch of magic 2 with offsets from 0 on.

    The set's own offsets do not count; messages of magic 0 stay without a timestamp. A topic of
    CreateTime takes what a set with LogAppendTime says as its own; one of LogAppendTime refuses it,
    as the producer would have set what only the broker may.

    Args:
        message_set: What the producer sent.
        log_append_time_ms: The broker's time, if that is what the topic stores; None: CreateTime.
        codec: How the batch is compressed; None: like the set.
        level: The codec's level; None is its default.
        max_bytes: The most that a compressed set may hold.

    Raises:
        InvalidTimestamp: The set has LogAppendTime, and so has the topic.
        RecordError: As for ``parse_message_set``.
    """
    parsed = parse_message_set(message_set, max_bytes=max_bytes)
    if parsed.has_log_append_time and log_append_time_ms is not None:
        raise InvalidTimestamp("A producer may not set LogAppendTime.")
    return encode_batch(
        parsed.records,
        codec=parsed.codec if codec is None else codec,
        level=level,
        log_append_time_ms=log_append_time_ms,
    )


def down_convert(
    batches: Buffer,
    to_magic: int,
    *,
    first_offset: int = 0,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> bytes:
    """Converts whole batches of magic 2 to messages that Fetch v0-1 (magic 0) or v2-3 (1) may hold.

    Offsets stay; record headers and control batches are left out; a compressed batch becomes one
    wrapper. The conversion ends before a batch of zstd, unless it is the first: a client gets what
    it can read, and then the error.

    Args:
        batches: Stored batches; a cut last one is left out.
        to_magic: 0 or 1.
        first_offset: Uncompressed records below it are left out.
        max_bytes: The most that one compressed batch may hold.

    Raises:
        UnsupportedCodec: The first batch is compressed by zstd, which needs magic 2.
        RecordError: A stored batch does not decode.
    """
    view = memoryview(batches)
    parts: list[bytes] = []
    for at, header in iterate_headers(view):
        if header.is_control:
            continue
        if header.codec == Codec.ZSTD:
            if parts:
                break
            raise UnsupportedCodec("Message sets below magic 2 know no zstd.")
        records = iterate_records(view[at : at + header.size], header, max_bytes=max_bytes)
        if header.codec == Codec.NONE:
            kept = [record for record in records if record.offset >= first_offset]
            parts.extend(_messages_of(kept, header, to_magic))
        elif wrapped := list(records):
            parts.append(_wrap(wrapped, header, to_magic))
    return b"".join(parts)


def encode_message(
    record: Record, magic: int, *, offset: int | None = None, attributes: int = 0
) -> bytes:
    """Writes one message; its headers, and its timestamp in magic 0, are left out.

    Args:
        record: What the message holds.
        magic: 0 or 1.
        offset: Stands for the record's own.
        attributes: Codec and timestamp type.
    """
    key = record.key
    value = record.value
    body = b"".join(
        (
            _MAGIC_AND_ATTRIBUTES.pack(magic, attributes),
            _TIMESTAMP.pack(record.timestamp_ms) if magic else b"",
            _NULL if key is None else _LENGTH.pack(len(key)) + key,
            _NULL if value is None else _LENGTH.pack(len(value)) + value,
        )
    )
    frame = _FRAME.pack(record.offset if offset is None else offset, _CRC.size + len(body))
    return frame + _CRC.pack(crc32.iso_hdlc(body)) + body


def _messages(view: memoryview) -> Iterator[_Message]:
    """Yields the whole messages of a set, wrappers as they are."""
    at = 0
    while len(view) - at > _MAGIC_AT:
        offset, size = _FRAME.unpack_from(view, at)
        if size < LEGACY_MESSAGE_SIZE_MIN:
            raise CorruptBatch(f"A message of {size} bytes is less than the smallest possible one.")
        end = at + _FRAME.size + size
        if end > len(view):
            return
        yield _message(view[at:end], offset)
        at = end


def _message(view: memoryview, offset: int) -> _Message:
    magic, attributes = _MAGIC_AND_ATTRIBUTES.unpack_from(view, _MAGIC_AT)
    if not 0 <= magic <= 2:
        raise CorruptBatch(f"Magic {magic} is not known.")
    if magic == 2:
        raise InvalidRecord("A batch of magic 2 in a message set.")
    at = _MAGIC_AT + _MAGIC_AND_ATTRIBUTES.size
    timestamp_ms = NO_TIMESTAMP
    if crc32.iso_hdlc(view[_MAGIC_AT:]) != _CRC.unpack_from(view, _FRAME.size)[0]:
        raise CorruptBatch("A message's CRC does not match.")
    if magic == 1:
        if len(view) - _FRAME.size < LEGACY_MESSAGE_SIZE_MIN + _TIMESTAMP.size:
            raise CorruptBatch("A message of magic 1 is less than the smallest possible one.")
        timestamp_ms = _TIMESTAMP.unpack_from(view, at)[0]
        at += _TIMESTAMP.size
    key, at = _field(view, at)
    value, at = _field(view, at)
    if at != len(view):
        raise InvalidRecord(f"{len(view) - at} bytes are left behind a message's value.")
    return _Message(offset, magic, attributes, timestamp_ms, key, value)


def _field(view: memoryview, at: int) -> tuple[bytes | None, int]:
    if at + _LENGTH.size > len(view):
        raise InvalidRecord("A message ends before its value does.")
    length: int = _LENGTH.unpack_from(view, at)[0]
    at += _LENGTH.size
    if length < 0:
        return None, at
    if at + length > len(view):
        raise InvalidRecord("A message ends before its value does.")
    return bytes(view[at : at + length]), at + length


def _record(message: _Message) -> Record:
    return Record(message.offset, message.timestamp_ms, message.key, message.value)


def _unwrap(wrapper: _Message, codec: Codec, max_bytes: int) -> list[Record]:
    if codec is Codec.ZSTD:
        raise UnsupportedCodec("Message sets below magic 2 know no zstd.")
    content = wrapper.value
    if content is None:
        raise InvalidRecord("A compressed message without content.")
    if codec is Codec.LZ4 and wrapper.magic == 0:
        content = legacy_lz4.with_right_checksum(content)
    records: list[Record] = []
    for message in _messages(memoryview(decompress(content, codec, max_bytes=max_bytes))):
        if message.magic != wrapper.magic or message.attributes & CODEC_MASK:
            raise InvalidRecord("An inner message is compressed, or of another magic.")
        records.append(_record(message))
    if not records:
        raise InvalidRecord("A compressed message without inner messages.")
    if wrapper.magic == 1:
        first_offset = wrapper.offset - records[-1].offset
        for record in records:
            record.offset += first_offset
            if wrapper.attributes & LOG_APPEND_TIME_BIT:
                record.timestamp_ms = wrapper.timestamp_ms
    return records


def _messages_of(records: list[Record], header: BatchHeader, magic: int) -> Iterator[bytes]:
    attributes = header.attributes & LOG_APPEND_TIME_BIT if magic else 0
    for record in records:
        yield encode_message(record, magic, attributes=attributes)


def _wrap(records: list[Record], header: BatchHeader, magic: int) -> bytes:
    """One wrapper of what a compressed batch held."""
    codec = codec_of(header.codec)
    first_offset = records[0].offset if magic else 0
    time_bit = header.attributes & LOG_APPEND_TIME_BIT if magic else 0
    inner = b"".join(
        encode_message(record, magic, offset=record.offset - first_offset, attributes=time_bit)
        for record in records
    )
    content = compress(inner, codec)
    if codec is Codec.LZ4 and magic == 0:
        content = legacy_lz4.with_wrong_checksum(content)
    timestamp_ms = max(record.timestamp_ms for record in records)
    wrapper = Record(records[-1].offset, timestamp_ms, value=content)
    return encode_message(wrapper, magic, attributes=codec | time_bit)
