"""Record sets in generated requests: what they are is written down, each side makes them itself.

A batch names its producer by a placeholder, so it can only be made when a side knows which id its
broker gave. Until then the field `records` holds a `RecordSpec`, encoded.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st

from datacore.record.batch import iterate_headers
from datacore.record.compression import Codec
from datacore.record.errors import RecordError
from datacore.record.legacy import down_convert, parse_message_set
from datacore.record.records import Record, encode_batch, iterate_records
from datacore.wire.buffer import Buffer

__all__ = ["OF_CLOCKS_MS", "RecordSpec", "record_specs", "shown_records"]

OF_CLOCKS_MS = range(1_750_000_000_000, 5_000_000_000_000)
"""Generated records are from before; later times are a broker's own."""

MS = 1_700_000_000_000
_MARK = b"<records>"


class RecordSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record set as a producer may send it.

    Attributes:
        count: Records in it.
        producer: The placeholder of its producer's id; -1: none.
        epoch: Its producer's epoch.
        sequence: The first record's sequence number.
        transactional: Whether it says that it belongs to a transaction.
        codec: The number of its codec.
        magic: The format.
        keyless: Whether its records have no keys.
        damage: What is wrong with it: "crc", "cut", "twice" or "empty".
    """

    count: int = 1
    producer: int = -1
    epoch: int = -1
    sequence: int = -1
    transactional: bool = False
    codec: int = 0
    magic: int = 2
    keyless: bool = False
    damage: str = ""

    def placed(self) -> bytes:
        """As the field `records` holds it."""
        return _MARK + msgspec.json.encode(self)

    @staticmethod
    def of(records: Buffer) -> "RecordSpec":
        """What a field `records` holds."""
        return msgspec.json.decode(bytes(records)[len(_MARK) :], type=RecordSpec)

    def made(self, producer_id: int) -> bytes:
        """The bytes, by the producer id that the placeholder stands for."""
        if self.damage == "empty":
            return b""
        records = [
            Record(0, MS + at, None if self.keyless else b"k%d" % at, b"v" * 20)
            for at in range(self.count)
        ]
        batch = encode_batch(
            records,
            codec=Codec(self.codec),
            producer_id=producer_id,
            producer_epoch=self.epoch,
            base_sequence=self.sequence,
            transactional=self.transactional,
        )
        content = bytes(batch) if self.magic == 2 else down_convert(batch, self.magic)
        if self.damage == "crc":
            return content[:-1] + bytes([content[-1] ^ 0xFF])
        if self.damage == "cut":
            return content[:-3]
        return content * 2 if self.damage == "twice" else content


def record_specs(*, odd: bool) -> st.SearchStrategy[bytes]:
    """Fields `records`: plain batches, those of producers, and broken ones where odd is wanted."""
    codecs = st.sampled_from((0, 0, 0, 1, 2, 3, 4))
    plain = st.builds(RecordSpec, count=st.sampled_from((1, 1, 2, 3)), codec=codecs)
    produced = st.builds(
        RecordSpec,
        count=st.sampled_from((1, 1, 2)),
        producer=st.sampled_from((8_000_000_000, 8_000_000_000, 8_000_000_001, 999_999)),
        epoch=st.sampled_from((0, 0, 0, 1)),
        sequence=st.sampled_from((0, 0, 1, 2, 3, 7)),
        transactional=st.sampled_from((False, False, True)),
    )
    kinds = plain | produced
    if odd:
        damaged = st.sampled_from(("", "crc", "cut", "twice", "empty"))
        kinds |= st.builds(
            RecordSpec,
            magic=st.sampled_from((2, 2, 1, 0)),
            keyless=st.booleans(),
            damage=damaged,
        )
    return kinds.map(RecordSpec.placed)


def shown_records(records: Buffer | None, named: Callable[[int], object]) -> Any:
    """What is comparable of a fetched record set: batches and records, cut ones left out."""
    if records is None:
        return None
    try:
        return list(_batches(memoryview(bytes(records)), named))
    except RecordError as error:
        return f"unreadable: {type(error).__name__}"


def _batches(view: memoryview, named: Callable[[int], object]) -> Iterator[Any]:
    if len(view) > 16 and view[16] < 2:
        for message in _messages(view):
            found = parse_message_set(message)
            yield from ((each.offset, _time(each.timestamp_ms), each.key) for each in found.records)
        return
    for at, header in iterate_headers(view):
        if at + header.size > len(view):
            return
        records = iterate_records(view[at : at + header.size], header)
        yield (
            header.base_offset,
            header.attributes,
            named(header.producer_id),
            header.producer_epoch,
            header.base_sequence,
            [
                # The version and coordinator's epoch in a marker's value are its broker's own.
                (each.offset, _time(each.timestamp_ms), each.key)
                for each in records
            ],
        )


def _messages(view: memoryview) -> Iterator[memoryview]:
    """Each whole message or wrapper of a set, as a set of its own."""
    at = 0
    while at + 12 <= len(view):
        end = at + 12 + int.from_bytes(view[at + 8 : at + 12])
        if end > len(view):
            return
        yield view[at:end]
        at = end


def _time(timestamp_ms: int) -> int | None:
    return None if timestamp_ms in OF_CLOCKS_MS else timestamp_ms
