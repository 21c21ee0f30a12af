"""JoinGroup: a member comes, comes back, or wants a new generation.

Versions: 0 has no rebalance timeout, the session timeout stands for it; 4 asks a dynamic member
without id to come back with the one it is told (KIP-394, MEMBER_ID_REQUIRED); 5 has
group.instance.id (KIP-345); 7 may have a null protocol name; 8 a reason (KIP-800); 9 lets a static
leader that came back lead without assigning (KIP-814).

A JoinGroup that is not answered at once is parked in its member until the barrier closes.
"""

from dataclasses import dataclass

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupRequest, JoinGroupResponse
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, ClassicMember, GroupState, Parked
from datacore.coordinator.group.consumer import classic_members, migration
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.rebalance import (
    answer_join,
    answer_sync,
    complete_join_if_all_have_joined,
    prepare_rebalance,
    rebalance,
    remove_member,
    remove_pending_member,
    renew_session,
    session_timer,
)
from datacore.coordinator.group.records import group_metadata_record
from datacore.coordinator.group.replies import SKIP_ASSIGNMENT_FROM, join_failed, joined
from datacore.coordinator.group.state import Turn
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import NO_MEMBER_ID, GroupId, MemberId
from datacore.wire.strings import STRING_BYTES_MAX

MEMBER_ID_REQUIRED_FROM = 4
REBALANCE_TIMEOUT_FROM = 1


@dataclass(slots=True)
class _Join:
    """A request that has found its group."""

    turn: Turn
    group: ClassicGroup
    request: JoinGroupRequest
    context: RequestContext
    fresh_id: str

    @property
    def parked(self) -> Parked:
        return Parked(self.context.token, self.context.api_version)

    @property
    def protocols(self) -> dict[str, bytes]:
        return {protocol.name: bytes(protocol.metadata) for protocol in self.request.protocols}

    @property
    def rebalance_timeout_ms(self) -> int:
        if self.context.api_version < REBALANCE_TIMEOUT_FROM:
            return self.request.session_timeout_ms
        return max(self.request.rebalance_timeout_ms, 0)

    @property
    def client_reason(self) -> str:
        """What the client says of its own (KIP-800)."""
        return f" ({self.request.reason})" if self.request.reason else ""

    @property
    def new_member_id(self) -> MemberId:
        """Kafka's form: the client's or the instance's name, and something unique."""
        instance_id = self.request.group_instance_id
        owner = self.context.client_id if instance_id is None else instance_id
        return MemberId(f"{owner}-{self.fresh_id}")

    def fail(self, error_code: ErrorCode, member_id: MemberId) -> None:
        self.answer(join_failed(self.parked, error_code, member_id))

    def answer(self, response: JoinGroupResponse) -> None:
        self.turn.outcome.reply(self.context.token, response)


def join_group(
    turn: Turn, request: JoinGroupRequest, context: RequestContext, fresh_id: str
) -> None:
    """Handles JoinGroup.

    Args:
        turn: The call.
        request: The body.
        context: The rest of it.
        fresh_id: A UUID in its text form, never used before; the end of a new member's id.
    """
    member_id = MemberId(request.member_id)
    group_id = GroupId(request.group_id)
    known_group = turn.state.groups.get(group_id)
    group = known_group or ClassicGroup(group_id=group_id, state_timestamp_ms=turn.now_ms)
    join = _Join(turn, group, request, context, fresh_id)
    consumer_group = turn.state.consumer_groups.get(group_id)
    error_code = _validate(join)
    if error_code is not ErrorCode.NONE:
        join.fail(error_code, member_id)
    elif consumer_group is not None and consumer_group.members:
        _join_consumer_group(join, consumer_group, member_id)
    elif known_group is None and member_id != NO_MEMBER_ID:
        join.fail(ErrorCode.UNKNOWN_MEMBER_ID, member_id)
    elif known_group is None and len(turn.state.groups) >= turn.config.max_groups:
        turn.outcome.say(f"group {group_id!r} is refused: the shard is full of groups")
        join.fail(ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id)
    elif not _has_room(turn, group, member_id):
        _refuse_for_size(turn, group, member_id)
        join.fail(ErrorCode.GROUP_MAX_SIZE_REACHED, NO_MEMBER_ID)
    elif not group.supports(request.protocol_type, join.protocols):
        join.fail(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id)
    elif member_id == NO_MEMBER_ID:
        migration.drop_empty_consumer_group(turn, group_id)
        turn.state.groups[group_id] = group
        _join_without_id(join)
    else:
        _join_with_id(join, member_id)


