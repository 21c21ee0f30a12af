"""A classic group's members and states: what it is, not what happens to it (see rebalance.py).

The states, and what moves a group between them::

    Empty ---- a member joins --------------------------------> PreparingRebalance
    PreparingRebalance ---- all have joined, or time is up ----> CompletingRebalance
    PreparingRebalance ---- the same, but nobody is left ------> Empty
    CompletingRebalance ---- the leader sends assignments -----> Stable
    CompletingRebalance, Stable ---- a member comes, goes,
                             or changes what it supports ------> PreparingRebalance
    Empty ---- deleted or expired -----------------------------> Dead

A group that is Dead is a group that is not there: the word exists for answers only.

Durable of all this is one record a generation, the group's image, written when it becomes Stable
or Empty. What goes on between two images (who has joined, who waits) lives here alone and ends
with the coordinator: its members join again.

Kafka's counterparts are ``ClassicGroup``, ``ClassicGroupMember`` and ``ClassicGroupState``;
KIP-345 for static members, KIP-394 for pending ones.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from datacore._generated.consumer_protocol_subscription import ConsumerProtocolSubscription
from datacore._generated.errors import ErrorCode
from datacore._generated.records.group_metadata import GroupMetadataValue, MemberMetadata
from datacore.coordinator.group.ongoing_rebalance import OngoingRebalance
from datacore.coordinator.outcome import ReplyToken
from datacore.protocol.names import GroupId, MemberId, TopicName
from datacore.wire.errors import DecodeError

CONSUMER_PROTOCOL_TYPE = "consumer"

_NO_TIMESTAMP = -1
_VERSION_BYTES = 2


class GroupState(Enum):
    """States of a classic group, by the names that DescribeGroups and ListGroups use."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class Parked(NamedTuple):
    """A request whose answer comes later."""

    token: ReplyToken
    api_version: int


@dataclass(slots=True, kw_only=True)
class ClassicMember:
    """One member.

    Attributes:
        member_id: Given by the coordinator.
        group_instance_id: Given by the operator, to a static member (KIP-345).
        client_id: As DescribeGroups shows it.
        client_host: Likewise.
        session_timeout_ms: Silence after which the member is gone.
        rebalance_timeout_ms: How long it may take to join again.
        protocols: Name -> metadata, in the member's order of preference.
        assignment: What the leader gave it in the last generation that became Stable.
        is_new: It has not seen the answer to its first JoinGroup, so it cannot heartbeat yet.
        parked_join: Its JoinGroup that waits for the others.
        parked_sync: Its SyncGroup that waits for the leader.
    """

    member_id: MemberId
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = b""
    is_new: bool = False
    parked_join: Parked | None = None
    parked_sync: Parked | None = None

    @property
    def is_static(self) -> bool:
        """Whether it keeps its place while it is away."""
        return self.group_instance_id is not None

    @property
    def is_excused_from_heartbeat(self) -> bool:
        """Whether it is alive without a heartbeat: it waits for an answer of ours.

        A new member is not: it may be gone and we would not notice, so its wait is limited.
        """
        return not self.is_new and (self.parked_join is not None or self.parked_sync is not None)

    def supports_exactly(self, protocols: Mapping[str, bytes]) -> bool:
        """Whether these are its protocols, metadata and order included."""
        return list(self.protocols.items()) == list(protocols.items())

    def vote(self, candidates: Collection[str]) -> str:
        """The candidate that it likes best; the group made sure that there is one."""
        return next(name for name in self.protocols if name in candidates)


