"""Frames that no client should send, made from those that Java's clients do send.

Every frame follows from a seed, so that one that does harm can be made again.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, Final

from datacore._generated.api_keys import ApiKey, request_class, request_header_version
from datacore.handlers.table import TABLE
from tests.golden.corpus import messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_STRANGERS: Final = (
    b"GET / HTTP/1.1\r\nHost: kafka:9092\r\nUser-Agent: curl/8.5.0\r\n\r\n",
    b"POST /topics HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    b"*1\r\n$4\r\nPING\r\n",
)
_LARGE_NUMBERS: Final = (
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x00\x00\x00",
    b"\x7f\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
)


@cache
def valid_requests() -> tuple[tuple[ApiKey, int, bytes], ...]:
    """(API, version, body) of every request in the golden corpus that the broker serves."""
    keys = {request_class(key).__name__: key for key in TABLE}
    return tuple(
        (keys[vector.message], vector.version, vector.body)
        for vector in messages()
        if vector.kind == "request"
        and vector.message in keys
        and TABLE[keys[vector.message]].min_version
        <= vector.version
        <= TABLE[keys[vector.message]].max_version
    )


def frame_of(key: int, version: int, body: bytes, *, is_flexible: bool) -> bytes:
    """A whole frame around a body."""
    header = struct.pack(">hhih", key, version, 1, 5) + b"storm" + b"\x00" * is_flexible
    return struct.pack(">i", len(header) + len(body)) + header + body


def valid_frame(key: ApiKey, version: int, body: bytes) -> bytes:
    """A whole frame around a body of an API that the broker serves."""
    return frame_of(key, version, body, is_flexible=request_header_version(key, version) >= 2)


def malformed_frame(random: Random) -> bytes:
    """One frame, malformed in a way of chance."""
    return random.choice(_WAYS)(random)


def _stranger(random: Random) -> bytes:
    return random.choice(_STRANGERS)


def _garbage(random: Random) -> bytes:
    return random.randbytes(random.randrange(1, 300))


def _bad_size(random: Random) -> bytes:
    size = random.choice(
        (random.randrange(-(2**31), 0), random.randrange(10), random.randrange(2**20, 2**31))
    )
    return struct.pack(">i", size) + random.randbytes(random.randrange(60))


def _unknown_api(random: Random) -> bytes:
    key, version = random.randrange(-(2**15), 2**15), random.randrange(-(2**15), 2**15)
    return frame_of(key, version, random.randbytes(random.randrange(60)), is_flexible=False)


def _garbage_body(random: Random) -> bytes:
    key, version, _ = random.choice(valid_requests())
    return valid_frame(key, version, random.randbytes(random.randrange(200)))


def _cut_body(random: Random) -> bytes:
    key, version, body = random.choice(valid_requests())
    return valid_frame(key, version, body[: random.randrange(len(body) + 1)])


def _cut_frame(random: Random) -> bytes:
    frame = valid_frame(*random.choice(valid_requests()))
    return frame[: random.randrange(1, len(frame))]


def _large_counts(random: Random) -> bytes:
    key, version, body = random.choice(valid_requests())
    at = random.randrange(len(body) + 1)
    number = random.choice(_LARGE_NUMBERS)
    return valid_frame(key, version, body[:at] + number + body[at + len(number) :])


def _flipped_bytes(random: Random) -> bytes:
    frame = bytearray(valid_frame(*random.choice(valid_requests())))
    for _ in range(random.randrange(1, 5)):
        frame[random.randrange(len(frame))] = random.randrange(256)
    return bytes(frame)


def _other_version(random: Random) -> bytes:
    key, _, body = random.choice(valid_requests())
    api = TABLE[key]
    return valid_frame(key, random.randint(api.min_version, api.max_version), body)


_WAYS: Final[tuple[Callable[[Random], bytes], ...]] = (
    _stranger,
    _garbage,
    _bad_size,
    _unknown_api,
    _garbage_body,
    _cut_body,
    _cut_frame,
    _large_counts,
    _flipped_bytes,
    _other_version,
)
