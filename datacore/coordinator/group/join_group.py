"""JoinGroup: a member comes, comes back, or wants a new generation.

Versions: 0 has no rebalance timeout, the session timeout stands for it; 4 asks a dynamic member
without id to come back with the one it is told (KIP-394, MEMBER_ID_REQUIRED); 5 has
group.instance.id (KIP-345); 7 may have a null protocol name; 8 a reason (KIP-800); 9 lets a static
leader that came back lead without assigning (KIP-814).

A JoinGroup that is not answered at once is parked in its member until the barrier closes.
"""

from __future__ import annotations

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupRequest
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, ClassicMember, GroupState, Parked
from datacore.coordinator.group.names import NO_MEMBER_ID, GroupId, MemberId
from datacore.coordinator.group.rebalance import (
    answer_join,
    answer_sync,
    complete_join_if_all_have_joined,
    prepare_rebalance,
    rebalance,
    remove_member,
    renew_session,
    session_timer,
)
from datacore.coordinator.group.records import group_metadata_record, storable
from datacore.coordinator.group.replies import SKIP_ASSIGNMENT_FROM, join_failed, joined
from datacore.coordinator.group.state import Turn

MEMBER_ID_REQUIRED_FROM = 4
REBALANCE_TIMEOUT_FROM = 1


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
    parked = Parked(context.token, context.api_version)
    member_id = MemberId(request.member_id)

    def fail(error_code: ErrorCode, echo: str = member_id) -> None:
        turn.outcome.reply(parked.token, join_failed(parked, error_code, echo))

    error_code = _validate(turn, request, context, fresh_id)
    if error_code is not ErrorCode.NONE:
        fail(error_code)
        return
    group_id = GroupId(request.group_id)
    group = turn.state.groups.get(group_id)
    if group is None:
        if member_id != NO_MEMBER_ID:
            fail(ErrorCode.UNKNOWN_MEMBER_ID)
            return
        if len(turn.state.groups) >= turn.config.max_groups:
            turn.outcome.say(f"group {group_id!r} is refused: the shard is full of groups")
            fail(ErrorCode.COORDINATOR_NOT_AVAILABLE)
            return
        group = ClassicGroup(group_id=group_id, state_timestamp_ms=turn.now_ms)
    if not _has_room(turn, group, member_id):
        _refuse_for_size(turn, group, member_id)
        fail(ErrorCode.GROUP_MAX_SIZE_REACHED, NO_MEMBER_ID)
    elif not group.supports(request.protocol_type, [p.name for p in request.protocols]):
        fail(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    elif member_id == NO_MEMBER_ID:
        turn.state.groups[group_id] = group
        _join_without_id(turn, group, request, context, fresh_id)
    else:
        _join_with_id(turn, group, request, context)


def _validate(
    turn: Turn, request: JoinGroupRequest, context: RequestContext, fresh_id: str
) -> ErrorCode:
    """What can be wrong with a request by itself."""
    if not request.group_id or not storable(request.group_id):
        return ErrorCode.INVALID_GROUP_ID
    least_ms = turn.config.group_min_session_timeout_ms
    if not least_ms <= request.session_timeout_ms <= turn.config.group_max_session_timeout_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    names = (p.name for p in request.protocols)
    member_id = _new_member_id(request, context, fresh_id)
    if not storable(member_id, context.client_id, request.protocol_type, *names):
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE


def _new_member_id(request: JoinGroupRequest, context: RequestContext, fresh_id: str) -> MemberId:
    """Kafka's form: the client's or the instance's name, and something unique."""
    owner = context.client_id if request.group_instance_id is None else request.group_instance_id
    return MemberId(f"{owner}-{fresh_id}")


def _has_room(turn: Turn, group: ClassicGroup, member_id: MemberId) -> bool:
    """Whether a member may join: while all join again, those who came first stay (KIP-389)."""
    member = group.members.get(member_id)
    if member is None and member_id not in group.pending_members:
        if len(group.pending_members) >= turn.config.group_max_pending_members:
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
    elif member_id in group.pending_members:
        group.remove(member_id)
        turn.stop_timer(session_timer(group, member_id))
    complete_join_if_all_have_joined(turn, group)


def _join_without_id(
    turn: Turn,
    group: ClassicGroup,
    request: JoinGroupRequest,
    context: RequestContext,
    fresh_id: str,
) -> None:
    member_id = _new_member_id(request, context, fresh_id)
    if request.group_instance_id is not None:
        holder_id = group.static_member_ids.get(request.group_instance_id)
        if holder_id is None:
            _add_member(turn, group, request, context, member_id)
        else:
            _replace_static_member(turn, group, request, context, member_id, holder_id)
    elif context.api_version >= MEMBER_ID_REQUIRED_FROM:
        group.pending_members.add(member_id)
        turn.start_timer(session_timer(group, member_id), request.session_timeout_ms)
        parked = Parked(context.token, context.api_version)
        response = join_failed(parked, ErrorCode.MEMBER_ID_REQUIRED, member_id)
        turn.outcome.reply(context.token, response)
    else:
        _add_member(turn, group, request, context, member_id)


def _join_with_id(
    turn: Turn, group: ClassicGroup, request: JoinGroupRequest, context: RequestContext
) -> None:
    parked = Parked(context.token, context.api_version)
    member_id = MemberId(request.member_id)
    if member_id in group.pending_members and request.group_instance_id is None:
        _add_member(turn, group, request, context, member_id)
        return
    error_code = group.validate(member_id, request.group_instance_id)
    if error_code is not ErrorCode.NONE:
        turn.outcome.reply(parked.token, join_failed(parked, error_code, member_id))
        return
    member = group.members[member_id]
    is_unchanged = member.supports_exactly(_protocols(request))
    is_leading_stable = group.state is GroupState.STABLE and group.leader_id == member_id
    if group.state is GroupState.PREPARING_REBALANCE:
        _rejoin(turn, group, member, request, parked, "it joins again")
    elif is_leading_stable:
        # A leader's way to ask for new assignments, when topics changed and members did not.
        _rejoin(turn, group, member, request, parked, "the leader joins again")
    elif is_unchanged:
        # It has missed the answer to its last JoinGroup.
        turn.outcome.reply(parked.token, joined(parked, group, member_id))
    else:
        _rejoin(turn, group, member, request, parked, "it joins with other protocols")


def _rejoin(
    turn: Turn,
    group: ClassicGroup,
    member: ClassicMember,
    request: JoinGroupRequest,
    parked: Parked,
    why: str,
) -> None:
    _update_member(turn, group, member, request, parked)
    rebalance(turn, group, f"{why}: member {member.member_id!r}{_client_reason(request)}")


def _update_member(
    turn: Turn,
    group: ClassicGroup,
    member: ClassicMember,
    request: JoinGroupRequest,
    parked: Parked,
) -> None:
    """Takes over a member's new JoinGroup and parks it; one that it overtakes is answered."""
    answer_join(turn, group, member, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
    session_timeout_ms, rebalance_timeout_ms = _timeouts(request, parked.api_version)
    group.update(member, _protocols(request), session_timeout_ms, rebalance_timeout_ms)
    group.park_join(member, parked)


def _add_member(
    turn: Turn,
    group: ClassicGroup,
    request: JoinGroupRequest,
    context: RequestContext,
    member_id: MemberId,
) -> None:
    session_timeout_ms, rebalance_timeout_ms = _timeouts(request, context.api_version)
    member = ClassicMember(
        member_id=member_id,
        group_instance_id=request.group_instance_id,
        client_id=context.client_id,
        client_host=context.client_host,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
        protocols=_protocols(request),
        is_new=True,
    )
    if not group.members:
        group.protocol_type = request.protocol_type
    group.has_new_member = True
    group.add(member)
    group.park_join(member, Parked(context.token, context.api_version))
    # It can't heartbeat before it knows its id, so its session does not run yet. Its request
    # may be given up unseen while it is parked, so it is not kept for ever either.
    turn.start_timer(session_timer(group, member_id), turn.config.new_member_join_timeout_ms)
    rebalance(turn, group, f"member {member_id!r} is new{_client_reason(request)}")


def _replace_static_member(
    turn: Turn,
    group: ClassicGroup,
    request: JoinGroupRequest,
    context: RequestContext,
    member_id: MemberId,
    holder_id: MemberId,
) -> None:
    """A static member came back without its id: it takes its old place under a new one."""
    old_leader_id = group.leader_id
    member = group.members[holder_id]
    turn.stop_timer(session_timer(group, holder_id))
    answer_join(turn, group, member, ErrorCode.FENCED_INSTANCE_ID, holder_id)
    answer_sync(turn, member, ErrorCode.FENCED_INSTANCE_ID)
    group.rename(member, member_id)
    turn.outcome.say(
        f"static member {request.group_instance_id!r} of group {group.group_id!r} came back:"
        f" {member_id!r} takes the place of {holder_id!r}"
    )
    parked = Parked(context.token, context.api_version)
    _update_member(turn, group, member, request, parked)
    renew_session(turn, group, member)
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_join_if_all_have_joined(turn, group)
        return
    if group.state is GroupState.STABLE and group.vote() == group.protocol_name:
        assignments = {other.member_id: other.assignment for other in group.members.values()}
        record = group_metadata_record(group.group_id, group.image(assignments, turn.now_ms))
        if len(record.value or b"") <= turn.config.group_metadata_record_max_bytes:
            group.enter(GroupState.STABLE, turn.now_ms)
            turn.outcome.append(record)
            group.take_join(member)
            if context.api_version >= SKIP_ASSIGNMENT_FROM:
                skip = group.leader_id == member_id
                response = joined(parked, group, member_id, skip_assignment=skip)
            else:
                # Named the leader, it would assign anew; it is told of the leader that it was.
                response = joined(parked, group, member_id, leader_id=old_leader_id)
            turn.outcome.reply(parked.token, response)
            return
    # In CompletingRebalance too: the leader may know the old id already and assign to it.
    why = f"static member {request.group_instance_id!r} came back as {member_id!r}"
    prepare_rebalance(turn, group, why + _client_reason(request))


def _protocols(request: JoinGroupRequest) -> dict[str, bytes]:
    return {protocol.name: bytes(protocol.metadata) for protocol in request.protocols}


def _timeouts(request: JoinGroupRequest, api_version: int) -> tuple[int, int]:
    """Session and rebalance timeout."""
    if api_version < REBALANCE_TIMEOUT_FROM:
        return request.session_timeout_ms, request.session_timeout_ms
    return request.session_timeout_ms, max(request.rebalance_timeout_ms, 0)


def _client_reason(request: JoinGroupRequest) -> str:
    """What the client says of its own (KIP-800)."""
    return f" ({request.reason})" if request.reason else ""
