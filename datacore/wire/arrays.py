"""Arrays of one fixed width, read and written in one call each.

Short arrays (replicas, in-sync replicas) use layouts that are made once and that generated code
calls itself: `INT32S[n]` unpacks an array of n, `COMPACT_INT32S[n]` packs a compact array, whose
length is one byte n = length + 1, together with that byte.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from datacore.wire.buffer import Buffer
from datacore.wire.errors import bad_count

READY: Final = 32
"""Arrays below this length find their layout ready."""

ReadyUnpackers = tuple[Callable[[Buffer, int], tuple[Any, ...]], ...]
ReadyPackers = tuple[Callable[..., bytes], ...]
ArrayReader = Callable[[Buffer, int, int, str], tuple[list[Any], int]]
ArrayWriter = Callable[[list[Any]], bytes]


def _layout(code: str, count: int, prefix: str = "") -> Struct:
    # A repeat count before "s" is a width, so a UUID's code is repeated itself.
    return Struct(f">{prefix}{code * count if code.endswith('s') else f'{count}{code}'}")


def _ready(code: str) -> ReadyUnpackers:
    return tuple(_layout(code, count).unpack_from for count in range(READY))


def _ready_compact(code: str) -> ReadyPackers:
    # There is no n = 0: that is null.
    return tuple(_layout(code, max(n - 1, 0), "B").pack for n in range(READY + 1))


def _reader(code: str) -> ArrayReader:
    size = _layout(code, 1).size

    def read(data: Buffer, at: int, count: int, field: str) -> tuple[list[Any], int]:
        """Read `count` values; DecodeError if the data cannot hold them."""
        if not 0 <= count * size <= len(data) - at:
            raise bad_count(field, count, len(data) - at)
        return [*_layout(code, count).unpack_from(data, at)], at + count * size

    return read


def _writer(code: str) -> ArrayWriter:
    ready = tuple(_layout(code, count).pack for count in range(READY))

    def write(values: list[Any]) -> bytes:
        count = len(values)
        return ready[count](*values) if count < READY else _layout(code, count).pack(*values)

    return write


BOOLS: Final = _ready("?")
INT8S: Final = _ready("b")
INT16S: Final = _ready("h")
UINT16S: Final = _ready("H")
INT32S: Final = _ready("i")
UINT32S: Final = _ready("I")
INT64S: Final = _ready("q")
FLOAT64S: Final = _ready("d")
UUIDS: Final = _ready("16s")

COMPACT_BOOLS: Final = _ready_compact("?")
COMPACT_INT8S: Final = _ready_compact("b")
COMPACT_INT16S: Final = _ready_compact("h")
COMPACT_UINT16S: Final = _ready_compact("H")
COMPACT_INT32S: Final = _ready_compact("i")
COMPACT_UINT32S: Final = _ready_compact("I")
COMPACT_INT64S: Final = _ready_compact("q")
COMPACT_FLOAT64S: Final = _ready_compact("d")
COMPACT_UUIDS: Final = _ready_compact("16s")

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
