"""Varints as Kafka writes them, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.wire.errors import DecodeError, EncodeError
from datacore.wire.varint import (
    read_uvarint,
    read_varint,
    read_varlong,
    uvarint,
    varint,
    varlong,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2**14 - 1, "ff7f"),
        (2**14, "808001"),
        (15_557, "c579"),
        (1_000_000, "c0843d"),
        (2**21 - 1, "ffff7f"),
        (2**21, "80808001"),
        (2**31 - 1, "ffffffff07"),
        (2**32 - 1, "ffffffff0f"),
    ],
)
def test_unsigned_varints_are_kafkas(value: int, encoded: str) -> None:
    assert uvarint(value).hex() == encoded
    assert read_uvarint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (-64, "7f"),
        (64, "8001"),
        (2**31 - 1, "feffffff0f"),
        (-(2**31), "ffffffff0f"),
    ],
)
def test_signed_varints_are_kafkas(value: int, encoded: str) -> None:
    assert varint(value).hex() == encoded == varlong(value).hex()
    assert read_varint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)
    assert read_varlong(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=3))
def test_unsigned_varints_come_back(value: int, before: bytes) -> None:
    encoded = before + uvarint(value)
    assert read_uvarint(encoded + b"\xff", len(before)) == (value, len(encoded))


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_longs_come_back(value: int) -> None:
    encoded = varlong(value)
    assert read_varlong(encoded, 0) == (value, len(encoded))
    assert len(encoded) <= 10


@pytest.mark.parametrize("encoded", ["ffffffffff0f", "8080808080", "ffffffff1f"])
def test_more_than_32_bits_are_refused(encoded: str) -> None:
    with pytest.raises(DecodeError, match="varint of more than"):
        read_uvarint(bytes.fromhex(encoded), 0)


@pytest.mark.parametrize("encoded", ["ff" * 10 + "01", "ff" * 9 + "02"])
def test_more_than_64_bits_are_refused(encoded: str) -> None:
    with pytest.raises(DecodeError, match="varint of more than"):
        read_varlong(bytes.fromhex(encoded), 0)


def test_a_varint_that_is_longer_than_it_need_be_is_taken_as_kafka_does() -> None:
    assert read_uvarint(b"\x81\x00", 0) == (1, 2)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_what_does_not_fit_unsigned_is_refused(value: int) -> None:
    with pytest.raises(EncodeError):
        uvarint(value)


def test_what_does_not_fit_signed_is_refused() -> None:
    with pytest.raises(EncodeError):
        varint(2**31)
    with pytest.raises(EncodeError):
        varlong(-(2**63) - 1)
