"""What members tell each other, byte for byte, and who gets which partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.client.subscription import (
    TopicPartition,
    assign_ranges,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from datacore.wire.errors import DecodeError

TOPICS = st.sampled_from(["a", "b", "c"])


def test_a_subscription_is_a_version_and_sorted_topics() -> None:
    assert encode_subscription(["b", "a"]) == bytes.fromhex(
        "0000 00000002 0001 61 0001 62 ffffffff"
    )


def test_an_assignment_is_a_version_and_partitions_by_topic() -> None:
    partitions = [TopicPartition("a", 1), TopicPartition("a", 0)]
    encoded = encode_assignment(partitions)
    assert encoded == bytes.fromhex("0000 00000001 0001 61 00000002 00000000 00000001 ffffffff")
    assert decode_assignment(encoded) == sorted(partitions)


def test_nothing_assigned_yet_is_an_empty_assignment() -> None:
    assert decode_assignment(b"") == []


def test_a_subscription_of_a_later_version_is_read_as_far_as_we_know_it() -> None:
    of_version_99 = bytes.fromhex("0063 00000001 0001 61 ffffffff 00000000 ffffffff ffff abcdef")
    assert decode_subscription(of_version_99) == ["a"]


@pytest.mark.parametrize(
    "data", [b"\x00", b"\xff\xff\x00\x00\x00\x00", b"\x00\x00\x7f\xff\xff\xff"]
)
def test_what_is_no_subscription_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_subscription(data)


def test_ranges_give_the_rest_to_the_first_members() -> None:
    assert assign_ranges({"y": ["t"], "x": ["t"]}, {"t": 3}) == {
        "x": [TopicPartition("t", 0), TopicPartition("t", 1)],
        "y": [TopicPartition("t", 2)],
    }


@given(
    st.dictionaries(st.text(max_size=3), st.lists(TOPICS, unique=True), max_size=5),
    st.dictionaries(TOPICS, st.integers(0, 9)),
)
def test_each_partition_that_somebody_wants_has_one_owner_who_wants_it(
    subscriptions: dict[str, list[str]], counts: dict[str, int]
) -> None:
    assignments = assign_ranges(subscriptions, counts)
    owned = [where for partitions in assignments.values() for where in partitions]
    wanted = {topic for topics in subscriptions.values() for topic in topics}
    assert sorted(owned) == sorted(
        TopicPartition(topic, number)
        for topic, count in counts.items()
        if topic in wanted
        for number in range(count)
    )
    for member, partitions in assignments.items():
        assert {where.topic for where in partitions} <= set(subscriptions[member])
