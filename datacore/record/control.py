"""Control records: the markers that end transactions in a partition's log (KIP-98).

A control batch holds one record. Its key says what it marks; the value of an end-of-transaction
marker says which epoch the coordinator had that wrote it. Consumers skip control batches, yet their
offsets count. Kafka's counterparts are ``ControlRecordType`` and ``EndTransactionMarker``.

Key: int16 version 0, int16 type. Value of ABORT and COMMIT: int16 version 0, int32 epoch.
Fields that a later version appends are ignored, as Kafka demands.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.record.errors import InvalidRecord
from datacore.record.records import Record, decode_records, encode_batch

if TYPE_CHECKING:
    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

CONTROL_BATCH_BYTES_MAX: Final = 1 << 20

_KEY: Final = Struct(">hh")
_MARKER: Final = Struct(">hi")
_VERSION: Final = 0


class ControlType(IntEnum):
    """What a control record marks. The others that Kafka knows stand in KRaft's own log only."""

    ABORT = 0
    COMMIT = 1


class EndTransactionMarker(NamedTuple):
    """How a transaction ended in one partition."""

    control_type: ControlType
    coordinator_epoch: int


def encode_end_transaction_marker(
    marker: EndTransactionMarker,
    *,
    producer_id: int,
    producer_epoch: int,
    timestamp_ms: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> bytearray:
    """Writes the control batch that ends a producer's transaction in a partition.

    Args:
        marker: How it ended, and who says so.
        producer_id: Whose transaction it was.
        producer_epoch: The producer's epoch in which it ended.
        timestamp_ms: When it ended.
        base_offset: The marker's own offset.
        leader_epoch: Epoch of the partition's leader; -1: not known.
    """
    record = Record(
        timestamp_ms=timestamp_ms,
        key=_KEY.pack(_VERSION, marker.control_type),
        value=_MARKER.pack(_VERSION, marker.coordinator_epoch),
    )
    return encode_batch(
        [record],
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def decode_end_transaction_marker(batch: Buffer, header: BatchHeader) -> EndTransactionMarker:
    """Reads the marker of a control batch.

    Raises:
        InvalidRecord: The batch holds something else than one end-of-transaction marker.
        RecordError: The batch does not decode.
    """
    records = decode_records(batch, header, max_bytes=CONTROL_BATCH_BYTES_MAX)
    if not header.is_control or len(records) != 1:
        raise InvalidRecord("A control batch holds one record.")
    key = records[0].key
    value = records[0].value
    if key is None or len(key) < _KEY.size or value is None or len(value) < _MARKER.size:
        raise InvalidRecord("The control record is cut.")
    key_version, number = _KEY.unpack_from(key)
    value_version, coordinator_epoch = _MARKER.unpack_from(value)
    if key_version < 0 or value_version < 0 or number not in _KNOWN_TYPES:
        raise InvalidRecord(f"Control record type {number} marks no end of a transaction.")
    return EndTransactionMarker(ControlType(number), coordinator_epoch)


_KNOWN_TYPES: Final = frozenset(ControlType)
