"""Records of __transaction_state, in Kafka's stored format.

A key is an int16 record type (0, which Kafka calls its version) and a body of version 0; a value
is an int16 version and its body. Written is value version 1, as Kafka 4.1 does with
transaction.version 1 and up; read are both. Kafka's counterpart is ``TransactionLog``.
"""

import struct
from typing import NamedTuple

from datacore._generated.records.transaction_log import (
    PartitionsSchema,
    TransactionLogKey,
    TransactionLogValue,
)
from datacore.coordinator.outcome import Record
from datacore.coordinator.transaction.metadata import (
    TopicPartition,
    TransactionMetadata,
    TransactionState,
    by_topic,
)
from datacore.protocol.names import TopicName
from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError

TRANSACTION_LOG_TYPE = 0
KEY_VERSION = 0
VALUE_VERSION = 1

_INT16 = struct.Struct(">h")
_STORED_STATES = frozenset(TransactionState) - {
    TransactionState.DEAD,
    TransactionState.PREPARE_EPOCH_FENCE,
}


class TransactionStored(NamedTuple):
    """A transactional id as of now, or (None) that it was dropped."""

    transactional_id: str
    metadata: TransactionMetadata | None


def transaction_record(transactional_id: str, metadata: TransactionMetadata) -> Record:
    """A transactional id's new state."""
    partitions = None
    if metadata.state is not TransactionState.EMPTY:
        partitions = [
            PartitionsSchema(topic=topic, partition_ids=indexes)
            for topic, indexes in by_topic(metadata.partitions).items()
        ]
    value = TransactionLogValue(
        producer_id=metadata.producer_id,
        previous_producer_id=metadata.previous_producer_id,
        next_producer_id=metadata.next_producer_id,
        producer_epoch=metadata.producer_epoch,
        transaction_timeout_ms=metadata.timeout_ms,
        transaction_status=metadata.state,
        transaction_partitions=partitions,
        transaction_last_update_timestamp_ms=metadata.last_update_ms,
        transaction_start_timestamp_ms=metadata.start_ms,
        client_transaction_version=metadata.client_version,
    )
    return Record(_key(transactional_id), _INT16.pack(VALUE_VERSION) + value.encode(VALUE_VERSION))


def transaction_tombstone(transactional_id: str) -> Record:
    """The end of a transactional id."""
    return Record(_key(transactional_id), None)


def decode(key: Buffer, value: Buffer | None) -> TransactionStored | None:
    """Reads one record of the log.

    Returns:
        What it says, or None for a record type that is not known here.

    Raises:
        DecodeError: A record of the known type does not parse.
    """
    if _int16(key) != TRANSACTION_LOG_TYPE:
        return None
    log_key, _ = TransactionLogKey.decode(key, KEY_VERSION, _INT16.size)
    if value is None:
        return TransactionStored(log_key.transactional_id, None)
    version = _int16(value)
    if not 0 <= version <= TransactionLogValue.max_version:
        raise DecodeError(f"a transaction's record has the unknown value version {version}")
    stored, _ = TransactionLogValue.decode(value, version, _INT16.size)
    if stored.transaction_status not in _STORED_STATES:
        raise DecodeError(f"a transaction has the unknown state {stored.transaction_status}")
    metadata = TransactionMetadata(
        producer_id=stored.producer_id,
        producer_epoch=stored.producer_epoch,
        timeout_ms=stored.transaction_timeout_ms,
        state=TransactionState(stored.transaction_status),
        last_update_ms=stored.transaction_last_update_timestamp_ms,
        previous_producer_id=stored.previous_producer_id,
        next_producer_id=stored.next_producer_id,
        partitions=frozenset(
            TopicPartition(TopicName(topic.topic), partition)
            for topic in stored.transaction_partitions or ()
            for partition in topic.partition_ids
        ),
        start_ms=stored.transaction_start_timestamp_ms,
        client_version=stored.client_transaction_version,
    )
    return TransactionStored(log_key.transactional_id, metadata)


def _key(transactional_id: str) -> bytes:
    key = TransactionLogKey(transactional_id=transactional_id)
    return _INT16.pack(TRANSACTION_LOG_TYPE) + key.encode(KEY_VERSION)


def _int16(data: Buffer) -> int:
    if len(data) < _INT16.size:
        raise DecodeError("a coordinator record is shorter than its int16 type or version")
    number: int = _INT16.unpack_from(data)[0]
    return number
