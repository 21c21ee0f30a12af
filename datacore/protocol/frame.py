"""Frames of the Kafka protocol: a signed 32-bit size, then that many bytes.

Rules: a size is judged before anything is allocated for it. Whatever cannot be a frame is named
for the log as what it looks like, because the sender is most often a browser, a TLS client or a
port scanner that was pointed at the wrong port.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.wire.buffer import Buffer

SIZE_BYTES: Final = 4
REQUEST_BYTES_MIN: Final = 10
"""Size of the smallest request: a header v1 with a null client id, and an empty body."""

unpack_size: Final[Callable[[Buffer, int], tuple[int]]] = struct.Struct(">i").unpack_from
"""(size,) of the frame that starts at an offset."""

_FOREIGN_OPENINGS: Final = (
    (b"GET ", "an HTTP request"),
    (b"POST", "an HTTP request"),
    (b"PUT ", "an HTTP request"),
    (b"HEAD", "an HTTP request"),
    (b"OPTI", "an HTTP request"),
    (b"DELE", "an HTTP request"),
    (b"CONN", "an HTTP request"),
    (b"PRI ", "an HTTP/2 preface"),
    (b"SSH-", "an SSH client"),
    (b"PROX", "a PROXY protocol header"),
    (b"\x16\x03", "a TLS handshake on a plaintext listener"),
    (b"\x80", "a negative size or an SSLv2 hello"),
)


def describe_bad_size(opening: bytes, size: int, request_bytes_max: int) -> str:
    """Says in a few words what four bytes that are no acceptable size look like.

    Args:
        opening: The bytes that ``size`` was read from.
        size: What they mean as a size.
        request_bytes_max: The largest size accepted.
    """
    for prefix, name in _FOREIGN_OPENINGS:
        if opening.startswith(prefix):
            return f"looks like {name}"
    if size < 0:
        return f"frame of negative size {size}"
    if size > request_bytes_max:
        return f"frame of {size} bytes, above socket.request.max.bytes={request_bytes_max}"
    return f"frame of {size} bytes, too short for a request header"
