"""What a group shard knows, and one call's hold on it.

Durable are ``images``, ``consumer_groups``, ``offsets`` and ``pending``: replay alone writes them,
and they are all that a new coordinator starts from. ``groups`` (of the classic protocol),
``watches`` and ``timers`` are what a coordinator adds while it leads. ``cluster`` is seen, and not
kept.
"""

from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import NamedTuple

import msgspec

from datacore._generated.records.group_metadata import GroupMetadataValue
from datacore.coordinator.group.classic import ClassicGroup
from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.topics import ClusterView
from datacore.coordinator.group.offsets import OffsetStore
from datacore.coordinator.group.ongoing_rebalance import OngoingRebalance
from datacore.coordinator.group.pending_offsets import PendingOffsets
from datacore.coordinator.outcome import Outcome
from datacore.coordinator.timers import Timers
from datacore.protocol.names import NO_MEMBER_ID, GroupId, MemberId


class TimerKind(IntEnum):
    """What may run out; a number, because timers are looked up by it all the time."""

    SESSION = auto()
    """A member's silence."""
    JOIN = auto()
    """A group's wait for its members to join."""
    SYNC = auto()
    """A group's wait for its members to sync."""
    SWEEP = auto()
    """The shard's time between two looks for expired offsets."""
    CONSUMER_SESSION = auto()
    """The silence of a member of a consumer group."""
    REVOCATION = auto()
    """A member's time to give up what it was told to (its rebalance timeout)."""
    CLASSIC_JOIN = auto()
    """A classic member's time to join again in a consumer group (likewise)."""
    CLASSIC_SYNC = auto()
    """And then to send SyncGroup (likewise)."""


MEMBER_TIMERS = (
    TimerKind.CONSUMER_SESSION,
    TimerKind.REVOCATION,
    TimerKind.CLASSIC_JOIN,
    TimerKind.CLASSIC_SYNC,
)
"""All that may run for a member of a consumer group."""


class Timer(NamedTuple):
    """Name of a deadline."""

    kind: TimerKind
    group_id: GroupId
    member_id: MemberId = NO_MEMBER_ID


@dataclass(slots=True)
class Watch:
    """What a coordinator remembers of a consumer group while it leads.

    Attributes:
        topics_version: Of the cluster when the group's topics were last looked at; None for never.
        rebalance: The one that goes on, if any.
    """

    topics_version: int | None = None
    rebalance: OngoingRebalance | None = None


@dataclass(slots=True)
class ShardState:
    """All of one shard."""

    config: GroupConfig
    cluster: ClusterView
    images: dict[GroupId, GroupMetadataValue] = field(default_factory=dict)
    offsets: OffsetStore = field(default_factory=OffsetStore)
    pending: PendingOffsets = field(default_factory=PendingOffsets)
    groups: dict[GroupId, ClassicGroup] = field(default_factory=dict)
    consumer_groups: dict[GroupId, ConsumerGroup] = field(default_factory=dict)
    watches: dict[GroupId, Watch] = field(default_factory=dict)
    timers: Timers[Timer] = field(default_factory=Timers)

    def watch(self, group_id: GroupId) -> Watch:
        """What is remembered of a consumer group."""
        return self.watches.setdefault(group_id, Watch())

    def drop_group(self, group_id: GroupId) -> None:
        """Forgets a live group and its deadlines."""
        group = self.groups.pop(group_id, None)
        if group is None:
            return
        self.timers.cancel(Timer(TimerKind.JOIN, group_id))
        self.timers.cancel(Timer(TimerKind.SYNC, group_id))
        for member_id in (*group.members, *group.pending_members):
            self.timers.cancel(Timer(TimerKind.SESSION, group_id, member_id))

    def drop_group_of_commits(self, group_id: GroupId) -> None:
        """Forgets a live classic group that is there for its offsets alone."""
        if group_id not in self.images:
            self.drop_group(group_id)

    def drop_consumer_group(self, group_id: GroupId) -> None:
        """Forgets a consumer group and its deadlines; where offsets are left, they have a group."""
        group = self.consumer_groups.pop(group_id)
        self.watches.pop(group_id, None)
        for member_id in group.members:
            for kind in MEMBER_TIMERS:
                self.timers.cancel(Timer(kind, group_id, member_id))
        if group_id in self.offsets or group_id in self.pending:
            self.groups.setdefault(group_id, ClassicGroup(group_id=group_id))

    def drop_group_if_void(self, group_id: GroupId) -> None:
        """Forgets a live group of which neither members nor records are left."""
        group = self.groups.get(group_id)
        has_records = (
            group_id in self.images or group_id in self.offsets or group_id in self.pending
        )
        if group is not None and group.is_void and not has_records:
            self.drop_group(group_id)


class Turn(msgspec.Struct):
    """One call into the shard: the state it may look at, the time, and the outcome it fills."""

    state: ShardState
    now_ms: int
    outcome: Outcome = msgspec.field(default_factory=Outcome)

    @property
    def config(self) -> GroupConfig:
        """The shard's limits and timings."""
        return self.state.config

    def start_timer(self, timer: Timer, delay_ms: int) -> None:
        """Lets a timer run out ``delay_ms`` from now; it may be running already."""
        self.state.timers.schedule(timer, self.now_ms + delay_ms)

    def stop_timer(self, timer: Timer) -> None:
        """Lets a timer not run out."""
        self.state.timers.cancel(timer)