def _validate(join: _Join) -> ErrorCode:
    """What can be wrong with a request by itself."""
    request, config = join.request, join.turn.config
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    least_ms, most_ms = config.group_min_session_timeout_ms, config.group_max_session_timeout_ms
    if not least_ms <= request.session_timeout_ms <= most_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    if len(join.new_member_id.encode()) > STRING_BYTES_MAX:
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE


def _join_consumer_group(join: _Join, group: ConsumerGroup, member_id: MemberId) -> None:
    """A group that has members of the consumer protocol answers in their way (KIP-848)."""
    turn, request, instance_id = join.turn, join.request, join.request.group_instance_id
    is_new = member_id == NO_MEMBER_ID
    try:
        classic_members.check_join(turn, group, request, member_id)
        if is_new and instance_id is not None:
            holder = group.static_member(instance_id)
            classic = None if holder is None else migration.downgrade_without(turn, group, holder)
            if classic is not None:
                join.group = classic
                _add_member(join, join.new_member_id)
                return
        elif is_new and join.context.api_version >= MEMBER_ID_REQUIRED_FROM:
            join.fail(ErrorCode.MEMBER_ID_REQUIRED, join.new_member_id)
            return
        join.answer(
            classic_members.join(
                turn,
                group,
                request,
                join.context,
                join.new_member_id if is_new else member_id,
                join.rebalance_timeout_ms,
            )
        )
    except KafkaError as error:
        # As in Kafka the member is not named beside what this protocol refuses.
        join.fail(error.code, NO_MEMBER_ID)


def _has_room(turn: Turn, group: ClassicGroup, member_id: MemberId) -> bool:
    """Whether a member may join: while all join again, those who came first stay (KIP-389)."""
    member = group.members.get(member_id)
    is_pending = member_id in group.pending_members
    may_wait = len(group.pending_members) < turn.config.group_max_pending_members
    if member is None and not is_pending and not may_wait:
        return False
    match group.state:
        case GroupState.EMPTY | GroupState.DEAD:
            return True
        case GroupState.PREPARING_REBALANCE:
            is_waiting = member is not None and member.parked_join is not None
            return is_waiting or group.parked_joins < turn.config.group_max_size
        case GroupState.COMPLETING_REBALANCE | GroupState.STABLE:
            return member is not None or len(group.members) < turn.config.group_max_size


def _refuse_for_size(turn: Turn, group: ClassicGroup, member_id: MemberId) -> None:
    member = group.members.get(member_id)
    if member is not None:
        remove_member(turn, group, member, f"more than {turn.config.group_max_size} members")
        complete_join_if_all_have_joined(turn, group)
    elif member_id in group.pending_members:
        remove_pending_member(turn, group, member_id)


def _join_without_id(join: _Join) -> None:
    group, instance_id = join.group, join.request.group_instance_id
    member_id = join.new_member_id
    if instance_id is not None:
        holder_id = group.static_member_ids.get(instance_id)
        if holder_id is None:
            _add_member(join, member_id)
        else:
            _replace_static_member(join, member_id, holder_id)
    elif join.context.api_version >= MEMBER_ID_REQUIRED_FROM:
        group.pending_members.add(member_id)
        session = session_timer(group, member_id)
        join.turn.start_timer(session, join.request.session_timeout_ms)
        join.fail(ErrorCode.MEMBER_ID_REQUIRED, member_id)
    else:
        _add_member(join, member_id)


def _join_with_id(join: _Join, member_id: MemberId) -> None:
    group, instance_id = join.group, join.request.group_instance_id
    if member_id in group.pending_members and instance_id is None:
        _add_member(join, member_id)
        return
    error_code = group.validate(member_id, instance_id)
    if error_code is not ErrorCode.NONE:
        join.fail(error_code, member_id)
        return
    member = group.members[member_id]
    if group.state is GroupState.PREPARING_REBALANCE:
        _rejoin(join, member, "it joins again")
    elif group.state is GroupState.STABLE and group.leader_id == member_id:
        # A leader's way to ask for new assignments, when topics changed and members did not.
        _rejoin(join, member, "the leader joins again")
    elif member.supports_exactly(join.protocols):
        # It has missed the answer to its last JoinGroup.
        join.answer(joined(group, member_id))
    else:
        _rejoin(join, member, "it joins with other protocols")


