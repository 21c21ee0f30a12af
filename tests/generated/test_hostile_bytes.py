"""Bytes that are no message raise DecodeError and nothing else, and cost no memory."""

import os
import tracemalloc
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from datacore.wire.errors import DecodeError
from tests.generated.messages import Generated, all_generated, name_of

THOROUGH: Final = os.environ.get("DATACORE_HYPOTHESIS") == "thorough"
EVERY_MESSAGE: Final = pytest.mark.parametrize("generated", all_generated(), ids=name_of)
HUGE_NUMBERS: Final = (
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xfe",
    b"\xff\xff\xff\xff\x07",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\x7f",
    b"\x7f\xff",
)
"""Counts and lengths in the old form and the compact form, the largest and one too long."""


def decodes(generated: Generated, frame: bytes, version: int) -> bool:
    """Whether the frame is taken; whatever else but DecodeError comes out fails the test."""
    try:
        generated.message_class.decode(frame, version)
    except DecodeError:
        return False
    return True


@EVERY_MESSAGE
def test_a_message_that_is_cut_short_is_refused(generated: Generated) -> None:
    for version in sorted(generated.message.versions):
        frame = generated.full_value(version).encode(version)
        step = 1 if THOROUGH else max(1, len(frame) // 50)
        for end in range(0, len(frame), step):
            assert not decodes(generated, frame[:end], version)
            assert not decodes(generated, memoryview(frame)[:end], version)  # type: ignore[arg-type]


@EVERY_MESSAGE
@settings(
    max_examples=300 if THOROUGH else 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
    derandomize=not THOROUGH,
)
@given(garbage=st.binary(max_size=200))
def test_garbage_raises_nothing_but_decode_errors(generated: Generated, garbage: bytes) -> None:
    for version in sorted(generated.message.versions):
        decodes(generated, garbage, version)


@EVERY_MESSAGE
def test_huge_counts_and_lengths_allocate_nothing(generated: Generated) -> None:
    version = generated.message.max_version
    frame = generated.full_value(version).encode(version)
    hostile = [
        frame[:at] + number + frame[at + len(number) :]
        for number in HUGE_NUMBERS
        for at in range(0, len(frame), 1 if THOROUGH else max(1, len(frame) // 60))
    ]
    tracemalloc.start()
    try:
        for each in hostile:
            decodes(generated, each, version)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000
