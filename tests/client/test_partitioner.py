"""The hash is Kafka's, value for value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.client.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # The values that Kafka's own clients are tested with.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_that_of_java(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@given(st.binary(), st.integers(1, 10_000))
def test_every_key_has_a_partition_of_the_topic(key: bytes, count: int) -> None:
    assert 0 <= partition_of(key, count) < count
