"""Which record sets of producers a log takes.

The checks are of the header and the CRC alone; records are decoded only where the topic asks for
something that they alone tell: whether each has a key, how old the oldest is
(docs/decisions/0004). Kafka's counterpart is ``LogValidator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.log.error_codes import kafka_error
from datacore.protocol.errors import KafkaError
from datacore.record.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    parse_header,
    verify_crc,
)
from datacore.record.compression import Codec
from datacore.record.errors import DecompressionError, RecordError
from datacore.record.records import validate_records

if TYPE_CHECKING:
    from datacore.log.config import LogConfig
    from datacore.record.batch import BatchHeader

_CODEC_MAX: Final = int(max(Codec))


def header_of_one(records: memoryview) -> BatchHeader:
    """The header of what a producer sent for one partition, if it is one batch of magic 2.

    Raises:
        KafkaError: It is not; the code is the one that Kafka answers.
    """
    try:
        header = parse_header(records)
    except RecordError as error:
        raise kafka_error(error) from None
    if header.size != len(records):
        raise KafkaError(ErrorCode.INVALID_RECORD, "A record set holds exactly one batch.")
    return header


def checked_header(records: memoryview, config: LogConfig) -> BatchHeader:
    """The header of a record set that may be appended.

    Args:
        records: What the producer sent for one partition.
        config: The topic's.

    Raises:
        KafkaError: It may not; the code is the one that Kafka answers.
    """
    header = header_of_one(records)
    size, attributes = header.size, header.attributes
    if size > config.max_message_bytes:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The batch has {size} bytes, max.message.bytes is {config.max_message_bytes}.",
        )
    if not verify_crc(records, header):
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "The batch's CRC does not match.")
    if (
        header.base_offset != 0
        or header.records_count <= 0
        or header.records_count != header.last_offset_delta + 1
        or attributes & CONTROL_BIT
        or (header.producer_id >= 0 and header.base_sequence < 0)
    ):
        raise KafkaError(ErrorCode.INVALID_RECORD, None)
    if attributes & CODEC_MASK > _CODEC_MAX:
        # Nobody could ever read it. Kafka finds out when it decompresses.
        raise kafka_error(DecompressionError("The codec is not known."))
    return header


def checked_records(records: memoryview, header: BatchHeader, config: LogConfig) -> int:
    """The smallest timestamp of records that may be appended, where a topic asks for a look.

    Raises:
        KafkaError: They may not; the code is the one that Kafka answers.
    """
    try:
        return validate_records(records, header, require_keys=config.compacted)
    except RecordError as error:
        raise kafka_error(error) from None
