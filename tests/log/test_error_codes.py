from __future__ import annotations

import inspect

import pytest

from datacore._generated.errors import ErrorCode
from datacore.log.error_codes import ERROR_CODES, RefusedAppend, kafka_error
from datacore.record import errors as record_errors
from datacore.record.errors import (
    CorruptBatch,
    DecompressedTooLarge,
    DecompressionError,
    InvalidRecord,
    InvalidTimestamp,
    RecordError,
    RecordFault,
    RefusedRecords,
    TruncatedBatch,
    UnsupportedCodec,
    UnsupportedMagic,
)
from datacore.storage.engine import Damaged, Fenced, OffsetTruncated, StorageError

# As Apache Kafka 4.1.1 answers a Produce with such records.
CODES: list[tuple[RecordError | StorageError, ErrorCode]] = [
    (DecompressionError("x"), ErrorCode.UNKNOWN_SERVER_ERROR),
    (DecompressedTooLarge("x"), ErrorCode.UNKNOWN_SERVER_ERROR),
    (CorruptBatch("x"), ErrorCode.CORRUPT_MESSAGE),
    (InvalidTimestamp("x"), ErrorCode.INVALID_TIMESTAMP),
    (UnsupportedCodec("x"), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    (TruncatedBatch("x"), ErrorCode.INVALID_RECORD),
    (UnsupportedMagic(0), ErrorCode.INVALID_RECORD),
    (InvalidRecord("x"), ErrorCode.INVALID_RECORD),
    (RefusedRecords("x", []), ErrorCode.INVALID_RECORD),
    (OffsetTruncated("x"), ErrorCode.OFFSET_OUT_OF_RANGE),
    (Damaged("x", 5), ErrorCode.CORRUPT_MESSAGE),
    (StorageError("x"), ErrorCode.KAFKA_STORAGE_ERROR),
    (Fenced("x"), ErrorCode.NOT_LEADER_OR_FOLLOWER),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_each_error_has_the_code_that_kafka_answers(
    error: RecordError | StorageError, code: ErrorCode
) -> None:
    told = kafka_error(error)
    assert told.code is code
    assert told.message == str(error)


def test_every_error_of_records_is_judged_here() -> None:
    defined = {
        kind
        for _, kind in inspect.getmembers(record_errors, inspect.isclass)
        if issubclass(kind, RecordError)
    }
    assert defined - {RecordError} <= {type(error) for error, _ in CODES}


def test_no_line_of_the_table_is_hidden_by_one_before() -> None:
    for at, (kind, _) in enumerate(ERROR_CODES):
        assert not any(issubclass(kind, earlier) for earlier, _ in ERROR_CODES[:at])


def test_refused_records_keep_what_is_wrong_with_each() -> None:
    faults = [RecordFault(0, "no key"), RecordFault(7, "no key")]
    told = kafka_error(RefusedRecords("2 records", faults))
    assert isinstance(told, RefusedAppend)
    assert told.faults == faults
