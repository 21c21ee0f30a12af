import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.record.errors import InvalidRecord
from datacore.record.varint import read_varint, read_varlong, zigzag
from tests.record import kafka_python

EDGES = [0, -1, 1, 63, 64, -64, -65, 4095, 4096, 8191, 8192, (1 << 31) - 1, -(1 << 31)]
LONG_EDGES = [*EDGES, 1 << 31, (1 << 63) - 1, -(1 << 63)]


@given(st.integers(-(1 << 62), (1 << 62) - 1) | st.sampled_from(LONG_EDGES[:-2]))
def test_varints_are_those_of_kafka_python(value: int) -> None:
    encoded = zigzag(value)
    assert encoded == kafka_python.write_varint(value)
    assert kafka_python.read_varint(encoded) == read_varlong(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize("value", EDGES)
def test_32_bits_come_back(value: int) -> None:
    encoded = zigzag(value)
    assert read_varint(b"at" + encoded, 2) == (value, 2 + len(encoded))


@pytest.mark.parametrize("value", LONG_EDGES)
def test_64_bits_come_back(value: int) -> None:
    encoded = zigzag(value)
    assert len(encoded) <= 10
    assert read_varlong(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize("value", [1 << 31, -(1 << 31) - 1])
def test_more_than_32_bits_are_refused(value: int) -> None:
    with pytest.raises(InvalidRecord):
        read_varint(zigzag(value), 0)


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1])
def test_more_than_64_bits_are_not_written(value: int) -> None:
    with pytest.raises(InvalidRecord):
        zigzag(value)


def test_overlong_varint_is_refused() -> None:
    with pytest.raises(InvalidRecord):
        read_varint(b"\x80" * 5 + b"\x00", 0)
    with pytest.raises(InvalidRecord):
        read_varlong(b"\x80" * 10 + b"\x00", 0)
