"""Which timestamps of a producer a topic takes: message.timestamp.before.max.ms and after.max.ms.

Rules: the future is judged by the header's largest timestamp. The past takes a look at each record,
and only topics that limit it pay for that. A batch that is refused is decoded to name the records
at fault. So is one whose largest timestamp is below its first, as sarama 1.38 writes it: without
the right one nothing in it is ever found by time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.log.error_codes import RefusedAppend, kafka_error
from datacore.record.batch import set_max_timestamp
from datacore.record.errors import RecordError, RecordFault
from datacore.record.records import NO_TIMESTAMP, iterate_records

if TYPE_CHECKING:
    from datacore.protocol.errors import KafkaError
    from datacore.record.batch import BatchHeader

RESTORED_BYTES_MAX: Final = 16 << 20
"""What a batch without its largest timestamp may hold: everybody waits while it is read."""


def timestamp_refusal(
    batch: memoryview, header: BatchHeader, earliest_ms: int, latest_ms: int
) -> KafkaError:
    """What a producer is told of a batch whose header says that timestamps are out of range."""
    faults = []
    try:
        for index, record in enumerate(iterate_records(batch, header)):
            timestamp_ms = record.timestamp_ms
            if timestamp_ms != NO_TIMESTAMP and not earliest_ms <= timestamp_ms <= latest_ms:
                reason = f"{timestamp_ms} does not lie between {earliest_ms} and {latest_ms}."
                faults.append(RecordFault(index, reason))
    except RecordError as error:
        return kafka_error(error)
    return RefusedAppend(
        ErrorCode.INVALID_TIMESTAMP,
        "One or more records have been rejected due to invalid timestamp",
        faults,
    )


def restore_max_timestamp(batch: memoryview, header: BatchHeader) -> None:
    """Puts the largest timestamp of a batch's records into its header, as Kafka does with each.

    Raises:
        KafkaError: The records cannot be read, or are more than ``RESTORED_BYTES_MAX``.
    """
    try:
        records = iterate_records(batch, header, max_bytes=RESTORED_BYTES_MAX)
        largest_ms = max(record.timestamp_ms for record in records)
    except RecordError as error:
        raise kafka_error(error) from error
    set_max_timestamp(batch, largest_ms)
    header.max_timestamp = largest_ms
