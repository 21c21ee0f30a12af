"""A group's target assignment: who shall have which partitions, by an assignor's choice.

Kafka's counterpart is ``TargetAssignmentBuilder``.
"""

from collections.abc import Collection, Mapping

from datacore.coordinator.group.consumer.assignment import (
    GroupSpec,
    MemberSpec,
    Target,
    order_of,
)
from datacore.coordinator.group.consumer.config import ASSIGNORS, ConsumerGroupConfig
from datacore.coordinator.group.consumer.group import ResolvedRegex, preferred_assignor
from datacore.coordinator.group.consumer.member import NO_PARTITIONS, ConsumerMember, Partitions
from datacore.coordinator.group.consumer.subscription import existing_topics
from datacore.coordinator.group.consumer.topics import ClusterView
from datacore.protocol.names import MemberId, TopicId


def make_target(
    members: Collection[ConsumerMember],
    targets: Mapping[MemberId, Partitions],
    regexes: Mapping[str, ResolvedRegex],
    cluster: ClusterView,
    config: ConsumerGroupConfig,
) -> Target:
    """Divides the partitions that these members subscribe to among them.

    Args:
        members: All of the group's.
        targets: What they had, by id.
        regexes: What their regular expressions stand for.
        cluster: The topics that there are.
        config: Knows the assignor of groups that ask for none.
    """
    by_subscription: dict[tuple[frozenset[str], str], frozenset[TopicId]] = {}
    specs = []
    for member in members:
        subscription = member.topic_names, member.topic_regex
        topics = by_subscription.get(subscription)
        if topics is None:
            topics = existing_topics(member, regexes, cluster)
            by_subscription[subscription] = topics
        specs.append(
            MemberSpec(
                member.member_id,
                member.instance_id,
                topics,
                targets.get(member.member_id, NO_PARTITIONS),
            )
        )
    specs.sort(key=order_of)
    counts = {
        topic_id: len(cluster.topics_by_id[topic_id].partitions)
        for topics in by_subscription.values()
        for topic_id in topics
    }
    # An assignor that this broker does not offer any more stands in no request, but in old records.
    name = preferred_assignor(members)
    if name not in config.assignors:
        name = config.assignors[0]
    return ASSIGNORS[name](GroupSpec(specs, counts))
