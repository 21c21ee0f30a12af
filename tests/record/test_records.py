import struct
from collections.abc import Sequence

import pytest
from fastcrc import crc32
from hypothesis import given
from hypothesis import strategies as st

from datacore.record.batch import parse_header, verify_crc
from datacore.record.compression import Codec
from datacore.record.errors import (
    DecompressedTooLarge,
    DecompressionError,
    InvalidRecord,
    RecordError,
    RefusedRecords,
    TruncatedBatch,
)
from datacore.record.records import (
    Record,
    decode_records,
    encode_batch,
    first_record_at_or_after,
    iterate_records,
    validate_records,
)
from datacore.record.varint import zigzag
from tests.record import kafka_python

NOW_MS = 1_700_000_000_000
CODECS = list(Codec)

header_lists = st.lists(
    st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=4
)
record_lists = st.lists(
    st.builds(
        Record,
        timestamp_ms=st.integers(-1, 1 << 44),
        key=st.none() | st.binary(max_size=200),
        value=st.none() | st.binary(max_size=5000),
        headers=header_lists,
    ),
    min_size=1,
    max_size=20,
)


def numbered(records: Sequence[Record], base_offset: int = 0) -> list[Record]:
    for index, record in enumerate(records):
        record.offset = base_offset + index
    return list(records)


def row(record: Record) -> kafka_python.Row:
    return (record.offset, record.timestamp_ms, record.key, record.value, record.headers)


def batch_of_body(body: bytes, count: int = 1, attributes: int = 0) -> bytes:
    """A batch whose header and CRC are right, around any body."""
    batch = encode_batch([Record()], last_offset_delta=count - 1)[:61] + body
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">h", batch, 21, attributes)
    struct.pack_into(">i", batch, 57, count)
    struct.pack_into(">I", batch, 17, crc32.iscsi(bytes(batch[21:])))
    return bytes(batch)


@pytest.mark.parametrize("codec", CODECS)
@given(records=record_lists)
def test_kafka_python_reads_what_we_write(codec: Codec, records: list[Record]) -> None:
    batch = encode_batch(numbered(records, 500), base_offset=500, codec=codec)
    assert kafka_python.read(bytes(batch)) == [row(record) for record in records]


@pytest.mark.parametrize("codec", CODECS)
@given(records=record_lists)
def test_we_read_what_kafka_python_writes(codec: Codec, records: list[Record]) -> None:
    batch = kafka_python.build_batch(records, codec)
    header = parse_header(batch)
    assert verify_crc(batch, header)
    assert decode_records(memoryview(batch), header) == numbered(records)


@given(records=record_lists)
def test_uncompressed_batches_are_byte_for_byte_those_of_kafka_python(
    records: list[Record],
) -> None:
    theirs = kafka_python.build_batch(
        records, Codec.NONE, transactional=True, producer_id=9, producer_epoch=2, base_sequence=5
    )
    ours = encode_batch(
        records, transactional=True, producer_id=9, producer_epoch=2, base_sequence=5
    )
    # kafka-python writes 0 where the producer knows no leader epoch; Java writes -1.
    assert ours[:12] + ours[16:] == theirs[:12] + theirs[16:]


def test_null_and_empty_differ_and_headers_keep_order_and_doubles() -> None:
    records = numbered(
        [
            Record(0, 5, None, None, [("b", None), ("a", b""), ("b", b"2"), ("", b"3")]),
            Record(0, 5, b"", b""),
        ]
    )
    batch = encode_batch(records)
    assert decode_records(batch, parse_header(batch)) == records


def test_header_key_that_is_not_utf_8_survives() -> None:
    body = b"\x00\x00\x00\x01\x01\x02\x04\xff\xfe\x01"
    batch = batch_of_body(zigzag(len(body)) + body)
    records = decode_records(batch, parse_header(batch))
    assert bytes(encode_batch(records)) == batch


def test_holes_that_compaction_leaves_are_kept() -> None:
    records = [Record(103, 7, b"a"), Record(110, 6, b"b")]
    batch = encode_batch(records, base_offset=100, offset_deltas=[3, 10], last_offset_delta=12)
    header = parse_header(batch)
    assert decode_records(batch, header) == records
    assert (header.base_offset, header.next_offset) == (100, 113)


