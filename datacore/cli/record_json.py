"""Records as JSON, one object a line: what ``consume -o json`` writes, ``produce`` reads.

Bytes that are UTF-8 are a string, others ``{"base64": ...}``, null is null. Of an object that was
consumed, ``produce`` takes key, value, headers and timestamp_ms; where it came from is passed over.
"""

import base64
import binascii
from typing import Any

import msgspec

from datacore.client.consumer import Received
from datacore.record.records import Record


class _Base64(msgspec.Struct):
    base64: str


class _Written(msgspec.Struct):
    """What is read of an object."""

    key: str | _Base64 | None = None
    value: str | _Base64 | None = None
    headers: list[tuple[str, str | _Base64 | None]] = []
    timestamp_ms: int | None = None


_DECODER = msgspec.json.Decoder(_Written)


def encode_record(received: Received) -> bytes:
    """A record as a line of JSON."""
    record = received.record
    return (
        msgspec.json.encode(
            {
                "topic": received.where.topic,
                "partition": received.where.partition,
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
                "key": readable(record.key),
                "value": readable(record.value),
                "headers": [
                    [
                        name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                        readable(v),
                    ]
                    for name, v in record.headers
                ],
            }
        )
        + b"\n"
    )


def decode_record(line: bytes, timestamp_ms: int) -> Record:
    """A line of JSON as a record, with a timestamp where it has none of its own.

    Raises:
        ValueError: It is no such object.
    """
    try:
        found = _DECODER.decode(line)
        return Record(
            timestamp_ms=timestamp_ms if found.timestamp_ms is None else found.timestamp_ms,
            key=_bytes(found.key),
            value=_bytes(found.value),
            headers=[(name, _bytes(value)) for name, value in found.headers],
        )
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise ValueError(str(error)) from None


def readable(data: bytes | None) -> Any:
    """Bytes as JSON has them."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(written: str | _Base64 | None) -> bytes | None:
    if isinstance(written, _Base64):
        return base64.b64decode(written.base64, validate=True)
    return None if written is None else written.encode()
