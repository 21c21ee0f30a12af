"""How a consumer group and one of its members get on with a request of that member.

In this order, as in Kafka's ``consumerGroupHeartbeat``: what the member says of itself is written;
the group's epoch moves when subscriptions, or topics that are subscribed to, have changed; a new
epoch gets its target; the member takes its next step towards its target.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.consumer.group import ConsumerGroup, ResolvedRegex
from datacore.coordinator.group.consumer.member import (
    JOIN_EPOCH,
    ConsumerMember,
    MemberState,
    Partitions,
)
from datacore.coordinator.group.consumer.reconciliation import reconcile
from datacore.coordinator.group.consumer.records import (
    current_record,
    epoch_record,
    member_record,
    member_tombstones,
    target_epoch_record,
    target_record,
)
from datacore.coordinator.group.consumer.subscription import resolve_regexes, subscribed_topics_hash
from datacore.coordinator.group.consumer.target import make_target
from datacore.coordinator.group.ongoing_rebalance import OngoingRebalance
from datacore.coordinator.group.state import MEMBER_TIMERS, Timer, TimerKind, Turn
from datacore.coordinator.outcome import Record
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, MemberId, TopicId


def rests(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> bool:
    """Whether a request in which a member says nothing new of itself changes nothing.

    So it is with nearly all heartbeats: the member has what the newest target gives it, the topics
    are those of the last look, and nobody waits to be told that the group is stable.
    """
    watch = turn.state.watches.get(group.group_id)
    return (
        watch is not None
        and watch.rebalance is None
        and watch.topics_version == turn.state.cluster.topics_version
        and JOIN_EPOCH < group.epoch == group.target_epoch
        and member.is_reconciled_to(group.epoch)
    )


@dataclass(slots=True)
class Progress:
    """One request of one member, until ``finish`` lets it be true.

    Attributes:
        turn: The call.
        group: As it was before.
        before: The member as it was; under its new id, where it replaces an old self.
        after: The member as it will be.
        owned: What it says to own; None where it says nothing.
        replaced: The static member's old self.
        records: What leads from before to after; the caller may have put some there already.
    """

    turn: Turn
    group: ConsumerGroup
    before: ConsumerMember
    after: ConsumerMember
    owned: Partitions | None
    replaced: ConsumerMember | None
    records: list[Record]

    def run(self) -> None:
        """Does all of the above; where it fails, nothing has happened.

        Raises:
            KafkaError: INVALID_REGULAR_EXPRESSION, FENCED_MEMBER_EPOCH, or INVALID_REQUEST where a
                record would not fit into the log.
        """
        group, turn = self.group, self.turn
        group_id = group.group_id
        if self.replaced is not None:
            self._replace(self.replaced)
        elif self._is_new or (self.after is not self.before and self.after != self.before):
            self.records.append(member_record(group_id, self.after))
        watch = turn.state.watches.get(group_id)
        topics_version = turn.state.cluster.topics_version
        has_topics_changed = watch is None or watch.topics_version != topics_version
        regexes: Mapping[str, ResolvedRegex] = group.regexes
        epoch, reason = group.epoch, ""
        if has_topics_changed or self._has_subscribed_otherwise:
            epoch, regexes, reason = self._look_at_topics(has_topics_changed=has_topics_changed)
        target = group.target_of((self.replaced or self.after).member_id)
        if epoch > group.target_epoch:
            target = self._make_target(regexes, epoch)
        said = self.after
        target_epoch = max(epoch, group.target_epoch)
        self.after = reconcile(said, target_epoch, target, self.owned, self._is_free)
        if self.after is not said and self.after != said:
            self.records.append(current_record(group_id, self.after))
        check_sizes(turn, self.records)
        self._finish(epoch, reason, topics_version)

    @property
    def _is_new(self) -> bool:
        return self.before.member_id not in self.group.members and self.replaced is None

    @property
    def _has_subscribed_otherwise(self) -> bool:
        return self.group.epoch == 0 or (
            self.after.topic_names != self.before.topic_names
            or self.after.topic_regex != self.before.topic_regex
        )

    def members_after(self) -> dict[MemberId, ConsumerMember]:
        """The group's members as they will be."""
        members = dict(self.group.members)
        if self.replaced is not None:
            del members[self.replaced.member_id]
        # It may have come back under the id that it had.
        members[self.after.member_id] = self.after
        return members

    def _replace(self, old: ConsumerMember) -> None:
        group_id = self.group.group_id
        self.records += member_tombstones(group_id, old.member_id)
        self.records.append(member_record(group_id, self.after))
        target = self.group.target_of(old.member_id)
        self.records.append(target_record(group_id, self.after.member_id, target))
        self.records.append(current_record(group_id, self.after))

    def _look_at_topics(
        self, *, has_topics_changed: bool
    ) -> tuple[int, Mapping[str, ResolvedRegex], str]:
        """The group's epoch, its regular expressions, and why the epoch moved, if it did."""
        group, turn = self.group, self.turn
        members = self.members_after().values()
        cluster = turn.state.cluster
        regexes, records = resolve_regexes(
            group, members, cluster, turn.now_ms, has_topics_changed=has_topics_changed
        )
        self.records += records
        hashed = subscribed_topics_hash(members, regexes, cluster)
        if not self._has_subscribed_otherwise and hashed == group.metadata_hash:
            return group.epoch, regexes, ""
        self.records.append(epoch_record(group.group_id, group.epoch + 1, hashed))
        reason = "its topics changed"
        if self._is_new:
            reason = f"member {self.after.member_id!r} is new"
        elif self._has_subscribed_otherwise:
            reason = f"member {self.after.member_id!r} subscribes to other topics"
        return group.epoch + 1, regexes, reason

    def _make_target(self, regexes: Mapping[str, ResolvedRegex], epoch: int) -> Partitions:
        group, turn = self.group, self.turn
        targets: Mapping[MemberId, Partitions] = group.targets
        if self.replaced is not None:
            old = group.target_of(self.replaced.member_id)
            targets = {**targets, self.after.member_id: old}
        made = make_target(
            self.members_after().values(),
            targets,
            regexes,
            turn.state.cluster,
            turn.config.consumer,
        )
        for member_id, partitions in made.items():
            if targets.get(member_id) != partitions:
                self.records.append(target_record(group.group_id, member_id, partitions))
        self.records.append(target_epoch_record(group.group_id, epoch))
        return made[self.after.member_id]

    def _is_free(self, topic_id: TopicId, index: int) -> bool:
        return (topic_id, index) not in self.group.owners

    def _finish(self, epoch: int, reason: str, topics_version: int) -> None:
        """Lets it be true; nothing can fail any more."""
        turn, group_id = self.turn, self.group.group_id
        turn.outcome.records += self.records
        watch = turn.state.watch(group_id)
        watch.topics_version = topics_version
        if self.replaced is not None:
            stop_timers(turn, group_id, self.replaced.member_id)
        if reason:
            note_rebalance(turn, group_id, epoch, reason)
        self._time_revocation()
        if watch.rebalance is None or not self.after.is_reconciled_to(epoch):
            return
        known_as = {each.member_id for each in (self.after, self.replaced) if each is not None}
        # Not of ``members_after``: most members find another that is not there yet.
        for member in self.group.members.values():
            if not member.is_reconciled_to(epoch) and member.member_id not in known_as:
                return
        turn.outcome.say(
            f"group {group_id!r} is stable in epoch {epoch} with {len(self.members_after())}"
            f" members, {watch.rebalance.told(turn.now_ms)}"
        )
        watch.rebalance = None

    def _time_revocation(self) -> None:
        """A member has its rebalance timeout to give partitions up."""
        if self.after.classic is not None:
            return
        timer = Timer(TimerKind.REVOCATION, self.group.group_id, self.after.member_id)
        if self.after.state is not MemberState.UNREVOKED_PARTITIONS:
            self.turn.stop_timer(timer)
        elif timer not in self.turn.state.timers or self.before.epoch != self.after.epoch:
            self.turn.start_timer(timer, self.after.rebalance_timeout_ms)


