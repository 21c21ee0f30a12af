"""What holds of an assignment, whatever the group, and which one it is in simple cases."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.coordinator.group.consumer.assignment import (
    Assignor,
    GroupSpec,
    MemberSpec,
    Target,
    order_of,
)
from datacore.coordinator.group.consumer.config import ASSIGNORS
from datacore.coordinator.group.consumer.member import NO_PARTITIONS, Partitions
from datacore.coordinator.group.consumer.range_assignor import assign_ranges
from datacore.coordinator.group.consumer.uniform_assignor import assign_uniformly
from datacore.protocol.names import MemberId, TopicId

TOPICS = [TopicId(name) for name in (b"t1", b"t2", b"t3")]


def spec(
    members: Mapping[str, Iterable[TopicId]],
    counts: Mapping[TopicId, int],
    before: Mapping[MemberId, Partitions] | None = None,
    instances: Mapping[str, str] | None = None,
) -> GroupSpec:
    specs = [
        MemberSpec(
            MemberId(member_id),
            (instances or {}).get(member_id),
            frozenset(topics),
            (before or {}).get(MemberId(member_id), NO_PARTITIONS),
        )
        for member_id, topics in members.items()
    ]
    return GroupSpec(sorted(specs, key=order_of), counts)


def loads(target: Target) -> dict[str, int]:
    return {
        member_id: sum(len(indexes) for indexes in partitions.values())
        for member_id, partitions in target.items()
    }


def moved(before: Target, after: Target) -> int:
    def owners(target: Target) -> dict[tuple[TopicId, int], MemberId]:
        return {
            (topic_id, index): member_id
            for member_id, partitions in target.items()
            for topic_id, indexes in partitions.items()
            for index in indexes
        }

    then, now = owners(before), owners(after)
    return sum(1 for partition in then.keys() & now.keys() if then[partition] != now[partition])


groups = st.builds(
    spec,
    st.dictionaries(
        st.sampled_from([f"m{i}" for i in range(8)]), st.sets(st.sampled_from(TOPICS)), min_size=1
    ),
    st.fixed_dictionaries({topic: st.integers(1, 9) for topic in TOPICS}),
)


def check_complete(group: GroupSpec, target: Target) -> None:
    """Every partition that somebody subscribes to is given once, to a subscriber."""
    assert target.keys() == {member.member_id for member in group.members}
    given_out = [
        (topic_id, index)
        for partitions in target.values()
        for topic_id, indexes in partitions.items()
        for index in indexes
    ]
    subscribed = {topic_id for member in group.members for topic_id in member.topics}
    expected = {(t, index) for t in subscribed for index in range(group.partition_counts[t])}
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == expected
    for member in group.members:
        assert target[member.member_id].keys() <= member.topics
        assert all(target[member.member_id].values()), "no topic stands there without partitions"


@given(groups, st.sampled_from(sorted(ASSIGNORS)))
def test_every_partition_is_given_to_one_of_its_subscribers(group: GroupSpec, name: str) -> None:
    check_complete(group, ASSIGNORS[name](group))


@given(groups)
def test_a_uniform_assignment_is_kept_by_a_group_that_does_not_change(group: GroupSpec) -> None:
    first = assign_uniformly(group)
    again = GroupSpec(
        [member._replace(target=first[member.member_id]) for member in group.members],
        group.partition_counts,
    )
    assert assign_uniformly(again) == first


@given(groups)
def test_no_partition_could_go_to_a_subscriber_with_two_fewer(group: GroupSpec) -> None:
    target = assign_uniformly(group)
    load = loads(target)
    for member in group.members:
        for topic_id in target[member.member_id]:
            for other in group.members:
                if topic_id in other.topics:
                    assert load[other.member_id] >= load[member.member_id] - 1


@given(st.integers(1, 12), st.integers(1, 40), st.sampled_from([-1, 1]))
def test_a_member_that_comes_or_goes_moves_no_more_than_it_must(
    members: int, partitions: int, change: int
) -> None:
    counts = {TOPICS[0]: partitions}
    before = assign_uniformly(spec({f"m{i:02}": TOPICS[:1] for i in range(members)}, counts))
    count = max(members + change, 1)
    names = {f"m{i:02}": TOPICS[:1] for i in range(count)}
    after = assign_uniformly(spec(names, counts, before))
    least = sum(
        max(0, load - (partitions // count + 1))
        for member_id, load in loads(before).items()
        if member_id in names
    )
    lost = sum(load for member_id, load in loads(before).items() if member_id not in names)
    assert moved(before, after) <= max(least, partitions // count + 1) + lost


def test_a_uniform_assignment_differs_by_one_at_most() -> None:
    target = assign_uniformly(
        spec({"a": TOPICS, "b": TOPICS, "c": TOPICS}, dict.fromkeys(TOPICS, 3))
    )
    assert loads(target) == {"a": 3, "b": 3, "c": 3}
    target = assign_uniformly(spec({"a": TOPICS[:1], "b": TOPICS[:1]}, {TOPICS[0]: 5}))
    assert loads(target) == {"a": 3, "b": 2}


def test_load_flows_over_others_to_who_has_less() -> None:
    counts = {TOPICS[0]: 4, TOPICS[1]: 1, TOPICS[2]: 1}
    members = {"a": [TOPICS[0]], "b": [TOPICS[0], TOPICS[1]], "c": [TOPICS[1], TOPICS[2]]}
    before = {
        MemberId("a"): {TOPICS[0]: frozenset({0, 1, 2, 3})},
        MemberId("b"): {TOPICS[1]: frozenset({0})},
        MemberId("c"): {TOPICS[2]: frozenset({0})},
    }
    target = assign_uniformly(spec(members, counts, before))
    assert loads(target) == {"a": 2, "b": 2, "c": 2}


def test_ranges_of_topics_alike_go_to_the_same_members() -> None:
    target = assign_ranges(spec({"a": TOPICS[:2], "b": TOPICS[:2]}, dict.fromkeys(TOPICS, 3)))
    assert target == {
        "a": {TOPICS[0]: {0, 1}, TOPICS[1]: {0, 1}},
        "b": {TOPICS[0]: {2}, TOPICS[1]: {2}},
    }


def test_static_members_keep_their_ranges_under_new_ids() -> None:
    counts = {TOPICS[0]: 2}
    one = spec({"a": TOPICS[:1], "b": TOPICS[:1]}, counts, instances={"a": "i1", "b": "i2"})
    other = spec({"z": TOPICS[:1], "b": TOPICS[:1]}, counts, instances={"z": "i1", "b": "i2"})
    assert assign_ranges(one)[MemberId("a")] == assign_ranges(other)[MemberId("z")]


@pytest.mark.parametrize("assignor", ASSIGNORS.values(), ids=ASSIGNORS.keys())
def test_members_without_topics_have_nothing(assignor: Assignor) -> None:
    assert assignor(spec({"a": [], "b": []}, {})) == {"a": {}, "b": {}}


def test_a_large_group_with_mixed_subscriptions_is_balanced_in_a_moment() -> None:
    topics = [TopicId(b"%04d" % number) for number in range(100)]
    counts = dict.fromkeys(topics, 50)
    members = {f"m{i:04}": topics[i % 7 :: 3] for i in range(200)}
    check_complete(group := spec(members, counts), target := assign_uniformly(group))
    grown = {**members, "new": topics}
    after = assign_uniformly(spec(grown, counts, target))
    assert loads(after)["new"] >= 24
