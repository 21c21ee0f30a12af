"""LeaveGroup: members go by themselves, or are sent away by an operator.

Versions: up to 2 one member, its error on top; from 3 several (KIP-345), each with its own error,
static ones also by group.instance.id alone; 5 has a reason (KIP-800).

Apart from Kafka: an id that was handed out and never used leaves without a rebalance, since the
group never had that member.
"""

from datacore._generated.errors import ErrorCode
from datacore._generated.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, GroupState
from datacore.coordinator.group.consumer import classic_members
from datacore.coordinator.group.rebalance import (
    complete_join_if_all_have_joined,
    prepare_rebalance,
    remove_member,
    remove_pending_member,
)
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import NO_MEMBER_ID, GroupId, MemberId

SEVERAL_MEMBERS_FROM = 3


def leave_group(turn: Turn, request: LeaveGroupRequest, context: RequestContext) -> None:
    """Handles LeaveGroup."""
    has_several = context.api_version >= SEVERAL_MEMBERS_FROM
    leaving = request.members if has_several else [MemberIdentity(member_id=request.member_id)]
    if not request.group_id:
        response = LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
        turn.outcome.reply(context.token, response)
        return
    group = turn.state.groups.get(GroupId(request.group_id))
    consumer_group = turn.state.consumer_groups.get(GroupId(request.group_id))
    if consumer_group is not None:
        error_codes = classic_members.leave(turn, consumer_group, leaving)
    elif group is None:
        error_codes = [ErrorCode.UNKNOWN_MEMBER_ID] * len(leaving)
    else:
        members_before = len(group.members)
        error_codes = [_leave(turn, group, identity) for identity in leaving]
        if (left := members_before - len(group.members)) > 0:
            [first, *_] = (who for who, code in zip(leaving, error_codes, strict=True) if not code)
            _go_on_without(turn, group, _what_happened(left, first))
    if has_several:
        response = LeaveGroupResponse(
            members=[
                MemberResponse(
                    member_id=identity.member_id,
                    group_instance_id=identity.group_instance_id,
                    error_code=error_code,
                )
                for identity, error_code in zip(leaving, error_codes, strict=True)
            ]
        )
    else:
        response = LeaveGroupResponse(error_code=error_codes[0])
    turn.outcome.reply(context.token, response)


def _leave(turn: Turn, group: ClassicGroup, identity: MemberIdentity) -> ErrorCode:
    member_id = MemberId(identity.member_id)
    instance_id = identity.group_instance_id
    if member_id == NO_MEMBER_ID and instance_id is not None:
        member_id = group.static_member_ids.get(instance_id, NO_MEMBER_ID)
    if member_id in group.pending_members:
        remove_pending_member(turn, group, member_id)
        return ErrorCode.NONE
    error_code = group.validate(member_id, instance_id)
    if error_code is ErrorCode.NONE:
        why = f"it left ({identity.reason})" if identity.reason else "it left"
        remove_member(turn, group, group.members[member_id], why)
    return error_code


def _what_happened(left: int, first: MemberIdentity) -> str:
    who = repr(first.member_id or first.group_instance_id)
    because = f" ({first.reason})" if first.reason else ""
    return f"member {who} left{because}" if left == 1 else f"{left} members left, {who} among them"


def _go_on_without(turn: Turn, group: ClassicGroup, what_happened: str) -> None:
    match group.state:
        case GroupState.STABLE | GroupState.COMPLETING_REBALANCE:
            prepare_rebalance(turn, group, what_happened)
        case GroupState.PREPARING_REBALANCE:
            complete_join_if_all_have_joined(turn, group)
        case GroupState.EMPTY | GroupState.DEAD:
            pass
