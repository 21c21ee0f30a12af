"""Unsigned and zigzag varints (KIP-482 and the record format): seven bits a byte, lowest first.

Kafka's counterpart is org.apache.kafka.common.utils.ByteUtils. Generated code reads and writes
the one-byte case itself and calls these for longer ones.
"""

from struct import Struct
from typing import Final

from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError, EncodeError

SINGLE_BYTE: Final = tuple(bytes((value,)) for value in range(128))
"""The varints of 0 to 127."""

UVARINT32_MAX: Final = 2**32 - 1

_pack_two: Final = Struct("2B").pack
_pack_three: Final = Struct("3B").pack


def read_uvarint(data: Buffer, at: int) -> tuple[int, int]:
    """Read an unsigned varint of up to 32 bits.

    Returns:
        The value and the position behind it.

    Raises:
        DecodeError: It is longer than 32 bits.
        IndexError: The data ends inside it.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > UVARINT32_MAX:
                raise DecodeError("varint of more than 32 bits")
            return value, at
        shift += 7
        if shift > 28:
            raise DecodeError("varint of more than five bytes")


def uvarint(value: int) -> bytes:
    """An unsigned varint of up to 32 bits.

    Raises:
        EncodeError: The value does not fit.
    """
    if 0 <= value < 0x80:
        return SINGLE_BYTE[value]
    # What record sets measure, most of them.
    if 0 < value < 0x4000:
        return _pack_two(value & 0x7F | 0x80, value >> 7)
    if 0 < value < 0x20_0000:
        return _pack_three(value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14)
    if not 0 <= value <= UVARINT32_MAX:
        raise EncodeError(f"{value} is no unsigned 32-bit integer")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: Buffer, at: int) -> tuple[int, int]:
    """Read a signed (zigzag) varint of up to 32 bits; otherwise like `read_uvarint`."""
    value, at = read_uvarint(data, at)
    return (value >> 1) ^ -(value & 1), at


def varint(value: int) -> bytes:
    """A signed (zigzag) varint of up to 32 bits.

    Raises:
        EncodeError: The value does not fit.
    """
    if not -(2**31) <= value < 2**31:
        raise EncodeError(f"{value} is no 32-bit integer")
    return uvarint((value << 1) ^ (value >> 31))


def read_varlong(data: Buffer, at: int) -> tuple[int, int]:
    """Read a signed (zigzag) varint of up to 64 bits; otherwise like `read_uvarint`."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                raise DecodeError("varint of more than 64 bits")
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise DecodeError("varint of more than ten bytes")


def varlong(value: int) -> bytes:
    """A signed (zigzag) varint of up to 64 bits.

    Raises:
        EncodeError: The value does not fit.
    """
    if not -(2**63) <= value < 2**63:
        raise EncodeError(f"{value} is no 64-bit integer")
    zigzag = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while zigzag > 0x7F:
        encoded.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    encoded.append(zigzag)
    return bytes(encoded)