def _rejoin(join: _Join, member: ClassicMember, why: str) -> None:
    _update_member(join, member)
    reason = f"{why}: member {member.member_id!r}{join.client_reason}"
    rebalance(join.turn, join.group, reason)


def _update_member(join: _Join, member: ClassicMember) -> None:
    """Takes over a member's new JoinGroup and parks it; one that it overtakes is answered."""
    error_code = ErrorCode.REBALANCE_IN_PROGRESS
    answer_join(join.turn, join.group, member, error_code, member.member_id)
    session_timeout_ms = join.request.session_timeout_ms
    join.group.update(member, join.protocols, session_timeout_ms, join.rebalance_timeout_ms)
    join.group.park_join(member, join.parked)


def _add_member(join: _Join, member_id: MemberId) -> None:
    turn, group = join.turn, join.group
    member = ClassicMember(
        member_id=member_id,
        group_instance_id=join.request.group_instance_id,
        client_id=join.context.client_id,
        client_host=join.context.client_host,
        session_timeout_ms=join.request.session_timeout_ms,
        rebalance_timeout_ms=join.rebalance_timeout_ms,
        protocols=join.protocols,
        is_new=True,
    )
    if not group.members:
        group.protocol_type = join.request.protocol_type
    group.has_new_member = True
    group.add(member)
    group.park_join(member, join.parked)
    # It can't heartbeat before it knows its id, so its session does not run yet. Its request
    # may be given up unseen while it is parked, so it is not kept for ever either.
    turn.start_timer(session_timer(group, member_id), turn.config.new_member_join_timeout_ms)
    rebalance(turn, group, f"member {member_id!r} is new{join.client_reason}")


def _replace_static_member(join: _Join, member_id: MemberId, holder_id: MemberId) -> None:
    """A static member came back without its id: it takes its old place under a new one."""
    turn, group = join.turn, join.group
    old_leader_id = group.leader_id
    member = group.members[holder_id]
    turn.stop_timer(session_timer(group, holder_id))
    answer_join(turn, group, member, ErrorCode.FENCED_INSTANCE_ID, holder_id)
    answer_sync(turn, member, ErrorCode.FENCED_INSTANCE_ID)
    group.rename(member, member_id)
    came_back = f"static member {member.group_instance_id!r} came back as {member_id!r}"
    turn.outcome.say(f"{came_back} in group {group.group_id!r}; {holder_id!r} is fenced")
    _update_member(join, member)
    renew_session(turn, group, member)
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_join_if_all_have_joined(turn, group)
    elif not (group.state is GroupState.STABLE and _keeps_generation(join, member, old_leader_id)):
        # In CompletingRebalance the leader may know the old id already, and assign to it.
        prepare_rebalance(turn, group, came_back + join.client_reason)


def _keeps_generation(join: _Join, member: ClassicMember, old_leader_id: MemberId | None) -> bool:
    """Lets a static member into the generation that its old self was in, if that can go on."""
    turn, group = join.turn, join.group
    if group.vote() != group.protocol_name:
        return False
    assignments = {other.member_id: other.assignment for other in group.members.values()}
    record = group_metadata_record(group.group_id, group.image(assignments, turn.now_ms))
    if len(record.value or b"") > turn.config.group_metadata_record_max_bytes:
        return False
    group.enter(GroupState.STABLE, turn.now_ms)
    turn.outcome.append(record)
    group.take_join(member)
    if join.context.api_version >= SKIP_ASSIGNMENT_FROM:
        is_leader = group.leader_id == member.member_id
        join.answer(joined(group, member.member_id, skip_assignment=is_leader))
    else:
        # Told that it leads, it would assign anew; so it hears of the leader that it was.
        join.answer(joined(group, member.member_id, leader_id=old_leader_id))
    return True
