"""Metrics as OpenTelemetry writes them (OTLP 1.x, ``MetricsData``), read out of protobuf.

Only what a broker keeps of them: name, unit, kind, attributes, value. Fields of other numbers are
skipped, as protobuf wants it. Rules: each length is checked against what is there; a message holds
so many points at most. Facts are those of ``opentelemetry/proto/metrics/v1/metrics.proto``.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

POINTS_MAX: Final = 10_000
FIELDS_MAX: Final = 100_000
"""Of one message: a broker reads it between the requests of others."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DELTA: Final = 1
_DOUBLE: Final = struct.Struct("<d")
_INT64: Final = struct.Struct("<q")


class OtlpError(ValueError):
    """The bytes are no metrics."""


class Kind(Enum):
    """What a metric is, by its field in ``Metric``."""

    GAUGE = 5
    SUM = 7
    HISTOGRAM = 9
    EXPONENTIAL_HISTOGRAM = 10
    SUMMARY = 11


class Point(msgspec.Struct, frozen=True):
    """One value of one metric.

    Attributes:
        name: The metric's name.
        kind: What it is.
        unit: Its unit, as OpenTelemetry spells it; empty where nobody says.
        attributes: Of the point itself, in the order of their names.
        value: The value; of a histogram or summary its sum.
        count: How many values a histogram or summary holds; 0 for others.
        is_delta: Whether it counts since the last push, and not since the beginning.
        time_ns: When it was taken, since the epoch; 0 where nobody says.
    """

    name: str
    kind: Kind
    unit: str
    attributes: tuple[tuple[str, str], ...]
    value: float
    count: int
    is_delta: bool
    time_ns: int


def decode_metrics(data: bytes) -> list[Point]:
    """Every point of a message.

    Raises:
        OtlpError: The bytes are no such message, or hold too many points.
    """
    points: list[Point] = []
    reader = _Reader(FIELDS_MAX)
    try:
        for resource_metrics in reader.messages(data, 1):
            for scope_metrics in reader.messages(resource_metrics, 2):
                for metric in reader.messages(scope_metrics, 2):
                    for point in _metric(reader, metric):
                        points.append(point)
                        if len(points) > POINTS_MAX:
                            raise OtlpError(f"more than {POINTS_MAX} points in one message")
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise OtlpError(f"not metrics of OpenTelemetry: {error}") from None
    return points


def _metric(reader: _Reader, data: bytes) -> Iterator[Point]:
    name, unit = "", ""
    kinds: list[tuple[Kind, bytes]] = []
    for number, value in reader.fields(data):
        if number in _KIND_NUMBERS:
            kinds.append((Kind(number), _as_bytes(value)))
        elif number == 1:
            name = _text(value)
        elif number == 3:
            unit = _text(value)
    for kind, body in kinds:
        temporality = next((v for number, v in reader.fields(body) if number == 2), 0)
        for point in reader.messages(body, 1):
            yield _point(reader, name, kind, unit, point, is_delta=temporality == _DELTA)


def _point(
    reader: _Reader, name: str, kind: Kind, unit: str, data: bytes, *, is_delta: bool
) -> Point:
    is_number = kind in (Kind.GAUGE, Kind.SUM)
    attribute_field = _ATTRIBUTE_FIELDS[kind]
    attributes = []
    value, count, time_ns = 0.0, 0, 0
    for number, field in reader.fields(data):
        if number == attribute_field:
            attributes.append(_attribute(reader, _as_bytes(field)))
        elif number == 3:
            time_ns = _unsigned(field)
        elif number == 4 and is_number:
            (value,) = _DOUBLE.unpack(_as_bytes(field))
        elif number == 6 and is_number:
            (value,) = _INT64.unpack(_as_bytes(field))
        elif number == 4:
            count = _unsigned(field)
        elif number == 5 and not is_number:
            (value,) = _DOUBLE.unpack(_as_bytes(field))
    return Point(name, kind, unit, tuple(sorted(attributes)), value, count, is_delta, time_ns)


def _attribute(reader: _Reader, data: bytes) -> tuple[str, str]:
    """A name and the text of its value, of whatever type that is."""
    key, text = "", ""
    for number, value in reader.fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            text = _any_value(reader, _as_bytes(value))
    return key, text


def _any_value(reader: _Reader, data: bytes) -> str:
    for number, value in reader.fields(data):
        match number, value:
            case 1, bytes():
                return value.decode()
            case 2, int():
                return "true" if value else "false"
            case 3, int():
                return str(value - (1 << 64) if value >> 63 else value)
            case 4, bytes():
                return str(_DOUBLE.unpack(value)[0])
            case 7, bytes():
                return value.hex()
            case _:
                continue  # arrays and maps are not kept
    return ""


# --- protobuf


class _Reader:
    """Reads so many fields at most."""

    def __init__(self, fields_max: int) -> None:
        self._fields_left = fields_max

    def fields(self, data: bytes) -> Iterator[tuple[int, int | bytes]]:
        """Each field's number and its value; of a fixed width as its bytes."""
        at, end = 0, len(data)
        while at < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise OtlpError(f"more than {FIELDS_MAX} fields in one message")
            tag, at = _varint(data, at)
            number, wire_type = tag >> 3, tag & 7
            if wire_type == _VARINT:
                value, at = _varint(data, at)
                yield number, value
                continue
            if wire_type == _BYTES:
                size, at = _varint(data, at)
            elif wire_type in (_FIXED64, _FIXED32):
                size = 8 if wire_type == _FIXED64 else 4
            else:
                raise OtlpError(f"wire type {wire_type} is not of this age")
            if size > end - at:
                raise OtlpError(f"a field of {size} bytes where {end - at} are left")
            yield number, data[at : at + size]
            at += size

    def messages(self, data: bytes, wanted: int) -> Iterator[bytes]:
        """The messages of one number."""
        return (_as_bytes(value) for number, value in self.fields(data) if number == wanted)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise OtlpError("a number of more than ten bytes")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise OtlpError("a number where a message was due")
    return value


def _text(value: int | bytes) -> str:
    return _as_bytes(value).decode()


def _unsigned(value: int | bytes) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "little")


_KIND_NUMBERS: Final = frozenset(kind.value for kind in Kind)
_ATTRIBUTE_FIELDS: Final = {
    Kind.GAUGE: 7,
    Kind.SUM: 7,
    Kind.HISTOGRAM: 9,
    Kind.EXPONENTIAL_HISTOGRAM: 1,
    Kind.SUMMARY: 7,
}
