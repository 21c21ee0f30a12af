"""OffsetDelete: an operator drops a group's offsets of topics that nobody in it reads (KIP-496)."""

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import CONSUMER_PROTOCOL_TYPE, GroupState
from datacore.coordinator.group.records import offset_commit_tombstone
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import GroupId, TopicName


def offset_delete(turn: Turn, request: OffsetDeleteRequest, context: RequestContext) -> None:
    """Handles OffsetDelete."""
    error_code = _validate(turn, request)
    if error_code is not ErrorCode.NONE:
        turn.outcome.reply(context.token, OffsetDeleteResponse(error_code=error_code))
        return
    group_id = GroupId(request.group_id)
    group = turn.state.consumer_groups.get(group_id) or turn.state.groups[group_id]
    response = OffsetDeleteResponse()
    pending = turn.state.pending.partitions_of(group_id)
    for topic in request.topics:
        name = TopicName(topic.name)
        error_code = ErrorCode.NONE
        if group.is_subscribed(name):
            error_code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        answered = OffsetDeleteResponseTopic(name=topic.name)
        response.topics.append(answered)
        for partition in topic.partitions:
            index = partition.partition_index
            answered.partitions.append(
                OffsetDeleteResponsePartition(partition_index=index, error_code=error_code)
            )
            has_offset = (name, index) in pending or (
                turn.state.offsets.get(group_id, name, index) is not None
            )
            if error_code is ErrorCode.NONE and has_offset:
                turn.outcome.append(offset_commit_tombstone(group_id, name, index))
    turn.outcome.is_only_records = True
    turn.outcome.reply(context.token, response)


def _validate(turn: Turn, request: OffsetDeleteRequest) -> ErrorCode:
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    if GroupId(request.group_id) in turn.state.consumer_groups:
        return ErrorCode.NONE
    group = turn.state.groups.get(GroupId(request.group_id))
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    # Of members that are no consumers nobody can say what they read.
    if group.state is not GroupState.EMPTY and group.protocol_type != CONSUMER_PROTOCOL_TYPE:
        return ErrorCode.NON_EMPTY_GROUP
    return ErrorCode.NONE
