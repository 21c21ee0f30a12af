"""kafka-python's record builders and readers, as a second opinion on our bytes."""

import warnings
from collections.abc import Sequence
from typing import TypeAlias

from datacore.record.compression import Codec
from datacore.record.records import Record

with warnings.catch_warnings():
    # It reads its specs by a function that Python 3.11 deprecates; here warnings are errors.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.record import MemoryRecords
    from kafka.record.default_records import ControlRecord, DefaultRecordBatchBuilder
    from kafka.record.legacy_records import LegacyRecordBatchBuilder
    from kafka.record.util import decode_varint, encode_varint


Row: TypeAlias = tuple[int, int | None, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def build_batch(
    records: Sequence[Record],
    codec: Codec,
    *,
    transactional: bool = False,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
) -> bytes:
    """A batch of magic 2 with offsets from 0 on."""
    builder = DefaultRecordBatchBuilder(
        2, int(codec), transactional, producer_id, producer_epoch, base_sequence, 1 << 24
    )
    for offset, record in enumerate(records):
        assert builder.append(
            offset, record.timestamp_ms, record.key, record.value, list(record.headers)
        )
    return bytes(builder.build())


def build_message_set(records: Sequence[Record], codec: Codec, magic: int) -> bytes:
    """A message set; compressed ones have the wrapper offset 0, as producers send it."""
    builder = LegacyRecordBatchBuilder(magic, int(codec), 1 << 24)
    for offset, record in enumerate(records):
        assert builder.append(offset, record.timestamp_ms, record.key, record.value)
    return bytes(builder.build())


def read(record_set: bytes) -> list[Row]:
    """All records of a set of any magic, its CRCs checked."""
    rows: list[Row] = []
    batches = MemoryRecords(record_set)
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        rows += [
            (record.offset, record.timestamp, record.key, record.value, list(record.headers))
            for record in batch
        ]
    return rows


def end_of_transaction(batch: bytes) -> str:
    """What the only record of a control batch says: abort or commit."""
    (record,) = list(MemoryRecords(batch).next_batch())
    assert isinstance(record, ControlRecord)
    assert record.abort != record.commit
    return "commit" if record.commit else "abort"


def write_varint(value: int) -> bytes:
    """A number as a zig-zag varint."""
    out = bytearray()
    encode_varint(value, out.append)
    return bytes(out)


def read_varint(data: bytes) -> tuple[int, int]:
    """The zig-zag varint at the start, and where it ends."""
    value, at = decode_varint(data)
    return int(value), int(at)
