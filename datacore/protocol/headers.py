"""Request and response headers, read and written in one step where the connection needs them.

Rules: the header of a request is version 1, or version 2 in flexible versions of its API, which
adds tagged fields (KIP-482) and leaves the client id as it was. The header of a response is
version 0, or 1 with tagged fields in flexible versions; that of ApiVersions is always 0, so that
a client can read it before it knows what the broker speaks (KIP-511). Spec counterparts:
RequestHeader.json and ResponseHeader.json, for which ``datacore._generated`` has codecs too; these
here are their hand-fused equal, which a test compares.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from datacore.wire.errors import DecodeError
from datacore.wire.tagged_fields import read_unknown_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.wire.buffer import Buffer

CLIENT_ID_AT: Final = 10
_CLIENT_ID_NULL: Final = -1

unpack_request_start: Final[Callable[[Buffer, int], tuple[int, int, int]]] = struct.Struct(
    ">Iih"
).unpack_from
"""(API key << 16 | API version, correlation id, length of the client id) from 10 bytes."""

pack_response_start: Final[Callable[[int, int], bytes]] = struct.Struct(">ii").pack
"""Frame size and response header v0, from (size, correlation id)."""

pack_flexible_response_start: Final[Callable[[int, int, int], bytes]] = struct.Struct(">iiB").pack
"""Frame size and response header v1, from (size, correlation id, 0 tagged fields)."""


def read_request_header_end(
    frame: memoryview, client_id_length: int, *, is_flexible: bool
) -> tuple[str | None, int]:
    """Reads what follows the first ten bytes of a request header.

    Args:
        frame: One whole request without its size.
        client_id_length: As ``unpack_request_start`` gave it.
        is_flexible: Whether the header is version 2.

    Returns:
        The client id and where the body starts.

    Raises:
        DecodeError: The header does not fit into the frame or is no header.
    """
    if client_id_length >= 0:
        at = CLIENT_ID_AT + client_id_length
        if at > len(frame):
            raise DecodeError("client id runs past the end of the frame")
        try:
            client_id = str(frame[CLIENT_ID_AT:at], "utf-8")
        except UnicodeDecodeError:
            raise DecodeError("client id is not UTF-8") from None
    elif client_id_length == _CLIENT_ID_NULL:
        at = CLIENT_ID_AT
        client_id = None
    else:
        raise DecodeError("client id of negative length")
    if is_flexible:
        if at >= len(frame):
            raise DecodeError("request header ends before its tagged fields")
        if frame[at] == 0:
            return client_id, at + 1
        try:
            _, at = read_unknown_tags(frame, at, len(frame))
        except IndexError:
            raise DecodeError("tagged fields run past the end of the frame") from None
    return client_id, at