def note_rebalance(turn: Turn, group_id: GroupId, epoch: int, reason: str) -> None:
    """Tells why a group needs a new target, and remembers since when."""
    watch = turn.state.watch(group_id)
    if watch.rebalance is None:
        watch.rebalance = OngoingRebalance(turn.now_ms, reason)
    turn.outcome.say(f"group {group_id!r} rebalances in epoch {epoch}: {reason}")


def check_sizes(turn: Turn, records: Iterable[Record]) -> None:
    """Refuses what would not fit into the log.

    Raises:
        KafkaError: INVALID_REQUEST.
    """
    for record in records:
        stored_bytes = len(record.value or b"")
        if stored_bytes > turn.config.group_metadata_record_max_bytes:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"A record of the group would take {stored_bytes} bytes, which is too much.",
            )


def stop_timers(turn: Turn, group_id: GroupId, member_id: MemberId) -> None:
    """Nothing is expected of a member any more."""
    for kind in MEMBER_TIMERS:
        turn.stop_timer(Timer(kind, group_id, member_id))


def fence(turn: Turn, group: ConsumerGroup, members: Iterable[ConsumerMember], why: str) -> None:
    """Takes members out of a group, which needs a new target then.

    It is made by the next request of one of the others; ``members`` are the group's, one or more.
    """
    group_id = group.group_id
    watch = turn.state.watch(group_id)
    records: list[Record] = []
    others = dict(group.members)
    gone = []
    for member in members:
        del others[member.member_id]
        gone.append(member.member_id)
        records += member_tombstones(group_id, member.member_id)
        stop_timers(turn, group_id, member.member_id)
        turn.outcome.say(f"member {member.member_id!r} is out of group {group_id!r}: {why}")
        if watch.rebalance is not None:
            watch.rebalance.lose(member.member_id, why)
    cluster = turn.state.cluster
    regexes, regex_records = resolve_regexes(
        group,
        others.values(),
        cluster,
        turn.now_ms,
        has_topics_changed=watch.topics_version != cluster.topics_version,
    )
    watch.topics_version = cluster.topics_version
    hashed = subscribed_topics_hash(others.values(), regexes, cluster)
    turn.outcome.records += [
        *records,
        *regex_records,
        epoch_record(group_id, group.epoch + 1, hashed),
    ]
    if others:
        who = f"member {gone[0]!r} is" if len(gone) == 1 else f"{len(gone)} members are"
        note_rebalance(turn, group_id, group.epoch + 1, f"{who} out: {why}")
    else:
        watch.rebalance = None
        turn.outcome.say(f"group {group_id!r} is empty in epoch {group.epoch + 1}")
