"""The fused header code against the generated codecs of the same headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore._generated.request_header import RequestHeader
from datacore._generated.response_header import ResponseHeader
from datacore.protocol.headers import (
    pack_flexible_response_start,
    pack_response_start,
    read_request_header_end,
    unpack_request_start,
)
from datacore.wire.errors import DecodeError

int16 = st.integers(-(2**15), 2**15 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)


@given(int16, int16, int32, st.none() | st.text(), st.booleans(), st.binary())
def test_request_headers_are_read_as_the_spec_says(
    api_key: int,
    api_version: int,
    correlation_id: int,
    client_id: str | None,
    is_flexible: bool,  # noqa: FBT001  # hypothesis gives it
    body: bytes,
) -> None:
    header = RequestHeader(
        request_api_key=api_key,
        request_api_version=api_version,
        correlation_id=correlation_id,
        client_id=client_id,
    ).encode(2 if is_flexible else 1)

    key_and_version, read_correlation_id, length = unpack_request_start(header + body, 0)
    read_client_id, at = read_request_header_end(
        memoryview(header + body), length, is_flexible=is_flexible
    )

    assert key_and_version == (api_key & 0xFFFF) << 16 | api_version & 0xFFFF
    assert read_correlation_id == correlation_id
    assert read_client_id == client_id
    assert at == len(header)


def test_tagged_fields_that_nobody_knows_are_skipped() -> None:
    header = RequestHeader(
        correlation_id=1, client_id="me", unknown_tagged_fields=((3, b"abc"), (900, b""))
    ).encode(2)

    assert read_request_header_end(memoryview(header + b"body"), 2, is_flexible=True) == (
        "me",
        len(header),
    )


@given(st.binary(max_size=40), st.integers(-3, 60), st.booleans())
def test_any_bytes_are_a_header_or_a_decode_error(
    data: bytes,
    length: int,
    is_flexible: bool,  # noqa: FBT001  # hypothesis gives it
) -> None:
    frame = memoryview(bytes(10) + data)
    try:
        _, at = read_request_header_end(frame, length, is_flexible=is_flexible)
    except DecodeError:
        return
    assert 10 <= at <= len(frame)


@pytest.mark.parametrize("correlation_id", [0, 7, -1, 2**31 - 1])
def test_response_headers_are_written_as_the_spec_says(correlation_id: int) -> None:
    header = ResponseHeader(correlation_id=correlation_id)

    assert pack_response_start(4, correlation_id) == b"\x00\x00\x00\x04" + header.encode(0)
    assert pack_flexible_response_start(5, correlation_id, 0) == (
        b"\x00\x00\x00\x05" + header.encode(1)
    )
