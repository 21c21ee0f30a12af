"""What is wrong with records, or with an engine, as Kafka's error codes: the one table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError
from datacore.record.errors import (
    CorruptBatch,
    DecompressionError,
    InvalidTimestamp,
    RecordError,
    RefusedRecords,
    UnsupportedCodec,
)
from datacore.storage.engine import Damaged, Fenced, OffsetTruncated, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.record.errors import RecordFault

# The first line that fits counts. Kafka has no code for data that does not decompress, and answers
# the one of its own failures.
ERROR_CODES: Final[tuple[tuple[type[Exception], ErrorCode], ...]] = (
    (DecompressionError, ErrorCode.UNKNOWN_SERVER_ERROR),
    (CorruptBatch, ErrorCode.CORRUPT_MESSAGE),
    (InvalidTimestamp, ErrorCode.INVALID_TIMESTAMP),
    (UnsupportedCodec, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    (RecordError, ErrorCode.INVALID_RECORD),
    (OffsetTruncated, ErrorCode.OFFSET_OUT_OF_RANGE),
    (Fenced, ErrorCode.NOT_LEADER_OR_FOLLOWER),
    (Damaged, ErrorCode.CORRUPT_MESSAGE),
    (StorageError, ErrorCode.KAFKA_STORAGE_ERROR),
)


class RefusedAppend(KafkaError):
    """Records were refused, some of them for reasons of their own.

    Attributes:
        faults: What is wrong with single records, as Produce tells it since v8 (KIP-467).
    """

    def __init__(self, code: ErrorCode, message: str, faults: Sequence[RecordFault]) -> None:
        super().__init__(code, message)
        self.faults = faults


def kafka_error(error: RecordError | StorageError) -> KafkaError:
    """The same as clients are told it."""
    code = next(code for kind, code in ERROR_CODES if isinstance(error, kind))
    if isinstance(error, RefusedRecords):
        return RefusedAppend(code, str(error), error.faults)
    return KafkaError(code, str(error))


@contextmanager
def told_as_kafka_errors() -> Iterator[None]:
    """What an engine raises inside becomes Kafka's error.

    Raises:
        KafkaError: As ``kafka_error`` has it.
    """
    try:
        yield
    except StorageError as error:
        raise kafka_error(error) from error
