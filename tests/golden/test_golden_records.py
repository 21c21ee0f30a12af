"""Record sets of every magic and codec, judged by what Apache Kafka built and reads out of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from datacore.record.batch import BatchHeader, iterate_headers, verify_crc
from datacore.record.compression import Codec
from datacore.record.control import (
    ControlType,
    EndTransactionMarker,
    decode_end_transaction_marker,
    encode_end_transaction_marker,
)
from datacore.record.legacy import down_convert, parse_message_set, up_convert
from datacore.record.records import Record, decode_records, encode_batch
from tests.golden import corpus
from tests.golden.corpus import Batch, RecordSetVector

SETS = list(corpus.record_sets())
CODECS_OF_MAGIC = {
    0: {"none", "gzip", "snappy", "lz4"},
    1: {"none", "gzip", "snappy", "lz4"},
    2: {"none", "gzip", "snappy", "lz4", "zstd", "mixed"},
}
TIMESTAMP_TYPES = {False: "CreateTime", True: "LogAppendTime"}


@dataclass(frozen=True, slots=True)
class Part:
    """One batch of a set: its bytes, and what Java reads out of them."""

    name: str
    batch: Batch
    body: bytes

    def __str__(self) -> str:
        return self.name


def _parts() -> Iterator[Part]:
    for vector in SETS:
        at = 0
        for number, batch in enumerate(vector.batches):
            yield Part(f"{vector} #{number}", batch, vector.body[at : at + batch.size_bytes])
            at += batch.size_bytes
        assert at == len(vector.body)


PARTS = list(_parts())
MODERN = [part for part in PARTS if part.batch.magic == 2]
LEGACY = [part for part in PARTS if part.batch.magic < 2]
# With LogAppendTime Java writes the producers' times and shows the broker's: they can't be known.
REPEATABLE = [part for part in MODERN if part.batch.timestamp_type != "LogAppendTime"]
LEGACY_SETS = [vector for vector in SETS if vector.magic < 2]


def _record(record: corpus.Record) -> Record:
    headers = [(name, _bytes(value)) for name, value in record.headers]
    return Record(
        record.offset, record.timestamp_ms, _bytes(record.key), _bytes(record.value), headers
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _records(batch: Batch) -> list[Record]:
    return [_record(record) for record in batch.records]


def _header(part: bytes) -> BatchHeader:
    ((at, header),) = iterate_headers(part)
    assert at == 0
    return header


def test_every_codec_of_every_magic_is_in_the_corpus() -> None:
    for magic, codecs in CODECS_OF_MAGIC.items():
        assert {vector.codec for vector in SETS if vector.magic == magic} == codecs
    print(f"{len(SETS)} record sets, {sum(len(vector.batches) for vector in SETS)} batches")


@pytest.mark.parametrize("part", MODERN, ids=str)
def test_a_header_says_what_java_reads(part: Part) -> None:
    batch = part.batch
    header = _header(part.body)
    assert header.size == batch.size_bytes
    assert header.base_offset == batch.base_offset
    assert header.last_offset == batch.last_offset
    assert Codec(header.codec).name.lower() == batch.compression
    assert TIMESTAMP_TYPES[header.has_log_append_time] == batch.timestamp_type
    assert header.max_timestamp == batch.max_timestamp_ms
    assert header.crc == batch.crc
    assert header.leader_epoch == batch.partition_leader_epoch
    assert header.producer_id == batch.producer_id
    assert header.producer_epoch == batch.producer_epoch
    assert header.base_sequence == batch.base_sequence
    assert header.last_sequence == batch.last_sequence
    assert header.is_transactional == batch.is_transactional
    assert header.is_control == batch.is_control
    assert header.records_count == batch.record_count
    assert header.has_delete_horizon == (batch.delete_horizon_ms is not None)
    if header.has_delete_horizon:
        assert header.base_timestamp == batch.delete_horizon_ms


@pytest.mark.parametrize("part", MODERN, ids=str)
def test_a_crc_of_java_is_right_until_a_bit_changes(part: Part) -> None:
    header = _header(part.body)
    assert verify_crc(part.body, header)
    assert not verify_crc(part.body[:-1] + bytes([part.body[-1] ^ 1]), header)


@pytest.mark.parametrize("part", MODERN, ids=str)
def test_records_are_what_java_reads(part: Part) -> None:
    assert decode_records(part.body, _header(part.body)) == _records(part.batch)


@pytest.mark.parametrize("part", REPEATABLE, ids=str)
def test_encoding_the_same_records_gives_javas_bytes(part: Part) -> None:
    """Byte for byte without compression; compressed, what comes out again is the same."""
    header = _header(part.body)
    records = _records(part.batch)
    encoded = encode_batch(
        records,
        base_offset=header.base_offset,
        codec=Codec(header.codec),
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        leader_epoch=header.leader_epoch,
        transactional=header.is_transactional,
        control=header.is_control,
        delete_horizon_ms=part.batch.delete_horizon_ms,
        offset_deltas=[record.offset - header.base_offset for record in records],
        last_offset_delta=header.last_offset_delta,
    )
    if header.codec == Codec.NONE and records:
        assert bytes(encoded) == part.body
    else:
        again = _header(bytes(encoded))
        assert decode_records(encoded, again) == records
        assert verify_crc(encoded, again)


@pytest.mark.parametrize("vector", LEGACY_SETS, ids=str)
def test_a_message_set_holds_what_java_reads(vector: RecordSetVector) -> None:
    parsed = parse_message_set(vector.body)
    assert parsed.magic == vector.magic
    assert parsed.codec.name.lower() == vector.codec
    assert parsed.records == [record for batch in vector.batches for record in _records(batch)]


@pytest.mark.parametrize("vector", LEGACY_SETS, ids=str)
def test_up_and_down_again_gives_the_same_messages(vector: RecordSetVector) -> None:
    before = parse_message_set(vector.body)
    up = up_convert(vector.body)
    after = parse_message_set(down_convert(up, vector.magic))
    for record, (number, original) in zip(after.records, enumerate(before.records), strict=True):
        assert record.offset == number
        assert (record.key, record.value) == (original.key, original.value)
        assert record.timestamp_ms == original.timestamp_ms


@pytest.mark.parametrize(
    "vector",
    [v for v in LEGACY_SETS if v.codec == "none" and v.case in {"one-record", "nulls-and-empties"}],
    ids=str,
)
def test_down_conversion_gives_javas_bytes(vector: RecordSetVector) -> None:
    assert down_convert(up_convert(vector.body), vector.magic) == vector.body


@pytest.mark.parametrize("part", LEGACY, ids=str)
def test_a_set_of_mixed_magics_splits_where_java_splits_it(part: Part) -> None:
    assert parse_message_set(part.body).records == _records(part.batch)


@pytest.mark.parametrize("control_type", [ControlType.COMMIT, ControlType.ABORT])
def test_a_transaction_marker_is_the_one_that_kafka_writes(control_type: ControlType) -> None:
    (golden,) = (v for v in SETS if v.case == f"{control_type.name.lower()}-marker")
    header = _header(golden.body)
    marker = decode_end_transaction_marker(golden.body, header)
    assert marker == EndTransactionMarker(control_type, 9)
    ours = encode_end_transaction_marker(
        marker,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        timestamp_ms=header.max_timestamp,
        base_offset=header.base_offset,
        leader_epoch=header.leader_epoch,
    )
    assert bytes(ours) == golden.body
