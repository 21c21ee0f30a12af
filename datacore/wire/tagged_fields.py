"""Tagged fields (KIP-482): varint count, then tag, size and bytes of each, tags rising.

A tag that a version does not know is kept as it came and written again in its place, as Kafka does.
"""

from collections.abc import Iterable
from operator import itemgetter
from typing import TypeAlias

from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError, EncodeError
from datacore.wire.varint import read_uvarint, uvarint

TaggedFields: TypeAlias = tuple[tuple[int, bytes], ...]
"""Tag and bytes of each field, in order of tags."""


def read_tag(data: Buffer, at: int, size: int) -> tuple[int, int, int]:
    """Read a tagged field's head.

    Returns:
        The tag, where its bytes start, and where they end.

    Raises:
        DecodeError: They would end behind the data.
    """
    tag, at = read_uvarint(data, at)
    length, at = read_uvarint(data, at)
    if length > size - at:
        raise DecodeError(f"tagged field {tag} claims {length} bytes of {size - at}")
    return tag, at, at + length


def read_unknown_tags(data: Buffer, at: int, size: int) -> tuple[TaggedFields, int]:
    """Read a section of tagged fields of which none is known, from its count on."""
    count, at = read_uvarint(data, at)
    if count * 2 > size - at:
        raise DecodeError(f"{count} tagged fields in {size - at} bytes")
    fields: list[tuple[int, bytes]] = []
    for _ in range(count):
        tag, at, end = read_tag(data, at, size)
        fields.append((tag, bytes(data[at:end])))
        at = end
    return tuple(fields), at


def write_tags(out: list[Buffer], fields: Iterable[tuple[int, bytes]]) -> None:
    """Append a whole section of tagged fields, sorted by tag.

    Raises:
        EncodeError: A tag is there twice.
    """
    in_order = sorted(fields, key=itemgetter(0))
    out.append(uvarint(len(in_order)))
    previous = -1
    for tag, value in in_order:
        if tag == previous:
            raise EncodeError(f"tagged field {tag} is there twice")
        previous = tag
        out.append(uvarint(tag))
        out.append(uvarint(len(value)))
        out.append(value)
