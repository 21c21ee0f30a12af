"""lz4 frames as messages of magic 0 hold them: with a header checksum that is wrong.

Kafka's first lz4 writer computed the checksum from the frame's magic number on; the format starts
behind it. Messages of magic 0 keep the wrong one for the sake of those clients (KIP-57), and
Kafka ignores it there when it reads. From magic 1 on frames are as the format says.
"""

from typing import Final

from datacore.record.errors import DecompressionError

_MAGIC_BYTES: Final = 4
_DESCRIPTOR_BYTES_MIN: Final = 2
_CONTENT_SIZE_BIT: Final = 1 << 3
_DICTIONARY_ID_BIT: Final = 1

_PRIME_1: Final = 0x9E3779B1
_PRIME_2: Final = 0x85EBCA77
_PRIME_3: Final = 0xC2B2AE3D
_PRIME_4: Final = 0x27D4EB2F
_PRIME_5: Final = 0x165667B1
_UINT32: Final = 0xFFFF_FFFF


def with_right_checksum(frame: bytes) -> bytes:
    """A frame of a magic 0 message, made readable.

    Raises:
        DecompressionError: It ends within its header.
    """
    checksum_at = _checksum_at(frame)
    return _with_checksum(frame, checksum_at, frame[_MAGIC_BYTES:checksum_at])


def with_wrong_checksum(frame: bytes) -> bytes:
    """A frame without content size and dictionary, for a message of magic 0."""
    checksum_at = _checksum_at(frame)
    return _with_checksum(frame, checksum_at, frame[:checksum_at])


def _checksum_at(frame: bytes) -> int:
    if len(frame) <= _MAGIC_BYTES + _DESCRIPTOR_BYTES_MIN:
        raise DecompressionError("The lz4 data ends early.")
    flags = frame[_MAGIC_BYTES]
    at = _MAGIC_BYTES + _DESCRIPTOR_BYTES_MIN
    if flags & _CONTENT_SIZE_BIT:
        at += 8
    if flags & _DICTIONARY_ID_BIT:
        at += 4
    if len(frame) <= at:
        raise DecompressionError("The lz4 data ends early.")
    return at


def _with_checksum(frame: bytes, checksum_at: int, covered: bytes) -> bytes:
    checksum = _xxh32_short(covered) >> 8 & 0xFF
    return b"%b%c%b" % (frame[:checksum_at], checksum, frame[checksum_at + 1 :])


def _xxh32_short(data: bytes) -> int:
    """xxHash32 with seed 0 of fewer than 16 bytes, which need none of its lanes."""
    value = _PRIME_5 + len(data)
    words_end = len(data) & ~3
    for at in range(0, words_end, 4):
        word = int.from_bytes(data[at : at + 4], "little")
        value = _rotate(value + word * _PRIME_3, 17) * _PRIME_4
    for byte in data[words_end:]:
        value = _rotate(value + byte * _PRIME_5, 11) * _PRIME_1
    value &= _UINT32
    value = (value ^ value >> 15) * _PRIME_2 & _UINT32
    value = (value ^ value >> 13) * _PRIME_3 & _UINT32
    return value ^ value >> 16


def _rotate(value: int, bits: int) -> int:
    value &= _UINT32
    return value << bits | value >> 32 - bits
