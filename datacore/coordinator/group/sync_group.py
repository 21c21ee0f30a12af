"""SyncGroup: the leader hands out assignments, the others fetch theirs.

Versions: 3 has group.instance.id; 5 must name the protocol type and name that the member joined
with (KIP-559).

A follower that comes before its leader is parked in its member. The leader's request makes the
group Stable and is the group's record: all parked answers leave with that record's outcome.
"""

from datacore._generated.errors import ErrorCode
from datacore._generated.sync_group import SyncGroupRequest
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, ClassicMember, GroupState, Parked
from datacore.coordinator.group.consumer import classic_members
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.rebalance import (
    answer_sync,
    drop_assignments,
    prepare_rebalance,
    renew_session,
)
from datacore.coordinator.group.records import group_metadata_record
from datacore.coordinator.group.replies import sync_failed, synced
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, MemberId

PROTOCOL_REQUIRED_FROM = 5


def sync_group(turn: Turn, request: SyncGroupRequest, context: RequestContext) -> None:
    """Handles SyncGroup."""
    consumer_group = turn.state.consumer_groups.get(GroupId(request.group_id))
    if consumer_group is not None:
        _sync_in_consumer_group(turn, consumer_group, request, context)
        return
    error_code = _validate(turn, request, context)
    if error_code is not ErrorCode.NONE:
        turn.outcome.reply(context.token, sync_failed(error_code))
        return
    group = turn.state.groups[GroupId(request.group_id)]
    member = group.members[MemberId(request.member_id)]
    if group.state is GroupState.PREPARING_REBALANCE:
        turn.outcome.reply(context.token, sync_failed(ErrorCode.REBALANCE_IN_PROGRESS))
        return
    _has_synced(turn, group, member)
    if group.state is GroupState.STABLE:
        turn.outcome.reply(context.token, synced(group, member.assignment))
        return
    answer_sync(turn, member, ErrorCode.REBALANCE_IN_PROGRESS)
    member.parked_sync = Parked(context.token, context.api_version)
    if group.leader_id == member.member_id:
        _become_stable(turn, group, request)


def _sync_in_consumer_group(
    turn: Turn, group: ConsumerGroup, request: SyncGroupRequest, context: RequestContext
) -> None:
    is_protocol_missing = request.protocol_type is None or request.protocol_name is None
    try:
        if context.api_version >= PROTOCOL_REQUIRED_FROM and is_protocol_missing:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        response = classic_members.sync(turn, group, request)
    except KafkaError as error:
        response = sync_failed(error.code)
    turn.outcome.reply(context.token, response)


def _validate(turn: Turn, request: SyncGroupRequest, context: RequestContext) -> ErrorCode:
    is_protocol_missing = request.protocol_type is None or request.protocol_name is None
    if context.api_version >= PROTOCOL_REQUIRED_FROM and is_protocol_missing:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    group = turn.state.groups.get(GroupId(request.group_id))
    if group is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error_code = group.validate(request.member_id, request.group_instance_id)
    if error_code is not ErrorCode.NONE:
        return error_code
    if request.generation_id != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    for asked, chosen in (
        (request.protocol_type, group.protocol_type),
        (request.protocol_name, group.protocol_name),
    ):
        if asked is not None and chosen is not None and asked != chosen:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    return ErrorCode.NONE


def _has_synced(turn: Turn, group: ClassicGroup, member: ClassicMember) -> None:
    group.pending_sync.discard(member.member_id)
    if not group.pending_sync:
        turn.stop_timer(Timer(TimerKind.SYNC, group.group_id))


def _become_stable(turn: Turn, group: ClassicGroup, request: SyncGroupRequest) -> None:
    """Stores what the leader assigned, and answers all who wait for it."""
    assignments = {MemberId(a.member_id): bytes(a.assignment) for a in request.assignments}
    record = group_metadata_record(group.group_id, group.image(assignments, turn.now_ms))
    stored_bytes = len(record.value or b"")
    if stored_bytes > turn.config.group_metadata_record_max_bytes:
        drop_assignments(turn, group, ErrorCode.UNKNOWN_SERVER_ERROR)
        prepare_rebalance(turn, group, f"its assignments take {stored_bytes} bytes, too many")
        return
    turn.outcome.append(record)
    group.enter(GroupState.STABLE, turn.now_ms)
    for member in group.members.values():
        parked, member.parked_sync = member.parked_sync, None
        if parked is not None:
            assignment = assignments.get(member.member_id, b"")
            turn.outcome.reply(parked.token, synced(group, assignment))
            # Its session stood still while it waited.
            renew_session(turn, group, member)
    _say_stable(turn, group)


def _say_stable(turn: Turn, group: ClassicGroup) -> None:
    took = "" if group.rebalance is None else f", {group.rebalance.told(turn.now_ms)}"
    group.rebalance = None
    turn.outcome.say(
        f"group {group.group_id!r} is stable in generation {group.generation} with"
        f" {len(group.members)} members and protocol {group.protocol_name!r}{took}"
    )