@dataclass(slots=True, kw_only=True)
class ClassicGroup:
    """A group of the classic protocol; also, without members or type, one that only commits.

    Attributes:
        group_id: Its name.
        state: See the table above.
        generation: Goes up by one with each completed join.
        protocol_type: "consumer", "connect", ...; None before the first member.
        protocol_name: The protocol of this generation, chosen by vote.
        leader_id: The member that assigns.
        state_timestamp_ms: When the state was entered; None where an old record does not say.
        members: By id, in order of joining. Change only through the methods.
        static_member_ids: group.instance.id -> member id.
        pending_members: Ids that were handed out and have not come back (KIP-394).
        pending_sync: Members of this generation that have not sent SyncGroup.
        subscribed_topics: Topics of this generation's subscriptions; None where unknown.
        is_initial_rebalance: The first join after Empty, while it waits for more members.
        has_new_member: A member came during that wait, which may prolong it.
        rebalance: The one that goes on, if any.
    """

    group_id: GroupId
    state: GroupState = GroupState.EMPTY
    generation: int = 0
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader_id: MemberId | None = None
    state_timestamp_ms: int | None = None
    members: dict[MemberId, ClassicMember] = field(default_factory=dict)
    static_member_ids: dict[str, MemberId] = field(default_factory=dict)
    pending_members: set[MemberId] = field(default_factory=set)
    pending_sync: set[MemberId] = field(default_factory=set)
    subscribed_topics: frozenset[TopicName] | None = None
    is_initial_rebalance: bool = False
    has_new_member: bool = False
    rebalance: OngoingRebalance | None = None
    _supporters: Counter[str] = field(default_factory=Counter)
    _parked_joins: int = 0

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member may take."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    @property
    def parked_joins(self) -> int:
        """How many members wait in JoinGroup."""
        return self._parked_joins

    @property
    def all_have_joined(self) -> bool:
        """Whether nobody is missing."""
        return self._parked_joins == len(self.members) and not self.pending_members

    @property
    def has_common_protocol(self) -> bool:
        """Whether there is a protocol that all members support."""
        members = len(self.members)
        return not members or any(count == members for count in self._supporters.values())

    @property
    def is_void(self) -> bool:
        """Whether nothing of the group is left here, apart from its records."""
        return self.state is GroupState.EMPTY and not self.pending_members

    def enter(self, state: GroupState, now_ms: int) -> None:
        """Moves to a state."""
        self.state = state
        self.state_timestamp_ms = now_ms

    def add(self, member: ClassicMember) -> None:
        """Takes a member in; the first one is the leader."""
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static_member_ids[member.group_instance_id] = member.member_id
        if self.leader_id is None:
            self.leader_id = member.member_id
        self._supporters.update(member.protocols.keys())
        self.pending_members.discard(member.member_id)

    def remove(self, member_id: MemberId) -> ClassicMember | None:
        """Lets a member go, pending ones included; its parked requests are the caller's."""
        self.pending_members.discard(member_id)
        self.pending_sync.discard(member_id)
        member = self.members.pop(member_id, None)
        if member is None:
            return None
        if member.parked_join is not None:
            self._parked_joins -= 1
        self._supporters.subtract(member.protocols.keys())
        if member.group_instance_id is not None:
            del self.static_member_ids[member.group_instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        return member

    def update(
        self,
        member: ClassicMember,
        protocols: dict[str, bytes],
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
    ) -> None:
        """Takes over what a member says when it joins again."""
        self._supporters.subtract(member.protocols.keys())
        self._supporters.update(protocols.keys())
        member.protocols = protocols
        member.session_timeout_ms = session_timeout_ms
        member.rebalance_timeout_ms = rebalance_timeout_ms

    def rename(self, member: ClassicMember, member_id: MemberId) -> None:
        """Gives a static member that came back its new id, in its old place."""
        old_id, member.member_id = member.member_id, member_id
        self.members = {other.member_id: other for other in self.members.values()}
        if member.group_instance_id is not None:
            self.static_member_ids[member.group_instance_id] = member_id
        if self.leader_id == old_id:
            self.leader_id = member_id
        if old_id in self.pending_sync:
            self.pending_sync.discard(old_id)
            self.pending_sync.add(member_id)

    def park_join(self, member: ClassicMember, parked: Parked) -> None:
        """Keeps a JoinGroup until all have joined; an older one was taken out before."""
        assert member.parked_join is None
        member.parked_join = parked
        self._parked_joins += 1

    def take_join(self, member: ClassicMember) -> Parked | None:
        """Takes a parked JoinGroup out, to answer it."""
        parked, member.parked_join = member.parked_join, None
        if parked is not None:
            self._parked_joins -= 1
        return parked

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether a member of this type and these protocols would have one in common with all."""
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and any(True for _ in protocols)
        return self.protocol_type == protocol_type and any(
            self._supporters[name] == len(self.members) for name in protocols
        )

    def vote(self) -> str:
        """The protocol that most members like best, of those that all support."""
        candidates = {name for name, n in self._supporters.items() if n == len(self.members)}
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return votes.most_common(1)[0][0]

    def validate(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """Whether a request comes from a member; a static one's double is fenced (KIP-345)."""
        if group_instance_id is not None:
            holder_id = self.static_member_ids.get(group_instance_id)
            if holder_id is not None and holder_id != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
            if holder_id is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def is_subscribed(self, topic: TopicName) -> bool:
        """Whether members read a topic; where that can't be known, consumers count as if so."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER_PROTOCOL_TYPE
        return topic in self.subscribed_topics

    def note_subscriptions(self) -> None:
        """Reads the topics out of the members' metadata, where that is a consumer's."""
        self.subscribed_topics = None
        if self.protocol_type != CONSUMER_PROTOCOL_TYPE:
            return
        topics: set[TopicName] = set()
        for member in self.members.values():
            metadata = member.protocols.get(self.protocol_name or "", b"")
            try:
                # Version 0 is the beginning of every version.
                subscription, _ = ConsumerProtocolSubscription.decode(metadata, 0, _VERSION_BYTES)
            except DecodeError:
                return
            topics.update(TopicName(topic) for topic in subscription.topics)
        self.subscribed_topics = frozenset(topics)

    def image(self, assignments: Mapping[MemberId, bytes], now_ms: int) -> GroupMetadataValue:
        """The group as its record will hold it."""
        protocol_name = self.protocol_name or ""
        return GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol_name,
            leader=self.leader_id,
            current_state_timestamp=now_ms,
            members=[
                MemberMetadata(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout=member.rebalance_timeout_ms,
                    session_timeout=member.session_timeout_ms,
                    subscription=member.protocols[protocol_name],
                    assignment=assignments.get(member.member_id, b""),
                )
                for member in self.members.values()
            ],
        )

    def adopt_assignments(self, image: GroupMetadataValue) -> None:
        """Takes over what the group's record says of its members."""
        for stored in image.members:
            member = self.members.get(MemberId(stored.member_id))
            if member is not None:
                member.assignment = stored.assignment


def group_of_image(group_id: GroupId, image: GroupMetadataValue) -> ClassicGroup:
    """A group as a coordinator finds it in its log: Stable, or Empty."""
    timestamp_ms = image.current_state_timestamp
    group = ClassicGroup(
        group_id=group_id,
        state=GroupState.STABLE if image.members else GroupState.EMPTY,
        generation=image.generation,
        protocol_type=image.protocol_type or None,
        protocol_name=image.protocol,
        leader_id=None if image.leader is None else MemberId(image.leader),
        state_timestamp_ms=None if timestamp_ms == _NO_TIMESTAMP else timestamp_ms,
    )
    for stored in image.members:
        rebalance_timeout_ms = stored.rebalance_timeout
        group.add(
            ClassicMember(
                member_id=MemberId(stored.member_id),
                group_instance_id=stored.group_instance_id,
                client_id=stored.client_id,
                client_host=stored.client_host,
                session_timeout_ms=stored.session_timeout,
                rebalance_timeout_ms=stored.session_timeout
                if rebalance_timeout_ms == _NO_TIMESTAMP
                else rebalance_timeout_ms,
                protocols={image.protocol or "": stored.subscription},
                assignment=stored.assignment,
            )
        )
    group.note_subscriptions()
    return group
