"""One member of a consumer group, as its records say: a value, never changed in place.

Its epoch is the last target that it has taken over; what it may read is ``assigned``, what it was
told to stop reading, and may still read, is ``pending_revocation``. Both count as owned: nobody
else gets these partitions before the member has given them up.

    STABLE ---------------- a newer target takes partitions away --> UNREVOKED_PARTITIONS
    STABLE ------- a newer target gives partitions that others own --> UNRELEASED_PARTITIONS
    UNREVOKED_PARTITIONS --- the member no longer owns them ---------> one of the three
    UNRELEASED_PARTITIONS -- all of them were released --------------> STABLE

Kafka's counterparts are ``ConsumerGroupMember`` and ``MemberState``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from datacore.protocol.names import MemberId, TopicId

Partitions: TypeAlias = Mapping[TopicId, frozenset[int]]
"""Partitions by their topic; no topic stands there without any."""

NO_PARTITIONS: Final[Partitions] = MappingProxyType({})

JOIN_EPOCH: Final = 0
LEAVE_EPOCH: Final = -1
LEAVE_FOR_A_WHILE_EPOCH: Final = -2
"""What a member says for an epoch when it comes, goes, or (a static one) goes for a while."""


class MemberState(IntEnum):
    """How far a member is on its way to its target, as records number it."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127
    """Written by a newer coordinator."""


class ClassicProtocols(NamedTuple):
    """What a member that speaks the classic protocol said when it joined.

    Attributes:
        session_timeout_ms: Its own; members of the consumer protocol have the group's.
        protocols: (name, subscription as bytes), in its order of preference.
    """

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMember:
    """One member.

    Attributes:
        member_id: Made by the client, or by the coordinator for clients of version 0.
        instance_id: Given by the operator, to a static member.
        rack_id: Where the client runs; kept and shown, the assignors do not look at it.
        client_id: As descriptions show it.
        client_host: Likewise.
        rebalance_timeout_ms: How long it may take to give partitions up.
        topic_names: What it subscribes to by name.
        topic_regex: And by regular expression; "" is none.
        server_assignor: The assignor that it asks for.
        classic: Set while it speaks the classic protocol.
        epoch: The target that it has taken over; see the constants above for others.
        previous_epoch: Its epoch before, which it may still say when an answer got lost.
        state: See the table above.
        assigned: What it may read.
        pending_revocation: What it was told to give up.
    """

    member_id: MemberId
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topic_names: frozenset[str] = frozenset()
    topic_regex: str = ""
    server_assignor: str | None = None
    classic: ClassicProtocols | None = None
    epoch: int = JOIN_EPOCH
    previous_epoch: int = JOIN_EPOCH
    state: MemberState = MemberState.STABLE
    assigned: Partitions = field(default_factory=lambda: NO_PARTITIONS)
    pending_revocation: Partitions = field(default_factory=lambda: NO_PARTITIONS)

    @property
    def is_away(self) -> bool:
        """Whether it is a static member that left and means to return."""
        return self.epoch == LEAVE_FOR_A_WHILE_EPOCH

    def is_reconciled_to(self, target_epoch: int) -> bool:
        """Whether it has all that the target gives it, and nothing else."""
        return self.state is MemberState.STABLE and self.epoch == target_epoch

    def owned(self) -> Iterator[tuple[TopicId, int]]:
        """All partitions that it may be reading."""
        for partitions in (self.assigned, self.pending_revocation):
            for topic_id, indexes in partitions.items():
                for index in indexes:
                    yield topic_id, index


def is_subset(partitions: Partitions, of: Partitions) -> bool:
    """Whether all of ``partitions`` are among others."""
    nothing: frozenset[int] = frozenset()
    return all(indexes <= of.get(topic_id, nothing) for topic_id, indexes in partitions.items())
