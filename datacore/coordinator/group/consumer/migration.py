"""A group changes its protocol while its members stay: KIP-848's online up- and downgrade.

Upgrade: the first member that speaks the consumer protocol turns a classic group into a consumer
group. Members of the classic protocol stay in it, with what their leader gave them last, and go on
by JoinGroup, SyncGroup and Heartbeat (classic_members.py). A group without members just changes.

Downgrade: when the last member that speaks the consumer protocol goes, those that are left are a
classic group again, and rebalance.

``group.consumer.migration.policy`` may forbid either. Kafka's counterparts are
``convertToConsumerGroup`` and ``convertToClassicGroup``.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.classic import (
    CONSUMER_PROTOCOL_TYPE,
    ClassicGroup,
    ClassicMember,
    GroupState,
)
from datacore.coordinator.group.consumer.classic_protocol import (
    read_assignment,
    read_subscription,
    write_assignment,
)
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.member import (
    ClassicProtocols,
    ConsumerMember,
    Partitions,
)
from datacore.coordinator.group.consumer.progress import fence, stop_timers
from datacore.coordinator.group.consumer.records import (
    current_record,
    epoch_record,
    group_tombstones,
    member_record,
    target_epoch_record,
    target_record,
)
from datacore.coordinator.group.consumer.replay import decode
from datacore.coordinator.group.consumer.subscription import NO_TOPICS_HASH
from datacore.coordinator.group.rebalance import (
    answer_join,
    answer_sync,
    prepare_rebalance,
    renew_session,
)
from datacore.coordinator.group.records import group_metadata_record, group_metadata_tombstone
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.coordinator.outcome import Record
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, TopicId
from datacore.wire.errors import DecodeError


@dataclass(slots=True)
class Conversion:
    """A consumer group for a member to join, and what it takes to have it.

    Attributes:
        group: The group as it will be when the records are applied.
        records: What makes it; empty where it is there already.
        upgraded: The classic group that it is made of, if that had members.
    """

    group: ConsumerGroup
    records: list[Record] = field(default_factory=list)
    upgraded: ClassicGroup | None = None

    def finish(self, turn: Turn, replaced: ConsumerMember | None) -> None:
        """Tells the members of a classic group that it is one no more.

        Args:
            turn: The call.
            replaced: The one in whose place the first consumer comes.
        """
        if self.upgraded is None:
            return
        group_id = self.group.group_id
        for member in self.upgraded.members.values():
            error_code = ErrorCode.REBALANCE_IN_PROGRESS
            answer_join(turn, self.upgraded, member, error_code, member.member_id)
            answer_sync(turn, member, error_code)
            if replaced is None or member.member_id != replaced.member_id:
                session = Timer(TimerKind.CONSUMER_SESSION, group_id, member.member_id)
                turn.start_timer(session, member.session_timeout_ms)
        members = len(self.upgraded.members)
        turn.outcome.say(f"group {group_id!r} with {members} members is a consumer group now")


def consumer_group_for(turn: Turn, group_id: GroupId, *, may_make: bool) -> Conversion:
    """Finds a consumer group, or makes one of what is there.

    Raises:
        KafkaError: GROUP_ID_NOT_FOUND, or COORDINATOR_NOT_AVAILABLE when the shard is full.
    """
    state = turn.state
    group = state.consumer_groups.get(group_id)
    if group is not None:
        return Conversion(group)
    classic = state.groups.get(group_id)
    if classic is None:
        if not may_make:
            message = f"Consumer group {group_id} not found."
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, message)
        if len(state.groups) + len(state.consumer_groups) >= turn.config.max_groups:
            turn.outcome.say(f"group {group_id!r} is refused: the shard is full of groups")
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return Conversion(ConsumerGroup(group_id))
    if may_make and classic.state is GroupState.EMPTY:
        return Conversion(ConsumerGroup(group_id), [group_metadata_tombstone(group_id)])
    if may_make:
        _check_upgrade(turn, classic)
        return _upgrade(turn, classic)
    raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")


def _check_upgrade(turn: Turn, group: ClassicGroup) -> None:
    config = turn.config.consumer
    if not config.migration_policy.may_upgrade:
        why = "online upgrade is disabled"
    elif group.protocol_type != CONSUMER_PROTOCOL_TYPE:
        why = "the group does not use the consumer embedded protocol"
    elif len(group.members) > config.max_size:
        why = "the group size exceeds the consumer group maximum size"
    else:
        return
    turn.outcome.say(f"group {group.group_id!r} does not become a consumer group: {why}")
    raise KafkaError(
        ErrorCode.GROUP_ID_NOT_FOUND,
        f"Cannot upgrade classic group {group.group_id} to consumer group because {why}.",
    )


def _upgrade(turn: Turn, classic: ClassicGroup) -> Conversion:
    """Writes a classic group as a consumer group: at rest, with its last generation's assignments.

    Raises:
        KafkaError: GROUP_ID_NOT_FOUND: a member's metadata or assignment is no consumer's.
    """
    group_id, epoch = classic.group_id, classic.generation
    taken: set[tuple[TopicId, int]] = set()
    try:
        members = [_consumer_member(turn, classic, m, taken) for m in classic.members.values()]
    except DecodeError as error:
        turn.outcome.say(f"group {group_id!r} does not become a consumer group: {error}")
        raise KafkaError(
            ErrorCode.GROUP_ID_NOT_FOUND,
            f"Cannot upgrade the classic group {group_id} to consumer group because the embedded"
            " consumer protocol is malformed.",
        ) from None
    records = [member_record(group_id, member) for member in members]
    records.append(epoch_record(group_id, epoch, NO_TOPICS_HASH))
    records += [target_record(group_id, m.member_id, m.assigned) for m in members]
    records.append(target_epoch_record(group_id, epoch))
    records += [current_record(group_id, member) for member in members]
    group = ConsumerGroup(group_id)
    for record in records:
        decoded = decode(record.key, record.value)
        assert decoded is not None
        decoded.apply(group)
    return Conversion(group, [group_metadata_tombstone(group_id), *records], classic)


def _consumer_member(
    turn: Turn, group: ClassicGroup, member: ClassicMember, taken: set[tuple[TopicId, int]]
) -> ConsumerMember:
    cluster = turn.state.cluster
    metadata = member.protocols.get(group.protocol_name or "")
    if metadata is None:
        metadata = next(iter(member.protocols.values()))
    subscription = read_subscription(metadata, cluster)
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=member.group_instance_id,
        rack_id=subscription.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topic_names=subscription.topics,
        classic=ClassicProtocols(member.session_timeout_ms, tuple(member.protocols.items())),
        epoch=group.generation,
        previous_epoch=group.generation,
        assigned=_not_taken(read_assignment(member.assignment, cluster), taken),
    )


def _not_taken(partitions: Partitions, taken: set[tuple[TopicId, int]]) -> Partitions:
    """A leader may have given a partition to two members; here one owns it."""
    kept: dict[TopicId, frozenset[int]] = {}
    for topic_id, indexes in partitions.items():
        free = frozenset(index for index in indexes if (topic_id, index) not in taken)
        taken.update((topic_id, index) for index in free)
        if free:
            kept[topic_id] = free
    return kept


def remove_members(
    turn: Turn, group: ConsumerGroup, members: Collection[ConsumerMember], why: str
) -> None:
    """Takes members out of a group, which may be a classic group then."""
    gone = {member.member_id for member in members}
    others = [member for member in group.members.values() if member.member_id not in gone]
    was_mixed = any(member.classic is None for member in members)
    classic = _downgraded(turn, group, others) if others and was_mixed else None
    if classic is None:
        fence(turn, group, members, why)
        return
    for member_id in gone:
        turn.outcome.say(f"member {member_id!r} is out of group {group.group_id!r}: {why}")
    _replace_group(turn, group, classic)
    prepare_rebalance(turn, classic, f"its last member of the consumer protocol is out: {why}")


def downgrade_without(
    turn: Turn, group: ConsumerGroup, member: ConsumerMember
) -> ClassicGroup | None:
    """The classic group of all others, if this member alone keeps it from being one."""
    others = [other for other in group.members.values() if other is not member]
    classic = _downgraded(turn, group, others) if member.classic is None else None
    if classic is not None:
        _replace_group(turn, group, classic)
    return classic


def drop_empty_consumer_group(turn: Turn, group_id: GroupId) -> None:
    """Makes room for a classic group of the same name."""
    group = turn.state.consumer_groups.get(group_id)
    if group is not None:
        assert not group.members
        turn.outcome.records += group_tombstones(group)


def _downgraded(
    turn: Turn, group: ConsumerGroup, members: Collection[ConsumerMember]
) -> ClassicGroup | None:
    """These members as a Stable classic group; None where that cannot be."""
    if any(member.classic is None for member in members):
        return None
    classic = ClassicGroup(
        group_id=group.group_id, generation=group.epoch, protocol_type=CONSUMER_PROTOCOL_TYPE
    )
    for member in members:
        classic.add(_classic_member(turn, member))
    why = ""
    if not turn.config.consumer.migration_policy.may_downgrade:
        why = "the migration policy forbids it"
    elif len(members) > turn.config.group_max_size:
        why = f"it has more than {turn.config.group_max_size} members"
    elif not classic.has_common_protocol:
        why = "its members have no protocol in common"
    else:
        if members:
            classic.protocol_name = classic.vote()
            classic.enter(GroupState.STABLE, turn.now_ms)
        classic.note_subscriptions()
        stored_bytes = len(_image_record(turn, classic).value or b"")
        if stored_bytes > turn.config.group_metadata_record_max_bytes:
            why = f"its record would take {stored_bytes} bytes, which is too much"
    if why:
        turn.outcome.say(f"group {group.group_id!r} does not become a classic group: {why}")
        return None
    return classic


def _classic_member(turn: Turn, member: ConsumerMember) -> ClassicMember:
    assert member.classic is not None
    protocols = dict(member.classic.protocols)
    metadata = next(iter(protocols.values()))
    return ClassicMember(
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        session_timeout_ms=member.classic.session_timeout_ms,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        protocols=protocols,
        assignment=write_assignment(member.assigned, metadata, turn.state.cluster),
    )


def _image_record(turn: Turn, group: ClassicGroup) -> Record:
    assignments = {each.member_id: each.assignment for each in group.members.values()}
    return group_metadata_record(group.group_id, group.image(assignments, turn.now_ms))


def _replace_group(turn: Turn, group: ConsumerGroup, classic: ClassicGroup) -> None:
    """Writes the classic group in the consumer group's place; it lives from now on."""
    group_id = group.group_id
    turn.outcome.records += [*group_tombstones(group), _image_record(turn, classic)]
    for member_id in group.members:
        stop_timers(turn, group_id, member_id)
    turn.state.groups[group_id] = classic
    for member in classic.members.values():
        renew_session(turn, classic, member)
    members = len(classic.members)
    turn.outcome.say(f"group {group_id!r} with {members} members is a classic group now")
