"""Record sets as clients of any version send and read them."""

from collections.abc import Sequence
from dataclasses import dataclass

from datacore.record.batch import iterate_headers, magic_of
from datacore.record.compression import Codec
from datacore.record.legacy import down_convert, parse_message_set
from datacore.record.records import Record, decode_records, encode_batch
from datacore.wire.buffer import Buffer


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a record looks like to a consumer."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def produced_magic(version: int) -> int:
    """The record format that Produce requests of a version hold."""
    return 2 if version >= 3 else 1 if version == 2 else 0


def fetched_magic(version: int) -> int:
    """The newest record format that Fetch responses of a version may hold."""
    return 2 if version >= 4 else 1 if version >= 2 else 0


def encode(records: Sequence[Record], magic: int, *, codec: Codec = Codec.NONE) -> bytes:
    """A record set as a producer sends it."""
    batch = encode_batch(records, codec=codec)
    return bytes(batch) if magic == 2 else down_convert(batch, magic)


def decode(record_set: Buffer | None, magic: int) -> list[Fetched]:
    """The records of one batch or message set, which must be of that format."""
    assert record_set is not None
    if not record_set:
        return []
    assert magic_of(record_set) == magic
    if magic < 2:
        records = parse_message_set(record_set).records
    else:
        view = memoryview(record_set)
        records = [
            record
            for at, header in iterate_headers(view)
            for record in decode_records(view[at : at + header.size], header)
        ]
    return [
        Fetched(record.offset, record.timestamp_ms, record.key, record.value, tuple(record.headers))
        for record in records
    ]


def as_fetched(
    records: Sequence[Record], *, first_offset: int, sent_as: int, read_as: int
) -> list[Fetched]:
    """What a consumer gets of records that went in as one format and came out as another."""
    return [
        Fetched(
            first_offset + at,
            record.timestamp_ms if min(sent_as, read_as) >= 1 else -1,
            record.key,
            record.value,
            tuple(record.headers) if min(sent_as, read_as) >= 2 else (),
        )
        for at, record in enumerate(records)
    ]
