r"""Records as text: ``--print`` puts fields before the value, ``--format`` is a template.

The letters of a template are those of ``rpk topic consume``: %t topic, %p partition, %o offset,
%d timestamp in milliseconds, %k key, %v value, %h headers, %K and %V sizes in bytes, %% itself;
``\n``, ``\t`` and ``\\`` are escapes.
"""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Final

from datacore.cli.failure import Mistake
from datacore.client.consumer import Received

Encoding = Callable[[bytes], bytes]
Writer = Callable[[Received], bytes]

FIELDS: Final = ("timestamp", "partition", "offset", "headers", "key")
"""What ``--print`` knows, in the fixed order of Kafka's own console consumer."""

ENCODINGS: Final[dict[str, Encoding]] = {
    "text": lambda data: data,
    "hex": lambda data: data.hex().encode(),
    "base64": base64.b64encode,
}
_PART: Final = re.compile(rb"%(.)|\\(.)|([^%\\]+)|(.)", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"\\": b"\\"}


def fields_writer(fields: Sequence[str], key: Encoding, value: Encoding) -> Writer:
    """Writes some fields and the value, tabs between and a line each."""
    parts = [_FIELDS[field](key) for field in FIELDS if field in fields] + [_value(value)]
    return lambda received: b"\t".join([part(received) for part in parts]) + b"\n"


def template_writer(template: str, key: Encoding, value: Encoding) -> Writer:
    """Writes what a template says, and nothing between two records.

    Raises:
        Mistake: The template has a letter or an escape that means nothing.
    """
    letters: dict[bytes, Writer] = {
        b"t": lambda received: received.where.topic.encode(),
        b"p": _FIELDS["partition"](key),
        b"o": _FIELDS["offset"](key),
        b"d": _FIELDS["timestamp"](key),
        b"k": _FIELDS["key"](key),
        b"v": _value(value),
        b"h": _FIELDS["headers"](key),
        b"K": lambda received: _size(received.record.key),
        b"V": lambda received: _size(received.record.value),
        b"%": lambda _received: b"%",
    }
    parts: list[Writer] = []
    for letter, escape, literal, stray in _PART.findall(template.encode()):
        if stray or (letter and letter not in letters) or (escape and escape not in _ESCAPES):
            shown = (stray or b"%" + letter if not escape else b"\\" + escape).decode()
            raise Mistake(f"--format: {shown!r} means nothing: `datacore consume --help`")
        parts.append(letters[letter] if letter else _literal(_ESCAPES.get(escape, literal)))
    return lambda received: b"".join([part(received) for part in parts])


def _literal(text: bytes) -> Writer:
    return lambda _received: text


def _value(encoding: Encoding) -> Writer:
    return lambda received: _or_null(received.record.value, encoding)


def _headers(received: Received) -> bytes:
    return b",".join(
        name.encode("utf-8", "surrogateescape") + b"=" + _or_null(value, ENCODINGS["text"])
        for name, value in received.record.headers
    )


def _or_null(data: bytes | None, encoding: Encoding) -> bytes:
    return b"null" if data is None else encoding(data)


def _size(data: bytes | None) -> bytes:
    return b"-1" if data is None else str(len(data)).encode()


_FIELDS: Final[dict[str, Callable[[Encoding], Writer]]] = {
    "timestamp": lambda _key: lambda received: str(received.record.timestamp_ms).encode(),
    "partition": lambda _key: lambda received: str(received.where.partition).encode(),
    "offset": lambda _key: lambda received: str(received.record.offset).encode(),
    "headers": lambda _key: _headers,
    "key": lambda key: lambda received: _or_null(received.record.key, key),
}
