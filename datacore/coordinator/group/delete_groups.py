"""DeleteGroups: an operator drops groups without members, and all that they have committed."""

from datacore._generated.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.consumer.records import group_tombstones
from datacore.coordinator.group.records import group_metadata_tombstone, offset_commit_tombstone
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import GroupId


def delete_groups(turn: Turn, request: DeleteGroupsRequest, context: RequestContext) -> None:
    """Handles DeleteGroups."""
    error_codes: dict[GroupId, ErrorCode] = {}
    for name in request.groups_names:
        group_id = GroupId(name)
        if group_id not in error_codes:
            error_codes[group_id] = _delete(turn, group_id)
    results = [
        DeletableGroupResult(group_id=name, error_code=error_codes[GroupId(name)])
        for name in request.groups_names
    ]
    turn.outcome.reply(context.token, DeleteGroupsResponse(results=results))


def _delete(turn: Turn, group_id: GroupId) -> ErrorCode:
    group = turn.state.groups.get(group_id)
    consumer_group = turn.state.consumer_groups.get(group_id)
    if consumer_group is not None:
        if consumer_group.members:
            return ErrorCode.NON_EMPTY_GROUP
        tombstones = group_tombstones(consumer_group)
    elif group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    elif group.state is not GroupState.EMPTY:
        return ErrorCode.NON_EMPTY_GROUP
    else:
        tombstones = [group_metadata_tombstone(group_id)]
    offsets = turn.state.pending.partitions_of(group_id)
    offsets.update((topic, index) for topic, index, _ in turn.state.offsets.each_of(group_id))
    for topic, partition in sorted(offsets):
        turn.outcome.append(offset_commit_tombstone(group_id, topic, partition))
    turn.outcome.records += tombstones
    turn.outcome.say(f"group {group_id!r} was deleted with {len(offsets)} offsets")
    return ErrorCode.NONE