def test_batch_that_compaction_emptied_is_written_and_read() -> None:
    batch = encode_batch([], base_offset=100, last_offset_delta=12, max_timestamp_ms=NOW_MS)
    header = parse_header(batch)
    assert decode_records(batch, header) == []
    assert (header.next_offset, header.max_timestamp) == (113, NOW_MS)
    with pytest.raises(ValueError, match="last offset delta"):
        encode_batch([])


def test_delete_horizon_is_the_base_of_the_timestamps() -> None:
    records = [Record(0, NOW_MS - 5, b"k", None), Record(1, NOW_MS + 9, b"k", b"v")]
    batch = encode_batch(records, delete_horizon_ms=NOW_MS)
    header = parse_header(batch)
    assert header.has_delete_horizon
    assert (header.base_timestamp, header.max_timestamp) == (NOW_MS, NOW_MS + 9)
    assert decode_records(batch, header) == records


@pytest.mark.parametrize("codec", CODECS)
def test_first_record_at_a_timestamp_is_found_by_its_own_time(codec: Codec) -> None:
    times = [NOW_MS, NOW_MS + 100_000, NOW_MS + 50, NOW_MS + 200_000]
    records = numbered([Record(0, time, b"k%d" % time, b"v") for time in times], 40)
    batch = encode_batch(records, base_offset=40, codec=codec)
    header = parse_header(batch)
    assert first_record_at_or_after(batch, header, 0) == records[0]
    assert first_record_at_or_after(batch, header, NOW_MS) == records[0]
    assert first_record_at_or_after(batch, header, NOW_MS + 1) == records[1]
    assert first_record_at_or_after(batch, header, NOW_MS + 100_001) == records[3]
    assert first_record_at_or_after(batch, header, NOW_MS + 200_001) is None


def test_first_record_at_a_timestamp_honours_log_append_time() -> None:
    records = numbered([Record(0, NOW_MS), Record(0, NOW_MS + 1)])
    batch = encode_batch(records, log_append_time_ms=NOW_MS + 77)
    header = parse_header(batch)
    assert first_record_at_or_after(batch, header, NOW_MS + 77) == Record(0, NOW_MS + 77)
    assert first_record_at_or_after(batch, header, NOW_MS + 78) is None


def test_records_can_be_taken_one_by_one() -> None:
    records = numbered([Record(0, NOW_MS, value=b"%d" % index) for index in range(5)])
    batch = encode_batch(records)
    assert next(iterate_records(batch, parse_header(batch))) == records[0]


@pytest.mark.parametrize("codec", CODECS)
def test_produced_batches_validate(codec: Codec) -> None:
    batch = encode_batch([Record(0, NOW_MS, b"k", b"v")] * 3, codec=codec)
    validate_records(batch, parse_header(batch), require_keys=True)


@pytest.mark.parametrize("codec", CODECS)
def test_keyless_records_are_named_one_by_one(codec: Codec) -> None:
    records = [Record(0, 1, b"k"), Record(0, 1), Record(0, 1, b"k"), Record(0, 1)]
    batch = encode_batch(records, codec=codec)
    header = parse_header(batch)
    validate_records(batch, header, require_keys=False)
    with pytest.raises(RefusedRecords) as caught:
        validate_records(batch, header, require_keys=True)
    assert [fault.batch_index for fault in caught.value.faults] == [1, 3]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("deltas", [[0, 2, 3], [2, 1, 0], [0, 0, 2], [1, 2, 3]])
def test_offset_deltas_with_holes_are_refused_from_producers(
    codec: Codec, deltas: list[int]
) -> None:
    batch = encode_batch([Record()] * 3, codec=codec, offset_deltas=deltas, last_offset_delta=2)
    with pytest.raises(InvalidRecord):
        validate_records(batch, parse_header(batch), require_keys=False)


