import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.record.batch import parse_header, set_log_append_time, verify_crc
from datacore.record.compression import Codec, compress
from datacore.record.errors import (
    CorruptBatch,
    DecompressedTooLarge,
    DecompressionError,
    InvalidRecord,
    InvalidTimestamp,
    RecordError,
    UnsupportedCodec,
)
from datacore.record.legacy import (
    down_convert,
    encode_message,
    parse_message_set,
    up_convert,
)
from datacore.record.records import NO_TIMESTAMP, Record, decode_records, encode_batch
from tests.record import kafka_python

NOW_MS = 1_700_000_000_000
LEGACY_CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4]
RECORDS = [
    Record(0, NOW_MS + 5, b"key", b"value"),
    Record(1, NOW_MS, None, b"without key"),
    Record(2, NOW_MS + 9, b"tombstone", None),
    Record(3, NOW_MS + 1, b"", b""),
]

record_lists = st.lists(
    st.builds(
        Record,
        timestamp_ms=st.integers(0, 1 << 44),
        key=st.none() | st.binary(max_size=100),
        value=st.none() | st.binary(max_size=2000),
    ),
    min_size=1,
    max_size=10,
)


def expected(records: list[Record], magic: int, first_offset: int = 0) -> list[Record]:
    return [
        Record(
            first_offset + index,
            record.timestamp_ms if magic else NO_TIMESTAMP,
            record.key,
            record.value,
        )
        for index, record in enumerate(records)
    ]


def rows(records: list[Record], magic: int) -> list[kafka_python.Row]:
    return [
        (record.offset, record.timestamp_ms if magic else None, record.key, record.value, [])
        for record in records
    ]


def wrapper(
    inner: bytes, codec: Codec, *, magic: int = 1, offset: int = 0, attributes: int = 0
) -> bytes:
    content = Record(offset, NOW_MS, value=compress(inner, codec))
    return encode_message(content, magic, attributes=codec | attributes)


# --- reading


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", LEGACY_CODECS)
@given(records=record_lists)
def test_message_sets_of_kafka_python_are_read(
    magic: int, codec: Codec, records: list[Record]
) -> None:
    data = kafka_python.build_message_set(records, codec, magic)
    parsed = parse_message_set(memoryview(data))
    assert (parsed.magic, parsed.codec, parsed.has_log_append_time) == (magic, codec, False)
    # A producer's wrapper of magic 1 has offset 0, which is the offset of its last message.
    first_offset = 1 - len(records) if magic and codec else 0
    assert parsed.records == expected(records, magic, first_offset)


def test_wrapper_of_magic_1_gives_its_offset_to_its_last_message() -> None:
    inner = b"".join(encode_message(record, 1) for record in RECORDS)
    parsed = parse_message_set(wrapper(inner, Codec.GZIP, offset=103))
    assert [record.offset for record in parsed.records] == [100, 101, 102, 103]


def test_wrapper_of_magic_0_leaves_offsets_as_they_are() -> None:
    inner = b"".join(encode_message(record, 0) for record in RECORDS)
    parsed = parse_message_set(wrapper(inner, Codec.GZIP, magic=0, offset=103))
    assert [record.offset for record in parsed.records] == [0, 1, 2, 3]


def test_wrapper_with_log_append_time_gives_its_timestamp_to_all() -> None:
    inner = b"".join(encode_message(record, 1) for record in RECORDS)
    parsed = parse_message_set(wrapper(inner, Codec.GZIP, attributes=8))
    assert parsed.has_log_append_time
    assert {record.timestamp_ms for record in parsed.records} == {NOW_MS}


def test_cut_last_message_is_left_out() -> None:
    data = b"".join(encode_message(record, 1) for record in RECORDS[:2])
    for cut in range(1, len(encode_message(RECORDS[1], 1))):
        assert parse_message_set(data[:-cut]).records == RECORDS[:1]


@pytest.mark.parametrize("data", [b"", b"\x00" * 16, encode_message(RECORDS[0], 1)[:-1]])
def test_set_without_a_whole_message_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        parse_message_set(data)


@pytest.mark.parametrize("size", [-1, 0, 13])
def test_impossible_size_is_corrupt(size: int) -> None:
    data = encode_message(RECORDS[0], 1)
    with pytest.raises(CorruptBatch):
        parse_message_set(data[:8] + struct.pack(">i", size) + data[12:])


