"""Batches in the codec of their topic, where that is not their producer's (compression.type).

Rules, as Kafka's ``LogValidator`` has them:

- A batch that is in the topic's codec already stays as it came, whatever its level.
- Another one is checked like every produced batch, decompressed, and compressed anew at the level
  of the topic. Its records keep their bytes; sequence numbers, timestamps and offsets stay.

The rest of an append does not know that this has happened: whoever takes batches from producers
calls this first (docs/decisions/0012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.log.error_codes import kafka_error
from datacore.log.validation import checked_header
from datacore.record.batch import parse_header
from datacore.record.compression import DECOMPRESSED_BYTES_MAX
from datacore.record.errors import DecompressedTooLarge, RecordError
from datacore.record.rewrite import recompressed

if TYPE_CHECKING:
    from datacore.log.config import LogConfig

INLINE_BYTES_MAX: Final = 16 * 1024
"""A batch that holds no more is recompressed at once: half a millisecond in the slowest codec."""


def needs_recompression(records: memoryview, config: LogConfig) -> bool:
    """Whether a record set of magic 2 is in another codec than its topic; False for what is none.

    What is no batch is refused by the append, which says why.
    """
    if config.compression is None:
        return False
    try:
        return parse_header(records).codec != config.compression.codec
    except RecordError:
        return False


def recompress(
    records: memoryview,
    config: LogConfig,
    *,
    has_transactional_id: bool,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> bytearray | None:
    """A record set that ``needs_recompression`` in its topic's codec.

    Args:
        records: What the producer sent for one partition.
        config: The topic's.
        has_transactional_id: Whether its request names a transactional id.
        max_bytes: The most that may come out of it.

    Returns:
        None where it holds more than ``max_bytes``, if that is less than any batch may hold.

    Raises:
        KafkaError: The record set is refused.
    """
    assert config.compression is not None
    codec, level = config.compression.codec, config.compression.level
    header = checked_header(records, config, has_transactional_id=has_transactional_id)
    try:
        return recompressed(records, header, codec, level, max_bytes=max_bytes)
    except DecompressedTooLarge as error:
        if max_bytes < DECOMPRESSED_BYTES_MAX:
            return None
        raise kafka_error(error) from None
    except RecordError as error:
        raise kafka_error(error) from None
