"""A consumer group of KIP-848: exactly what its records say; replay alone writes it.

    Empty ------- a member joins -----------------------------> Assigning
    Assigning --- a target of the group's epoch is made ------> Reconciling
    Reconciling - every member has its target ----------------> Stable
    Stable, Reconciling --- a member comes, goes, subscribes
                  otherwise, or its topics change ------------> Assigning
    any --------- the last member goes -----------------------> Empty

The group's epoch goes up with each cause; a target assignment is made for the newest epoch by the
next request that can; each member walks to it by its own heartbeats (see member.py).

Kafka's counterpart is ``ConsumerGroup``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from datacore.coordinator.group.consumer.member import (
    LEAVE_EPOCH,
    NO_PARTITIONS,
    ConsumerMember,
    MemberState,
    Partitions,
)
from datacore.protocol.names import GroupId, MemberId, TopicId, TopicName


class ConsumerGroupState(Enum):
    """States of a consumer group, by the names that descriptions use."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"
    DEAD = "Dead"


class ResolvedRegex(NamedTuple):
    """The topics that a regular expression stood for when it was last looked at.

    Attributes:
        topics: Their names.
        version: Of the cluster's topics then.
        timestamp_ms: When that was.
    """

    topics: frozenset[TopicName]
    version: int
    timestamp_ms: int


@dataclass(slots=True)
class ConsumerGroup:
    """One group.

    Attributes:
        group_id: Its name.
        epoch: Goes up by one whenever a new target is needed.
        metadata_hash: Of the topics that are subscribed to, as of that epoch; see subscription.py.
        target_epoch: The group's epoch that the target is made for.
        targets: What each member shall have.
        members: By id.
        regexes: What the members' regular expressions stand for.
        static_member_ids: Instance id -> member id.
        owners: Who may be reading a partition; nobody else is given it.
    """

    group_id: GroupId
    epoch: int = 0
    metadata_hash: int = 0
    target_epoch: int = 0
    targets: dict[MemberId, Partitions] = field(default_factory=dict)
    members: dict[MemberId, ConsumerMember] = field(default_factory=dict)
    regexes: dict[str, ResolvedRegex] = field(default_factory=dict)
    static_member_ids: dict[str, MemberId] = field(default_factory=dict)
    owners: dict[tuple[TopicId, int], MemberId] = field(default_factory=dict)

    @property
    def state(self) -> ConsumerGroupState:
        """See the table above."""
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.target_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(member.is_reconciled_to(self.target_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    @property
    def is_void(self) -> bool:
        """Whether nobody is there, so that only offsets keep the group."""
        return not self.members

    # What replay writes.

    def put_member(self, member: ConsumerMember) -> None:
        """Takes a member in, or its next value."""
        before = self.members.get(member.member_id)
        self.members[member.member_id] = member
        if before is None or before.instance_id != member.instance_id:
            self._forget_instance(before)
            if member.instance_id is not None:
                self.static_member_ids[member.instance_id] = member.member_id
        is_moved = before is None or (
            before.assigned is not member.assigned
            or before.pending_revocation is not member.pending_revocation
        )
        if is_moved:
            self._release(before)
            for partition in member.owned():
                self.owners[partition] = member.member_id

    def strip_member(self, member_id: MemberId) -> None:
        """Takes everything away from a member that is about to go."""
        member = self.members.get(member_id)
        if member is not None:
            self.put_member(
                replace(
                    member,
                    epoch=LEAVE_EPOCH,
                    previous_epoch=LEAVE_EPOCH,
                    state=MemberState.STABLE,
                    assigned=NO_PARTITIONS,
                    pending_revocation=NO_PARTITIONS,
                )
            )

    def remove_member(self, member_id: MemberId) -> None:
        """Lets a member go."""
        member = self.members.pop(member_id, None)
        self._release(member)
        self._forget_instance(member)

    def _release(self, member: ConsumerMember | None) -> None:
        if member is not None:
            for partition in member.owned():
                if self.owners.get(partition) == member.member_id:
                    del self.owners[partition]

    def _forget_instance(self, member: ConsumerMember | None) -> None:
        if member is None or member.instance_id is None:
            return
        if self.static_member_ids.get(member.instance_id) == member.member_id:
            del self.static_member_ids[member.instance_id]

    # What requests ask.

    def static_member(self, instance_id: str) -> ConsumerMember | None:
        """The member of an instance."""
        member_id = self.static_member_ids.get(instance_id)
        return None if member_id is None else self.members.get(member_id)

    def target_of(self, member_id: MemberId) -> Partitions:
        """What a member shall have."""
        return self.targets.get(member_id, NO_PARTITIONS)

    def is_subscribed(self, topic: TopicName) -> bool:
        """Whether a member reads a topic."""
        return any(
            topic in member.topic_names
            or (
                (resolved := self.regexes.get(member.topic_regex)) is not None
                and topic in resolved.topics
            )
            for member in self.members.values()
        )

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Whether a partition of its target is still somebody else's."""
        return any(
            self.owners.get((topic_id, index), member.member_id) != member.member_id
            for topic_id, indexes in self.target_of(member.member_id).items()
            for index in indexes
        )

    def reconciled_without(self, member_id: MemberId) -> bool:
        """Whether all others have reached the group's newest epoch."""
        return all(
            member.is_reconciled_to(self.epoch)
            for member in self.members.values()
            if member.member_id != member_id
        )


def preferred_assignor(members: Iterable[ConsumerMember]) -> str | None:
    """The assignor that most members ask for."""
    counts = Counter(m.server_assignor for m in members if m.server_assignor is not None)
    return counts.most_common(1)[0][0] if counts else None


def topics_of(
    member: ConsumerMember, regexes: Mapping[str, ResolvedRegex]
) -> frozenset[str] | frozenset[TopicName]:
    """The names of the topics that a member subscribes to, by name and by regular expression."""
    resolved = regexes.get(member.topic_regex)
    if resolved is None:
        return member.topic_names
    return member.topic_names | resolved.topics if member.topic_names else resolved.topics