@pytest.mark.parametrize("last_offset_delta", [-1, 0, 1, 3])
def test_count_that_is_not_the_last_delta_is_refused_from_producers(
    last_offset_delta: int,
) -> None:
    batch = encode_batch([Record()] * 3, last_offset_delta=last_offset_delta)
    with pytest.raises(InvalidRecord):
        validate_records(batch, parse_header(batch), require_keys=False)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [-1, 0, 2, 4, (1 << 31) - 1])
def test_count_that_is_not_the_contents_is_an_error(codec: Codec, count: int) -> None:
    batch = encode_batch([Record(0, 1, b"k", b"v")] * 3, codec=codec)
    struct.pack_into(">i", batch, 57, count)
    with pytest.raises(InvalidRecord):
        decode_records(batch, parse_header(batch))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(zigzag(-1), id="negative record size"),
        pytest.param(zigzag(7) + b"\x00\x00\x00\x01\x01\x00", id="record size behind the end"),
        pytest.param(zigzag(7) + b"\x00\x00\x00\x01\x01\x00\x00", id="slack in a record"),
        pytest.param(zigzag(5) + b"\x00\x00\x00\x01\x01\x00", id="record size too small"),
        pytest.param(zigzag(6) + b"\x00\x00\x00\x7e\x01\x00", id="key behind the end"),
        pytest.param(zigzag(6) + b"\x00\x00\x00\x01\x7e\x00", id="value behind the end"),
        pytest.param(zigzag(6) + b"\x00\x00\x00\x01\x01\x01", id="negative header count"),
        pytest.param(zigzag(8) + b"\x00\x00\x00\x01\x01\x02\x01\x01", id="null header key"),
        pytest.param(zigzag(7) + b"\x00\x00\x00\x01\x01\x7e\x00", id="missing headers"),
        pytest.param(b"\x8c\x80\x80\x80\x80\x00" + bytes(6), id="varint of six bytes"),
        pytest.param(b"\x8c\x80\x80\x80\x70" + bytes(6), id="varint of 35 bits"),
        pytest.param(zigzag(16) + b"\x00" + b"\xff" * 10 + b"\x00\x01\x01\x00", id="long varlong"),
        pytest.param(zigzag(6) + b"\x00\x00\x00\x01\x01\x00" + b"\x00", id="bytes left"),
        pytest.param(b"\x80", id="cut varint"),
    ],
)
def test_body_that_does_not_parse_is_an_invalid_record(body: bytes) -> None:
    batch = batch_of_body(body)
    with pytest.raises(InvalidRecord):
        decode_records(batch, parse_header(batch))


def test_batch_that_is_cut_is_truncated() -> None:
    batch = encode_batch([Record(0, 1, b"k", b"v")])
    with pytest.raises(TruncatedBatch):
        decode_records(batch[:-1], parse_header(batch))


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_codec_that_nobody_defined_is_an_error(codec: int) -> None:
    batch = batch_of_body(b"data", attributes=codec)
    with pytest.raises(DecompressionError):
        decode_records(batch, parse_header(batch))


@pytest.mark.parametrize("codec", CODECS)
def test_batch_larger_than_the_reader_allows_is_refused(codec: Codec) -> None:
    batch = encode_batch([Record(0, 1, value=bytes(100_000))], codec=codec)
    header = parse_header(batch)
    with pytest.raises(DecompressedTooLarge):
        decode_records(batch, header, max_bytes=100_000)
    assert len(decode_records(batch, header, max_bytes=101_000)) == 1


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
def test_corruption_behind_the_crc_decodes_or_is_a_record_error(
    codec: Codec, data: st.DataObject
) -> None:
    records = [Record(0, NOW_MS + at, b"key", b"value" * at, [("h", b"v")]) for at in range(8)]
    batch = encode_batch(records, codec=codec)
    crc_is_right = parse_header(batch)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(21, len(batch) - 1))
        batch[at] = data.draw(st.integers(0, 255))
    header = parse_header(batch)
    if verify_crc(batch, crc_is_right):
        return  # the bytes drawn were the ones that stood there
    try:
        decode_records(batch, header, max_bytes=1 << 20)
        first_record_at_or_after(batch, header, NOW_MS + 3, max_bytes=1 << 20)
    except RecordError:
        pass
