"""What an answer holds of errors, whichever it is an answer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.wire.message import WireStruct

if TYPE_CHECKING:
    from collections.abc import Iterator


def error_codes(value: object) -> Iterator[int]:
    """Every error code in a message, at whatever depth."""
    if isinstance(value, list):
        for element in value:
            yield from error_codes(element)
    elif isinstance(value, WireStruct):
        for name in value.__slots__:
            if name.endswith("error_code"):
                yield getattr(value, name)
            else:
                yield from error_codes(getattr(value, name))
