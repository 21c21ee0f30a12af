"""What an assignor sees of a group and what it answers.

An assignor is a function of this alone: the same question has the same answer, on whichever
coordinator. Kafka's counterparts are ``ConsumerGroupPartitionAssignor`` and ``GroupSpec``.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from datacore.coordinator.group.consumer.member import Partitions
from datacore.protocol.names import MemberId, TopicId


class MemberSpec(NamedTuple):
    """One member.

    Attributes:
        member_id: Its id.
        instance_id: Set for a static member.
        topics: What it subscribes to; topics that exist only.
        target: What the last target gave it.
    """

    member_id: MemberId
    instance_id: str | None
    topics: frozenset[TopicId]
    target: Partitions


class GroupSpec(NamedTuple):
    """A group that needs a target.

    Attributes:
        members: Static ones first, by instance, then the others by id: an order that survives
            restarts of clients and coordinators.
        partition_counts: Of each topic that somebody subscribes to.
    """

    members: list[MemberSpec]
    partition_counts: Mapping[TopicId, int]

    @property
    def is_homogeneous(self) -> bool:
        """Whether all members subscribe to the same topics."""
        return all(member.topics == self.members[0].topics for member in self.members)


Target: TypeAlias = dict[MemberId, Partitions]

Assignor: TypeAlias = Callable[[GroupSpec], Target]
"""Every member is in the answer; every partition of a topic with subscribers is given once."""


def subscribers_of(group: GroupSpec) -> dict[TopicId, list[MemberId]]:
    """Who subscribes to a topic, in the group's order."""
    subscribers: dict[TopicId, list[MemberId]] = {}
    for member in group.members:
        for topic_id in sorted(member.topics):
            subscribers.setdefault(topic_id, []).append(member.member_id)
    return subscribers


def order_of(member: MemberSpec) -> tuple[bool, str]:
    """Sorts members as ``GroupSpec`` wants them."""
    if member.instance_id is not None:
        return False, member.instance_id
    return True, member.member_id
