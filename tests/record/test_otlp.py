"""Metrics of OpenTelemetry: a real push of a Java client, and what is no push."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from datacore.record.otlp import FIELDS_MAX, POINTS_MAX, Kind, OtlpError, Point, decode_metrics

# What the producer of Kafka 4.1.1 pushed while it sent 3,000 records to the topic "t".
PUSH = zstandard.ZstdDecompressor().decompress(
    Path(__file__).with_name("push_of_java_4_1_1.otlp.zst").read_bytes()
)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: bytes | int) -> bytes:
    """One field: a message or text, or a number."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def eight_bytes(number: int, layout: str, value: float) -> bytes:
    """One field of a fixed width."""
    return varint(number << 3 | 1) + struct.pack(layout, value)


def metrics_data(*metrics: bytes) -> bytes:
    scope = b"".join(field(2, metric) for metric in metrics)
    return field(1, field(2, scope))


def attribute(name: str, value: bytes) -> bytes:
    return field(1, name.encode()) + field(2, value)


def test_every_metric_of_a_java_producer_is_read() -> None:
    points = {(point.name, point.attributes): point for point in decode_metrics(PUSH)}
    assert len(points) == 108
    sent = points["org.apache.kafka.producer.record.send.total", ()]
    assert (sent.kind, sent.is_delta) == (Kind.SUM, True)
    of_topic = points["org.apache.kafka.producer.topic.byte.rate", (("topic", "t"),)]
    assert of_topic.kind is Kind.GAUGE
    assert of_topic.value > 0
    assert of_topic.time_ns > 1_700_000_000 * 10**9


def test_each_kind_of_point_is_read() -> None:
    text, number = field(1, b"x"), field(3, (1 << 64) - 5)
    histogram = field(1, eight_bytes(4, "<q", 3) + eight_bytes(5, "<d", 1.5))
    read = decode_metrics(
        metrics_data(
            field(1, b"sum")
            + field(3, b"By")
            + field(
                7,
                field(
                    1,
                    eight_bytes(6, "<q", -7)
                    + field(7, attribute("b", number))
                    + field(7, attribute("a", text)),
                )
                + field(2, 2),
            ),
            field(1, b"latency") + field(9, histogram + field(2, 1)),
        )
    )
    assert read == [
        Point("sum", Kind.SUM, "By", (("a", "x"), ("b", "-5")), -7, 0, is_delta=False, time_ns=0),
        Point("latency", Kind.HISTOGRAM, "", (), 1.5, 3, is_delta=True, time_ns=0),
    ]


def test_a_message_holds_so_many_points_at_most() -> None:
    gauge = b"".join(field(1, b"") for _ in range(POINTS_MAX + 1))
    with pytest.raises(OtlpError, match="points"):
        decode_metrics(metrics_data(field(1, b"m") + field(5, gauge)))


def test_a_message_holds_so_many_fields_at_most() -> None:
    with pytest.raises(OtlpError, match="fields"):
        decode_metrics(field(1, b"") * (FIELDS_MAX + 1))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_metrics_or_refused(data: bytes) -> None:
    for content in (data, metrics_data(data), metrics_data(field(5, field(1, data)))):
        with contextlib.suppress(OtlpError):
            decode_metrics(content)


def ends_of_parts(push: bytes) -> set[int]:
    """Where the push could end: behind each of the messages that it is made of."""
    at, ends = 0, set()
    while at < len(push):
        size, shift = 0, 0
        at += 1  # the field's tag
        while True:
            size |= (push[at] & 0x7F) << shift
            shift += 7
            at += 1
            if push[at - 1] < 0x80:
                break
        at += size
        ends.add(at)
    return ends


@given(st.integers(min_value=1, max_value=len(PUSH) - 1))
def test_a_push_that_ends_within_a_message_is_refused(end: int) -> None:
    assume(end not in ends_of_parts(PUSH))
    with pytest.raises(OtlpError):
        decode_metrics(PUSH[:end])