@pytest.mark.parametrize("magic", [0, 1])
def test_every_flipped_bit_behind_the_crc_is_noticed(magic: int) -> None:
    data = bytearray(encode_message(RECORDS[0], magic))
    for at in range(12, len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            with pytest.raises(RecordError):
                parse_message_set(data)
            data[at] ^= 1 << bit


def test_flipped_bit_in_an_inner_message_is_noticed() -> None:
    inner = bytearray(encode_message(RECORDS[0], 1))
    inner[-1] ^= 1
    with pytest.raises(CorruptBatch):
        parse_message_set(wrapper(bytes(inner), Codec.GZIP))


def message_of(body: bytes) -> bytes:
    frame = struct.pack(">qi", 0, 4 + len(body))
    return frame + struct.pack(">I", zlib.crc32(body)) + body


PLAIN = encode_message(RECORDS[0], 1)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PLAIN + encode_message(RECORDS[0], 0), id="two magics"),
        pytest.param(PLAIN + bytes(encode_batch(RECORDS)), id="magic 1 and 2"),
        pytest.param(PLAIN + wrapper(PLAIN, Codec.GZIP), id="message and wrapper"),
        pytest.param(wrapper(PLAIN, Codec.GZIP) * 2, id="two wrappers"),
        pytest.param(wrapper(wrapper(PLAIN, Codec.GZIP), Codec.GZIP), id="wrapper in a wrapper"),
        pytest.param(wrapper(PLAIN, Codec.GZIP, magic=0), id="inner message of another magic"),
        pytest.param(wrapper(b"", Codec.GZIP), id="empty wrapper"),
        pytest.param(encode_message(Record(), 1, attributes=1), id="wrapper of null"),
        pytest.param(message_of(b"\x00\x00\x00\x00\x00\x63" + bytes(4)), id="key behind the end"),
        pytest.param(message_of(b"\x00\x00" + bytes(6) + b"\x00\x63"), id="value behind the end"),
        pytest.param(message_of(b"\x00\x00" + bytes(9)), id="bytes behind the value"),
        pytest.param(message_of(b"\x00\x00\x00\x00\x00\x04" + bytes(6)), id="no value"),
    ],
)
def test_messages_that_do_not_fit_together_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        parse_message_set(data)


def test_zstd_and_unknown_codecs_are_refused() -> None:
    with pytest.raises(UnsupportedCodec):
        parse_message_set(wrapper(PLAIN, Codec.ZSTD))
    with pytest.raises(DecompressionError):
        parse_message_set(encode_message(RECORDS[0], 1, attributes=5))


def test_wrapped_bomb_is_refused() -> None:
    data = wrapper(encode_message(Record(value=bytes(1 << 20)), 1), Codec.GZIP)
    with pytest.raises(DecompressedTooLarge):
        parse_message_set(data, max_bytes=1 << 20)


def test_lz4_of_magic_0_that_ends_in_its_header_is_an_error() -> None:
    content = compress(PLAIN, Codec.LZ4)
    for size in range(7):
        message = encode_message(Record(value=content[:size]), 0, attributes=Codec.LZ4)
        with pytest.raises(DecompressionError):
            parse_message_set(message)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_set_or_a_record_error(data: bytes) -> None:
    with contextlib.suppress(RecordError):
        parse_message_set(data)


@pytest.mark.parametrize("codec", LEGACY_CODECS)
@given(data=st.data())
def test_corrupted_contents_are_a_set_or_a_record_error(codec: Codec, data: st.DataObject) -> None:
    inner = bytearray(b"".join(encode_message(record, 0) for record in RECORDS))
    inner[data.draw(st.integers(0, len(inner) - 1))] = data.draw(st.integers(0, 255))
    content = bytearray(compress(inner, codec))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RecordError):
        up_convert(encode_message(Record(value=bytes(content)), 0, attributes=codec))


# --- up


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", LEGACY_CODECS)
@given(records=record_lists)
def test_produced_sets_become_one_batch_from_offset_0(
    magic: int, codec: Codec, records: list[Record]
) -> None:
    data = kafka_python.build_message_set(records, codec, magic)
    batch = up_convert(data)
    header = parse_header(batch)
    assert verify_crc(batch, header)
    assert (header.size, header.base_offset, header.codec) == (len(batch), 0, codec)
    assert not header.has_log_append_time
    assert decode_records(batch, header) == expected(records, magic)


def test_offsets_of_a_produced_set_do_not_count() -> None:
    data = encode_message(RECORDS[0], 1, offset=77) + encode_message(RECORDS[1], 1, offset=5)
    batch = up_convert(data)
    assert decode_records(batch, parse_header(batch)) == RECORDS[:2]


