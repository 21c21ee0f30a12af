"""What a client older than Kafka 0.11 is served: message sets, made of stored batches.

Rules: a little is converted inline. The rest is converted in a worker thread, so that nobody else
waits, and comes to its request like what was read from a device (``parked_fetch.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio.to_thread

from datacore.log.error_codes import kafka_error
from datacore.record.batch import iterate_headers
from datacore.record.compression import Codec
from datacore.record.errors import RecordError
from datacore.record.legacy import down_convert

if TYPE_CHECKING:
    from datacore.protocol.errors import KafkaError
    from datacore.wire.buffer import Buffer

CONVERTED_BYTES_MAX: Final = 256 * 1024
"""What one answer brings to a client of message sets, the first batch apart: its records are taken
apart and put together again, which takes a processor for a while."""

_INLINE_BYTES_MAX: Final = 16 * 1024
"""Of uncompressed batches, what is converted at once; a compressed one may hold anything."""


class Converted(NamedTuple):
    """What was read, and what becomes of it for an old client."""

    buffers: list[Buffer]
    records: bytes


Read: TypeAlias = "list[Buffer] | Converted | KafkaError"
"""What a partition's part of a fetch waited for."""


def takes_long_to_convert(records: Buffer) -> bool:
    """Whether the conversion of stored batches would hold up others."""
    if len(records) > _INLINE_BYTES_MAX:
        return True
    return any(header.codec != Codec.NONE for _, header in iterate_headers(memoryview(records)))


def converted(records: Buffer, magic: int, first_offset: int) -> bytes:
    """Stored batches as a message set.

    Args:
        records: The batches.
        magic: Of the messages.
        first_offset: What the client asked for; what lies before is left out where that is easy.

    Raises:
        KafkaError: What is stored does not decode, or the client cannot read it.
    """
    try:
        return down_convert(records, magic, first_offset=first_offset)
    except RecordError as error:
        raise kafka_error(error) from None


async def convert(buffers: list[Buffer], magic: int, first_offset: int) -> Converted:
    """``converted`` in a worker thread.

    Raises:
        KafkaError: As there.
    """
    joined = buffers[0] if len(buffers) == 1 else b"".join(buffers)
    message_set = await anyio.to_thread.run_sync(converted, joined, magic, first_offset)
    return Converted(buffers, message_set)
