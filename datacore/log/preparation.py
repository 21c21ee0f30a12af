"""What a produced batch takes that needs its records: another codec, a look at keys and times.

Rules, as Kafka's ``LogValidator`` has them:

- A batch that is in the topic's codec already stays as it came, whatever its level. Another one is
  decompressed, and compressed anew at the level of the topic. Its records keep their bytes;
  sequence numbers, timestamps and offsets stay.
- A message set of a client before Kafka 0.11 becomes one batch of magic 2 first; it keeps its codec
  where the topic has none of its own. Its timestamps are the topic's affair (``record/legacy.py``).
- Before that it is checked like every produced batch, and where the topic is compacted or limits
  how old a record may be, record by record.

An append does all of this by itself but for the codec. Whoever takes batches from producers calls
this first, so that a large one does not hold up everybody (docs/decisions/0012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.log.error_codes import kafka_error
from datacore.log.validation import checked_header
from datacore.record.batch import clear_log_append_time, parse_header
from datacore.record.compression import DECOMPRESSED_BYTES_MAX
from datacore.record.errors import DecompressedTooLarge, RecordError
from datacore.record.legacy import up_convert
from datacore.record.records import validate_records
from datacore.record.rewrite import recompressed

if TYPE_CHECKING:
    from datacore.log.config import LogConfig

INLINE_BYTES_MAX: Final = 16 * 1024
"""A batch that holds no more is prepared at once: it takes a millisecond at most."""


class Prepared(NamedTuple):
    """A batch that is ready for its append."""

    records: memoryview
    oldest_timestamp_ms: int | None
    """The smallest of its records; None where nobody has asked."""


def needs_preparation(records: memoryview, config: LogConfig) -> bool:
    """Whether a record set of magic 2 takes more than a look at its header; False for what is none.

    What is no batch is refused by the append, which says why.
    """
    return config.looks_into_records or needs_other_codec(records, config)


def needs_other_codec(records: memoryview, config: LogConfig) -> bool:
    """Whether a batch of magic 2 is in another codec than its topic; False for what is none."""
    if config.compression is None:
        return False
    try:
        return parse_header(records).codec != config.compression.codec
    except RecordError:
        return False


def prepare(
    records: memoryview,
    config: LogConfig,
    *,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> Prepared | None:
    """Prepares a record set that ``needs_preparation``.

    Args:
        records: What the producer sent for one partition.
        config: The topic's.
        max_bytes: The most that may come out of it.

    Returns:
        None where it holds more than ``max_bytes``, if that is less than any batch may hold.

    Raises:
        KafkaError: The record set is refused.
    """
    header = checked_header(records, config)
    oldest_timestamp_ms = None
    try:
        if config.looks_into_records:
            oldest_timestamp_ms = validate_records(
                records, header, require_keys=config.compacted, max_bytes=max_bytes
            )
        if config.compression is not None and header.codec != config.compression.codec:
            codec, level = config.compression.codec, config.compression.level
            records = memoryview(recompressed(records, header, codec, level, max_bytes=max_bytes))
    except DecompressedTooLarge as error:
        if max_bytes < DECOMPRESSED_BYTES_MAX:
            return None
        raise kafka_error(error) from None
    except RecordError as error:
        raise kafka_error(error) from None
    return Prepared(records, oldest_timestamp_ms)


def prepare_message_set(
    message_set: memoryview,
    config: LogConfig,
    now_ms: int,
    *,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> Prepared | None:
    """Converts a message set of magic 0 or 1, and prepares the batch that it becomes.

    Args:
        message_set: What the producer sent for one partition.
        config: The topic's.
        now_ms: The time.
        max_bytes: The most that may come out of it.

    Returns:
        None where it holds more than ``max_bytes``, if that is less than any set may hold.

    Raises:
        KafkaError: The set is refused.
    """
    is_stamped = config.log_append_time
    try:
        batch = memoryview(
            up_convert(
                message_set,
                log_append_time_ms=now_ms if is_stamped else None,
                max_bytes=max_bytes,
            )
        )
    except DecompressedTooLarge as error:
        if max_bytes < DECOMPRESSED_BYTES_MAX:
            return None
        raise kafka_error(error) from None
    except RecordError as error:
        raise kafka_error(error) from None
    if is_stamped:
        # The log sets the time, and refuses a producer that has done so.
        clear_log_append_time(batch)
    if not needs_preparation(batch, config):
        return Prepared(batch, None)
    return prepare(batch, config, max_bytes=max_bytes)