def test_up_conversion_obeys_the_topic() -> None:
    data = b"".join(encode_message(record, 1) for record in RECORDS)
    batch = up_convert(data, log_append_time_ms=NOW_MS + 500, codec=Codec.ZSTD)
    header = parse_header(batch)
    assert header.codec == Codec.ZSTD
    assert header.has_log_append_time
    assert {record.timestamp_ms for record in decode_records(batch, header)} == {NOW_MS + 500}


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_producer_with_log_append_time_is_believed_by_create_time_topics_only(
    codec: Codec,
) -> None:
    message = encode_message(RECORDS[0], 1, attributes=0 if codec else 8)
    data = wrapper(message, codec, attributes=8) if codec else message
    assert not parse_header(up_convert(data)).has_log_append_time
    with pytest.raises(InvalidTimestamp):
        up_convert(data, log_append_time_ms=NOW_MS)


# --- down


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", LEGACY_CODECS)
@given(records=record_lists)
def test_kafka_python_reads_what_was_converted_down(
    magic: int, codec: Codec, records: list[Record]
) -> None:
    batches = encode_batch(records, base_offset=1000, codec=codec)
    data = down_convert(memoryview(batches), magic)
    assert kafka_python.read(data) == rows(expected(records, 1, 1000), magic)


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", LEGACY_CODECS)
def test_conversion_down_and_up_is_the_same_batch(magic: int, codec: Codec) -> None:
    batch = encode_batch(expected(RECORDS, magic), codec=codec)
    assert up_convert(down_convert(batch, magic)) == batch


def test_headers_and_control_batches_are_left_out() -> None:
    with_headers = encode_batch([Record(0, NOW_MS, b"k", b"v", [("h", b"x")])])
    control = encode_batch([Record(0, NOW_MS, bytes(4), bytes(6))], base_offset=1, control=True)
    after = encode_batch([Record(0, NOW_MS, b"k", b"v")], base_offset=2)
    data = down_convert(with_headers + control + after, 1)
    assert kafka_python.read(data) == [(at, NOW_MS, b"k", b"v", []) for at in (0, 2)]
    assert down_convert(control, 1) == b""


@pytest.mark.parametrize("codec", LEGACY_CODECS)
def test_holes_in_offsets_stay(codec: Codec) -> None:
    batch = encode_batch(RECORDS[:2], base_offset=10, codec=codec, offset_deltas=[3, 90])
    for magic in (0, 1):
        data = down_convert(batch, magic)
        assert [row[0] for row in kafka_python.read(data)] == [13, 100]


def test_log_append_time_stays_in_magic_1() -> None:
    for codec in LEGACY_CODECS:
        batch = encode_batch(RECORDS, codec=codec)
        set_log_append_time(memoryview(batch), NOW_MS + 700)
        parsed = parse_message_set(down_convert(batch, 1))
        assert parsed.has_log_append_time
        assert {record.timestamp_ms for record in parsed.records} == {NOW_MS + 700}
        assert not parse_message_set(down_convert(batch, 0)).has_log_append_time


def test_records_before_the_first_offset_are_left_out_of_plain_batches() -> None:
    plain = down_convert(encode_batch(RECORDS, base_offset=10), 1, first_offset=12)
    assert [row[0] for row in kafka_python.read(plain)] == [12, 13]
    wrapped = encode_batch(RECORDS, base_offset=10, codec=Codec.GZIP)
    data = down_convert(wrapped, 1, first_offset=12)
    assert [row[0] for row in kafka_python.read(data)] == [10, 11, 12, 13]


def test_cut_last_batch_is_left_out_when_converting_down() -> None:
    batch = encode_batch(RECORDS)
    assert down_convert(batch + batch[:-1], 1) == down_convert(batch, 1)


def test_batch_that_compaction_emptied_leaves_nothing() -> None:
    for codec in (Codec.NONE, Codec.GZIP):
        assert down_convert(encode_batch([], codec=codec, last_offset_delta=3), 1) == b""


def test_zstd_is_refused_once_it_is_the_next_to_read() -> None:
    plain = encode_batch(RECORDS)
    zstd = encode_batch(RECORDS, base_offset=4, codec=Codec.ZSTD)
    assert down_convert(plain + zstd + plain, 1) == down_convert(plain, 1)
    with pytest.raises(UnsupportedCodec):
        down_convert(zstd + plain, 1)


def test_lz4_of_magic_0_has_the_header_checksum_that_kafka_wrote_then() -> None:
    # Flags 60, blocks 40 and the checksum, as kafka-clients 3.9.1 writes them for either magic.
    batch = encode_batch(RECORDS, codec=Codec.LZ4)
    assert down_convert(batch, 0)[26:33] == bytes.fromhex("04224d1860401a")
    assert down_convert(batch, 1)[34:41] == bytes.fromhex("04224d18604082")
