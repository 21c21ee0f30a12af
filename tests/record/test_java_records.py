"""Every record set of the golden corpus: what Java reads out of its bytes, we read, too."""

from collections.abc import Iterator

import pytest

from datacore.record.batch import magic_of, parse_header, verify_crc
from datacore.record.compression import Codec
from datacore.record.legacy import encode_message, parse_message_set
from datacore.record.records import NO_TIMESTAMP, Record, decode_records, encode_batch
from tests.golden import corpus

SETS = list(corpus.record_sets())


def batches_of(vector: corpus.RecordSetVector) -> Iterator[tuple[bytes, corpus.Batch]]:
    at = 0
    for batch in vector.batches:
        yield vector.body[at : at + batch.size_bytes], batch
        at += batch.size_bytes
    assert at == len(vector.body)


def as_bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def records_of(batch: corpus.Batch) -> list[Record]:
    return [
        Record(
            record.offset,
            record.timestamp_ms,
            as_bytes(record.key),
            as_bytes(record.value),
            [(name, as_bytes(value)) for name, value in record.headers],
        )
        for record in batch.records
    ]


@pytest.mark.parametrize("vector", SETS, ids=str)
def test_java_and_we_read_the_same(vector: corpus.RecordSetVector) -> None:
    for data, batch in batches_of(vector):
        assert magic_of(data) == batch.magic
        if batch.magic == 2:
            check_batch(data, batch)
        else:
            check_message(data, batch)


def check_batch(data: bytes, batch: corpus.Batch) -> None:
    header = parse_header(data)
    assert verify_crc(data, header)
    assert (header.size, header.crc) == (batch.size_bytes, batch.crc)
    assert (header.base_offset, header.last_offset) == (batch.base_offset, batch.last_offset)
    assert header.leader_epoch == batch.partition_leader_epoch
    assert Codec(header.codec).name.lower() == batch.compression
    assert header.has_log_append_time == (batch.timestamp_type == "LogAppendTime")
    assert header.max_timestamp == batch.max_timestamp_ms
    assert header.producer_id == batch.producer_id
    assert header.producer_epoch == batch.producer_epoch
    assert header.base_sequence == batch.base_sequence
    assert header.last_sequence == batch.last_sequence
    assert header.is_transactional == batch.is_transactional
    assert header.is_control == batch.is_control
    assert header.records_count == batch.record_count
    assert header.has_delete_horizon == (batch.delete_horizon_ms is not None)
    records = decode_records(data, header)
    assert records == records_of(batch)
    if header.has_log_append_time:
        return  # the records' own timestamps are not among what one reads
    again = encode_batch(
        records,
        base_offset=header.base_offset,
        leader_epoch=header.leader_epoch,
        codec=Codec(header.codec),
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        transactional=header.is_transactional,
        control=header.is_control,
        delete_horizon_ms=batch.delete_horizon_ms,
        offset_deltas=[record.offset - header.base_offset for record in records],
        last_offset_delta=header.last_offset_delta,
        max_timestamp_ms=header.max_timestamp,
    )
    if header.codec == Codec.NONE:
        assert bytes(again) == data
    else:
        assert decode_records(again, parse_header(again)) == records


def check_message(data: bytes, batch: corpus.Batch) -> None:
    message_set = parse_message_set(data)
    assert message_set.magic == batch.magic
    assert message_set.codec.name.lower() == batch.compression
    assert message_set.has_log_append_time == (batch.timestamp_type == "LogAppendTime")
    assert message_set.records == records_of(batch)
    if message_set.codec is Codec.NONE:
        (record,) = message_set.records
        attributes = 8 if message_set.has_log_append_time else 0
        assert encode_message(record, batch.magic, attributes=attributes) == data
    if batch.magic == 0:
        assert {record.timestamp_ms for record in message_set.records} == {NO_TIMESTAMP}
