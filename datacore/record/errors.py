"""What can be wrong with record sets. The log and the broker map these to Kafka's error codes.

====================  =============================================
DecompressionError    UNKNOWN_SERVER_ERROR (-1), as Kafka answers
CorruptBatch          CORRUPT_MESSAGE (2)
InvalidTimestamp      INVALID_TIMESTAMP (32)
UnsupportedCodec      UNSUPPORTED_COMPRESSION_TYPE (76)
any other             INVALID_RECORD (87)
====================  =============================================
"""

from typing import NamedTuple


class RecordError(ValueError):
    """Bytes that are no acceptable record set."""


class CorruptBatch(RecordError):
    """A size that cannot be, a checksum that does not match, or a magic nobody has defined."""


class TruncatedBatch(RecordError):
    """The bytes end before the batch does."""


class UnsupportedMagic(RecordError):
    """A message set of magic 0 or 1 where only record batches of magic 2 are taken."""

    def __init__(self, magic: int) -> None:
        super().__init__(f"Magic {magic} is not accepted here, only magic 2.")
        self.magic = magic


class InvalidRecord(RecordError):
    """Records that do not parse, or do not agree with their batch's header."""


class InvalidTimestamp(RecordError):
    """A producer claims LogAppendTime where only the broker may."""


class RecordFault(NamedTuple):
    """One refused record, as Produce reports it since v8 (KIP-467)."""

    batch_index: int
    """Place of the record in its batch, from 0."""
    reason: str


class RefusedRecords(RecordError):
    """Well-formed records that this topic does not take."""

    def __init__(self, message: str, faults: list[RecordFault]) -> None:
        super().__init__(message)
        self.faults = faults


class DecompressionError(RecordError):
    """Compressed bytes that are not what their codec says, or of a codec nobody has defined."""


class DecompressedTooLarge(DecompressionError):
    """More bytes came out than the reader is ready to hold."""


class UnsupportedCodec(RecordError):
    """A codec that this format does not know: zstd below magic 2 (KIP-110)."""
