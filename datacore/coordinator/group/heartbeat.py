"""Heartbeat: a member says that it lives, and hears whether it has to join again.

Versions: 3 has group.instance.id. Kafka's word to a member while the group waits for its leader
(CompletingRebalance) is NONE: it may heartbeat from the moment it has joined.
"""

from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.consumer import classic_members
from datacore.coordinator.group.rebalance import renew_session
from datacore.coordinator.group.state import Turn
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, MemberId


def heartbeat(turn: Turn, request: HeartbeatRequest, context: RequestContext) -> None:
    """Handles Heartbeat."""
    error_code = _heartbeat(turn, request)
    turn.outcome.reply(context.token, HeartbeatResponse(error_code=error_code))


def _heartbeat(turn: Turn, request: HeartbeatRequest) -> ErrorCode:
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    consumer_group = turn.state.consumer_groups.get(GroupId(request.group_id))
    if consumer_group is not None:
        try:
            return classic_members.heartbeat(turn, consumer_group, request)
        except KafkaError as error:
            return error.code
    group = turn.state.groups.get(GroupId(request.group_id))
    if group is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error_code = group.validate(request.member_id, request.group_instance_id)
    if error_code is not ErrorCode.NONE:
        return error_code
    if request.generation_id != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    renew_session(turn, group, group.members[MemberId(request.member_id)])
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE
