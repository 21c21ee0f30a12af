"""The receive buffer against the simplest model: all bytes in one string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datacore.server.receive import SCRATCH_BYTES, ReceiveBuffer, new_scratch


def fill(buffer: ReceiveBuffer, data: bytes) -> int:
    """One read of at most ``data``, as an event loop does it."""
    target = buffer.writable()
    count = min(len(target), len(data))
    target[:count] = data[:count]
    buffer.received(count)
    return count


@given(
    st.lists(
        st.tuples(st.integers(0, 400_000), st.floats(0, 1), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_what_is_kept_comes_back_with_what_is_read_after_it(
    steps: list[tuple[int, float, bool, bool]],
) -> None:
    scratch = new_scratch()
    buffer = ReceiveBuffer(scratch)
    expected = b""
    for number, (size, handled, knows_frame, shrinks) in enumerate(steps):
        data = bytes([number + 1]) * size
        count = fill(buffer, data) if data else 0
        expected += data[:count]
        assert bytes(buffer.data[buffer.start : buffer.end]) == expected
        drop = int(len(expected) * handled)
        expected = expected[drop:]
        buffer.keep(buffer.start + drop, len(expected) + 1 if knows_frame and expected else 0)
        if shrinks:
            buffer.shrink()
        scratch[:] = bytes(len(scratch))  # other connections use it in between
        assert bytes(buffer.data[buffer.start : buffer.end]) == expected
        assert len(buffer.writable()) > 0


def test_a_connection_with_nothing_half_received_owns_nothing() -> None:
    scratch = new_scratch()
    buffer = ReceiveBuffer(scratch)
    fill(buffer, b"12345")
    buffer.keep(buffer.start, 10)
    assert buffer.data is not scratch

    fill(buffer, b"67890")
    buffer.keep(buffer.end, 0)

    assert buffer.data is scratch


def test_an_unfinished_frame_is_read_to_its_end_and_no_further() -> None:
    buffer = ReceiveBuffer(new_scratch())
    fill(buffer, b"12345")
    buffer.keep(buffer.start + 1, 1_000_000)

    assert len(buffer.writable()) == 1_000_000 - 4


def test_the_memory_of_a_large_frame_is_kept_for_the_next_until_a_sweep() -> None:
    scratch = new_scratch()
    buffer = ReceiveBuffer(scratch)
    fill(buffer, b"12345")
    buffer.keep(buffer.start, SCRATCH_BYTES + 1)
    large = buffer.data
    while buffer.end < SCRATCH_BYTES + 1:
        fill(buffer, bytes(SCRATCH_BYTES))
    buffer.shrink()  # holds a frame: must not be taken
    assert buffer.data is large
    buffer.keep(buffer.end, 0)
    assert buffer.data is large

    buffer.shrink()
    assert buffer.data is scratch
    assert fill(buffer, b"abc") == 3
    assert bytes(buffer.data[: buffer.end]) == b"abc"
