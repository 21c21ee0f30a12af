"""The assignor "range": of each topic, each of its subscribers gets a run of partitions.

Topics with as many partitions and the same subscribers are divided alike, so that a member has the
same partitions of all of them and can join them. It looks at no former target: members keep their
runs because they keep their order. Kafka's counterpart is ``RangeAssignor``.
"""

from datacore.coordinator.group.consumer.assignment import GroupSpec, Target, subscribers_of
from datacore.protocol.names import MemberId, TopicId


def assign_ranges(group: GroupSpec) -> Target:
    """Divides each topic's partitions among its subscribers, the first of whom get one more."""
    subscribers = subscribers_of(group)
    runs: dict[MemberId, dict[TopicId, frozenset[int]]] = {}
    for member in group.members:
        runs[MemberId(member.member_id)] = {}
    for topic_id, member_ids in subscribers.items():
        quota, extra = divmod(group.partition_counts[topic_id], len(member_ids))
        start = 0
        for place, member_id in enumerate(member_ids):
            end = start + quota + (place < extra)
            if start < end:
                runs[member_id][topic_id] = frozenset(range(start, end))
            start = end
    return dict(runs)
