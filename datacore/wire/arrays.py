"""Arrays of one fixed width, read and written in one call each.

Counts are checked by the caller. Short arrays (replicas, in-sync replicas) use layouts that are
made once.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from datacore.wire.buffer import Buffer

_READY: Final = 32
"""Arrays below this length find their layout ready."""

ArrayReader = Callable[[Buffer, int, int], list[Any]]
ArrayWriter = Callable[[list[Any]], bytes]


def _layout(code: str, count: int) -> Struct:
    # A repeat count before "s" is a width, so a UUID's is repeated itself.
    return Struct(">" + code * count if code.endswith("s") else f">{count}{code}")


def _reader(code: str) -> ArrayReader:
    ready = tuple(_layout(code, count).unpack_from for count in range(_READY))

    def read(data: Buffer, at: int, count: int) -> list[Any]:
        if count < _READY:
            return [*ready[count](data, at)]
        return [*_layout(code, count).unpack_from(data, at)]

    return read


def _writer(code: str) -> ArrayWriter:
    ready = tuple(_layout(code, count).pack for count in range(_READY))

    def write(values: list[Any]) -> bytes:
        count = len(values)
        if count < _READY:
            return ready[count](*values)
        return _layout(code, count).pack(*values)

    return write


read_bools: Final = _reader("?")
read_int8s: Final = _reader("b")
read_int16s: Final = _reader("h")
read_uint16s: Final = _reader("H")
read_int32s: Final = _reader("i")
read_uint32s: Final = _reader("I")
read_int64s: Final = _reader("q")
read_float64s: Final = _reader("d")
read_uuids: Final = _reader("16s")

write_bools: Final = _writer("?")
write_int8s: Final = _writer("b")
write_int16s: Final = _writer("h")
write_uint16s: Final = _writer("H")
write_int32s: Final = _writer("i")
write_uint32s: Final = _writer("I")
write_int64s: Final = _writer("q")
write_float64s: Final = _writer("d")
write_uuids: Final = _writer("16s")
