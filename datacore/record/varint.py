"""Zig-zag varints, by which the fields of a record of magic 2 are written (KIP-98).

The low bit of the number is its sign; seven bits go into each byte, the lowest first, and a set
high bit says that more follow. Kafka's counterpart is ``ByteUtils.readVarint`` and ``readVarlong``.
"""

from typing import Final

from datacore.record.errors import InvalidRecord

INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1


def zigzag(value: int) -> bytes:
    """A number as a varint.

    Raises:
        InvalidRecord: It takes more than 64 bits.
    """
    if 0 <= value < len(_SMALL):
        return _SMALL[value]
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidRecord(f"{value} takes more than 64 bits.")
    return _unsigned(value << 1 if value >= 0 else ~(value << 1))


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The 32-bit number at ``at``, and where it ends.

    Raises:
        InvalidRecord: It takes more than 32 bits.
        IndexError: The data ends before it does.
    """
    low = data[at]
    if low < 0x80:
        return ZIGZAG[low], at + 1
    high = data[at + 1]
    if high < 0x80:
        value = low & 0x7F | high << 7
        return value >> 1 ^ -(value & 1), at + 2
    return _read(data, at, 32)


def read_varlong(data: bytes, at: int) -> tuple[int, int]:
    """The 64-bit number at ``at``, and where it ends.

    Raises:
        InvalidRecord: It takes more than 64 bits.
        IndexError: The data ends before it does.
    """
    low = data[at]
    if low < 0x80:
        return ZIGZAG[low], at + 1
    high = data[at + 1]
    if high < 0x80:
        value = low & 0x7F | high << 7
        return value >> 1 ^ -(value & 1), at + 2
    return _read(data, at, 64)


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read(data: bytes, at: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) > 0x7F:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if shift >= bits:
            raise InvalidRecord(f"A varint of more than {bits} bits.")
    value |= byte << shift
    if value >> bits:
        raise InvalidRecord(f"A varint of more than {bits} bits.")
    return value >> 1 ^ -(value & 1), at + 1


_SMALL: Final = tuple(_unsigned(value << 1) for value in range(1 << 12))
"""The lengths and deltas that most records have, written once."""

ZIGZAG: Final = tuple(byte >> 1 ^ -(byte & 1) for byte in range(0x80))
"""What a varint of a single byte means, by that byte."""
