"""What is said about frames that are none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.protocol.frame import REQUEST_BYTES_MIN, describe_bad_size, unpack_size

REQUEST_BYTES_MAX = 1000


@pytest.mark.parametrize(
    ("opening", "said"),
    [
        (b"GET ", "HTTP"),
        (b"POST", "HTTP"),
        (b"\x16\x03\x01\x02", "TLS"),
        (b"SSH-", "SSH"),
        (b"PROX", "PROXY"),
        (struct.pack(">i", -5), "negative size -5"),
        (struct.pack(">i", 1001), "1001 bytes, above socket.request.max.bytes=1000"),
        (struct.pack(">i", 9), "9 bytes, too short"),
    ],
)
def test_a_stranger_is_named(opening: bytes, said: str) -> None:
    assert said in describe_bad_size(opening, unpack_size(opening, 0)[0], REQUEST_BYTES_MAX)


@given(st.binary(min_size=4, max_size=4))
def test_every_bad_size_is_described_in_one_printable_line(opening: bytes) -> None:
    (size,) = unpack_size(opening, 0)
    if not REQUEST_BYTES_MIN <= size <= REQUEST_BYTES_MAX:
        assert describe_bad_size(opening, size, REQUEST_BYTES_MAX).isprintable()
