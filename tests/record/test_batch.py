import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.record.batch import (
    assign,
    clear_log_append_time,
    iterate_headers,
    magic_of,
    parse_header,
    set_log_append_time,
    verify_crc,
)
from datacore.record.compression import Codec
from datacore.record.errors import CorruptBatch, RecordError, TruncatedBatch, UnsupportedMagic
from datacore.record.records import Record, decode_records, encode_batch
from datacore.wire.batch_header import BATCH_HEADER, BATCH_HEADER_SIZE, MAGIC_AT
from tests.record import kafka_python

RECORDS = [
    Record(offset, 1_700_000_000_000 + offset, b"key", b"value %d" % offset) for offset in range(3)
]


def batch_of(count: int = 3, codec: Codec = Codec.NONE) -> bytearray:
    return bytearray(kafka_python.build_batch(RECORDS[:count], codec))


def with_length(batch: bytearray, length: int) -> bytearray:
    return batch[:8] + struct.pack(">i", length) + batch[12:]


def test_header_has_every_field_of_the_layout() -> None:
    batch = BATCH_HEADER.pack(7, 49, 3, 2, 11, 0b1111011, 4, 1000, 2000, 99, 5, 17, 5)
    header = parse_header(b"before" + batch, 6)
    assert (header.base_offset, header.batch_length, header.leader_epoch) == (7, 49, 3)
    assert (header.magic, header.crc, header.size) == (2, 11, 61)
    assert (header.base_timestamp, header.max_timestamp) == (1000, 2000)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (99, 5, 17)
    assert (header.last_offset, header.next_offset, header.records_count) == (11, 12, 5)
    assert header.codec == 3
    assert header.has_log_append_time
    assert header.is_transactional
    assert header.is_control
    assert header.has_delete_horizon
    assert header.has_producer_id


def test_header_without_attributes_and_producer_says_so() -> None:
    header = parse_header(batch_of())
    assert header.codec == Codec.NONE
    assert not header.has_log_append_time
    assert not header.is_transactional
    assert not header.is_control
    assert not header.has_delete_horizon
    assert not header.has_producer_id
    assert header.last_sequence == -1


def test_sequence_wraps_from_the_largest_int32_to_zero() -> None:
    batch = encode_batch(RECORDS, producer_id=1, producer_epoch=0, base_sequence=(1 << 31) - 2)
    assert parse_header(batch).last_sequence == 0
    batch = encode_batch(RECORDS, producer_id=1, producer_epoch=0, base_sequence=(1 << 31) - 3)
    assert parse_header(batch).last_sequence == (1 << 31) - 1


@pytest.mark.parametrize("length", [-(1 << 31), -13, -1, 0, 13, 14, 48])
def test_impossible_length_is_corrupt(length: int) -> None:
    batch = with_length(batch_of(), length)
    with pytest.raises(CorruptBatch):
        parse_header(batch)
    with pytest.raises(CorruptBatch):
        list(iterate_headers(batch))


@pytest.mark.parametrize("magic", [3, 100, 255])
def test_magic_that_nobody_defined_is_corrupt(magic: int) -> None:
    batch = batch_of()
    batch[MAGIC_AT] = magic
    with pytest.raises(CorruptBatch):
        parse_header(batch)
    with pytest.raises(CorruptBatch):
        magic_of(batch)


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_message_set_is_refused_by_its_magic(magic: int, count: int) -> None:
    message_set = kafka_python.build_message_set(RECORDS[:count], Codec.NONE, magic)
    with pytest.raises(UnsupportedMagic) as caught:
        parse_header(message_set)
    assert caught.value.magic == magic
    assert magic_of(message_set) == magic


def test_header_that_is_cut_is_truncated() -> None:
    batch = batch_of()
    for size in range(BATCH_HEADER_SIZE):
        with pytest.raises(TruncatedBatch):
            parse_header(batch[:size])
    for size in range(MAGIC_AT + 1):
        with pytest.raises(TruncatedBatch):
            magic_of(batch[:size])


def test_header_of_a_cut_batch_still_reads() -> None:
    batch = batch_of()
    assert parse_header(batch[:BATCH_HEADER_SIZE]).size == len(batch)


def test_iteration_yields_whole_batches_only() -> None:
    first, second = batch_of(1), batch_of(3)
    data = bytes(first + second)
    places = [(at, header.records_count) for at, header in iterate_headers(data)]
    assert places == [(0, 1), (len(first), 3)]
    for cut in range(1, len(second)):
        assert [at for at, _ in iterate_headers(memoryview(data)[:-cut])] == [0]
    assert list(iterate_headers(b"")) == []


def test_crc_notices_every_single_flipped_bit_behind_it() -> None:
    batch = batch_of()
    header = parse_header(batch)
    assert verify_crc(batch, header)
    assert verify_crc(batch + b"next batch", header)
    for at in range(21, len(batch)):
        for bit in range(8):
            batch[at] ^= 1 << bit
            assert not verify_crc(memoryview(batch), header)
            batch[at] ^= 1 << bit


def test_assigning_changes_offset_and_epoch_and_no_other_byte() -> None:
    original = batch_of()
    batch = bytearray(original)
    assign(memoryview(batch), 1 << 40, 77)
    header = parse_header(batch)
    assert (header.base_offset, header.leader_epoch) == (1 << 40, 77)
    assert verify_crc(batch, header)
    assert batch[8:12] + batch[16:] == original[8:12] + original[16:]
    rows = kafka_python.read(bytes(batch))
    assert [row[0] for row in rows] == [(1 << 40) + offset for offset in range(3)]


@pytest.mark.parametrize("codec", Codec)
def test_log_append_time_replaces_every_timestamp_and_keeps_the_size(codec: Codec) -> None:
    batch = batch_of(codec=codec)
    size = len(batch)
    set_log_append_time(memoryview(batch), 1_800_000_000_000)
    header = parse_header(batch)
    assert header.has_log_append_time
    assert len(batch) == size
    assert verify_crc(batch, header)
    assert [row[1] for row in kafka_python.read(bytes(batch))] == [1_800_000_000_000] * 3
    assert [record.timestamp_ms for record in decode_records(batch, header)] == (
        [1_800_000_000_000] * 3
    )


def test_clearing_log_append_time_brings_the_records_own_timestamps_back() -> None:
    original = batch_of()
    batch = bytearray(original)
    set_log_append_time(memoryview(batch), 1_700_000_000_002)
    clear_log_append_time(memoryview(batch))
    assert batch == original


@given(st.binary(max_size=200))
def test_any_bytes_give_headers_or_a_record_error(data: bytes) -> None:
    try:
        for at, header in iterate_headers(data):
            assert at + header.size <= len(data)
    except RecordError:
        pass
