"""Lengths of strings and bytes, and arrays of them, old form (int16, int32) and compact form.

A compact length is a varint of length + 1, and 0 is null. Generated code handles one-byte lengths
itself and calls these for the rest. A slice beyond the end is only cut short here: the position
then lies behind the end, and the next read or the final check of `WireMessage.decode` refuses it.
"""

from struct import Struct
from typing import Final

from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError, EncodeError, null_field
from datacore.wire.varint import SINGLE_BYTE, read_uvarint, uvarint

STRING_BYTES_MAX: Final = 32767
"""Kafka's limit in both forms."""

_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")


def string_length(data: Buffer, at: int, field: str) -> tuple[int, int]:
    """Read the compact length (+ 1) of a string that is not null.

    Raises:
        DecodeError: It is null, or longer than a string may be.
    """
    length, at = read_uvarint(data, at)
    if length == 0:
        raise null_field(field)
    if length > STRING_BYTES_MAX + 1:
        raise DecodeError(f"{field} claims {length - 1} bytes, a string has {STRING_BYTES_MAX}")
    return length, at


def bytes_length(data: Buffer, at: int, field: str) -> tuple[int, int]:
    """Read the compact length (+ 1) of bytes or records that are not null.

    Raises:
        DecodeError: They are null.
    """
    length, at = read_uvarint(data, at)
    if length == 0:
        raise null_field(field)
    return length, at


def string_prefix(length: int, field: str) -> bytes:
    """The compact form of a string's length (+ 1).

    Raises:
        EncodeError: The string is too long.
    """
    if length > STRING_BYTES_MAX + 1:
        raise EncodeError(f"{field} has {length - 1} bytes, a string has {STRING_BYTES_MAX}")
    return uvarint(length)


def read_strings(data: Buffer, at: int, count: int, field: str) -> tuple[list[str], int]:
    """Read `count` strings of the old form."""
    values: list[str] = []
    for _ in range(count):
        (length,) = _INT16.unpack_from(data, at)
        if length < 0:
            raise null_field(field)
        at += 2
        end = at + length
        values.append(str(data[at:end], "utf-8"))
        at = end
    return values, at


def read_compact_strings(data: Buffer, at: int, count: int, field: str) -> tuple[list[str], int]:
    """Read `count` strings of the compact form."""
    values: list[str] = []
    for _ in range(count):
        length = data[at]
        if 0 < length < 0x80:
            at += 1
        else:
            length, at = string_length(data, at, field)
        end = at + length - 1
        values.append(str(data[at:end], "utf-8"))
        at = end
    return values, at


def read_byte_strings(data: Buffer, at: int, count: int, field: str) -> tuple[list[bytes], int]:
    """Read `count` bytes of the old form."""
    values: list[bytes] = []
    for _ in range(count):
        (length,) = _INT32.unpack_from(data, at)
        if length < 0:
            raise null_field(field)
        at += 4
        end = at + length
        values.append(bytes(data[at:end]))
        at = end
    return values, at


def read_compact_byte_strings(
    data: Buffer, at: int, count: int, field: str
) -> tuple[list[bytes], int]:
    """Read `count` bytes of the compact form."""
    values: list[bytes] = []
    for _ in range(count):
        length, at = bytes_length(data, at, field)
        end = at + length - 1
        values.append(bytes(data[at:end]))
        at = end
    return values, at


def write_strings(out: list[Buffer], values: list[str]) -> None:
    """Append strings of the old form."""
    for value in values:
        encoded = value.encode()
        out.append(_INT16.pack(len(encoded)))
        out.append(encoded)


def write_compact_strings(out: list[Buffer], values: list[str], field: str) -> None:
    """Append strings of the compact form."""
    for value in values:
        encoded = value.encode()
        length = len(encoded) + 1
        out.append(SINGLE_BYTE[length] if length < 0x80 else string_prefix(length, field))
        out.append(encoded)


def write_byte_strings(out: list[Buffer], values: list[bytes]) -> None:
    """Append bytes of the old form."""
    for value in values:
        out.append(_INT32.pack(len(value)))
        out.append(value)


def write_compact_byte_strings(out: list[Buffer], values: list[bytes]) -> None:
    """Append bytes of the compact form."""
    for value in values:
        out.append(uvarint(len(value) + 1))
        out.append(value)
