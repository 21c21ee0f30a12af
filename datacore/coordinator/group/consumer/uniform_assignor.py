"""The assignor "uniform": as many partitions for everybody as can be, and as few moves as can be.

Where all subscribe to the same topics, everybody has the same number of partitions, give or take
one; members keep what they had up to that number. Where subscriptions differ, that may not be
possible: then no partition could go to a member that has two fewer, directly or over others.

Kafka's counterparts are ``UniformHomogeneousAssignmentBuilder`` and
``UniformHeterogeneousAssignmentBuilder``; which partitions move may differ from Kafka's choice, how
many a member of a homogeneous group has does not.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heapify, heapreplace

from datacore.coordinator.group.consumer.assignment import (
    GroupSpec,
    MemberSpec,
    Target,
    subscribers_of,
)
from datacore.coordinator.group.consumer.member import Partitions
from datacore.protocol.names import MemberId, TopicId

_Partition = tuple[TopicId, int]


def assign_uniformly(group: GroupSpec) -> Target:
    """Gives every partition to one of its topic's subscribers."""
    if not group.members:
        return {}
    if group.is_homogeneous:
        return _assign_homogeneous(group)
    return _Balance(group).target()


def _assign_homogeneous(group: GroupSpec) -> Target:
    topics = group.members[0].topics
    total = sum(group.partition_counts[topic_id] for topic_id in topics)
    quota, extra = divmod(total, len(group.members))
    kept: dict[MemberId, list[_Partition]] = {}
    taken: set[_Partition] = set()
    for member in group.members:
        had = [p for p in _still_there(group, member) if p not in taken]
        room = quota + (extra > 0 and len(had) > quota)
        extra -= room > quota
        kept[member.member_id] = had[:room]
        taken.update(had[:room])
    free = deque(p for p in _all_partitions(group, topics) if p not in taken)
    for partitions in kept.values():
        if extra > 0 and len(partitions) <= quota:
            room, extra = quota + 1, extra - 1
        else:
            room = quota
        while len(partitions) < room:
            partitions.append(free.popleft())
    assert not free
    return {member_id: _by_topic(partitions) for member_id, partitions in kept.items()}


class _Balance:
    """Partitions on their way to members that subscribe to different topics."""

    def __init__(self, group: GroupSpec) -> None:
        self._group = group
        self._subscribers = subscribers_of(group)
        self._holdings: dict[MemberId, dict[TopicId, list[int]]] = {}
        self._loads: dict[MemberId, int] = {}

    def target(self) -> Target:
        self._keep()
        self._give_away_the_rest()
        # A move takes from a member and adds to one with at least two fewer: the sum of squares
        # sinks each time, so this ends. Where the fullest member finds nobody to give to, nobody
        # among those that it could have reached will: they reach no more than it does.
        unsettled = set(self._loads)
        while unsettled:
            giver = max(unsettled, key=lambda member_id: (self._loads[member_id], member_id))
            unsettled -= self._move_from(giver)
        return {
            member_id: {t: frozenset(indexes) for t, indexes in topics.items() if indexes}
            for member_id, topics in self._holdings.items()
        }

    def _keep(self) -> None:
        taken: set[_Partition] = set()
        for member in self._group.members:
            topics: dict[TopicId, list[int]] = {}
            kept = [p for p in _still_there(self._group, member) if p not in taken]
            taken.update(kept)
            for topic_id, index in kept:
                topics.setdefault(topic_id, []).append(index)
            self._holdings[member.member_id] = topics
            self._loads[member.member_id] = len(kept)

    def _give_away_the_rest(self) -> None:
        taken = {
            (topic_id, index)
            for topics in self._holdings.values()
            for topic_id, indexes in topics.items()
            for index in indexes
        }
        # Topics with the fewest subscribers have the least choice.
        for topic_id in sorted(self._subscribers, key=lambda t: (len(self._subscribers[t]), t)):
            by_load = [
                (self._loads[m], place, m) for place, m in enumerate(self._subscribers[topic_id])
            ]
            heapify(by_load)
            for _, index in _all_partitions(self._group, [topic_id]):
                if (topic_id, index) not in taken:
                    load, place, member_id = by_load[0]
                    self._holdings[member_id].setdefault(topic_id, []).append(index)
                    self._loads[member_id] = load + 1
                    heapreplace(by_load, (load + 1, place, member_id))

    def _move_from(self, giver: MemberId) -> set[MemberId]:
        """Lets one partition's worth of load flow from a member to one that has two fewer.

        The nearest such member is looked for over those that could take a partition of the one
        before; along the way each passes one partition on.

        Returns:
            Nobody when something moved, else all members that were reached, the giver included.
        """
        came_by: dict[MemberId, tuple[MemberId, TopicId]] = {}
        seen_topics: set[TopicId] = set()
        queue = deque([giver])
        while queue:
            member_id = queue.popleft()
            for topic_id, indexes in self._holdings[member_id].items():
                if not indexes or topic_id in seen_topics:
                    continue
                seen_topics.add(topic_id)
                for other in self._subscribers[topic_id]:
                    if other == giver or other in came_by:
                        continue
                    came_by[other] = (member_id, topic_id)
                    if self._loads[other] <= self._loads[giver] - 2:
                        self._pass_on(other, giver, came_by)
                        return set()
                    queue.append(other)
        return {giver, *came_by}

    def _pass_on(
        self,
        taker: MemberId,
        giver: MemberId,
        came_by: dict[MemberId, tuple[MemberId, TopicId]],
    ) -> None:
        self._loads[taker] += 1
        self._loads[giver] -= 1
        while taker != giver:
            source, topic_id = came_by[taker]
            index = self._holdings[source][topic_id].pop()
            self._holdings[taker].setdefault(topic_id, []).append(index)
            taker = source


def _still_there(group: GroupSpec, member: MemberSpec) -> Iterator[_Partition]:
    """What a member had and may keep."""
    for topic_id in sorted(member.target):
        if topic_id in member.topics:
            for index in sorted(member.target[topic_id]):
                if index < group.partition_counts[topic_id]:
                    yield topic_id, index


def _all_partitions(group: GroupSpec, topics: Iterable[TopicId]) -> Iterator[_Partition]:
    for topic_id in sorted(topics):
        for index in range(group.partition_counts[topic_id]):
            yield topic_id, index


def _by_topic(partitions: Iterable[_Partition]) -> Partitions:
    indexes: dict[TopicId, set[int]] = {}
    for topic_id, index in partitions:
        indexes.setdefault(topic_id, set()).add(index)
    return {topic_id: frozenset(found) for topic_id, found in indexes.items()}
