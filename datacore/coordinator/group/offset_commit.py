"""OffsetCommit: a member, or a client without a group, stores positions.

Versions: 0 has no member, so it is a client without a group; 1 may set the commit's timestamp; 2 to
4 may set a retention of its own (KIP-211 ended that); 6 has the leader epoch (KIP-320); 7
group.instance.id; 9 answers GROUP_ID_NOT_FOUND where earlier ones get ILLEGAL_GENERATION, and is
the first for members of consumer groups, whose epoch stands for the generation (KIP-848).

Whether a topic exists and may be read is asked before; a request comes here with the others left
out. Offsets are kept as given, beyond the log's end too.
"""

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import ClassicGroup, GroupState
from datacore.coordinator.group.consumer import commits
from datacore.coordinator.group.offsets import CommittedOffset
from datacore.coordinator.group.rebalance import renew_session
from datacore.coordinator.group.records import offset_commit_record
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import NO_MEMBER_ID, GroupId, MemberId, TopicName

GROUP_ID_NOT_FOUND_FROM = 9
TOPIC_NAME_MAX_CHARACTERS = 249

_NO_GENERATION = -1
_NOT_SET = -1


def offset_commit(turn: Turn, request: OffsetCommitRequest, context: RequestContext) -> None:
    """Handles OffsetCommit."""
    error_code = _validate(turn, request, context)
    if error_code is not ErrorCode.NONE:
        turn.outcome.reply(context.token, commit_failed(request, error_code))
        return
    group_id = GroupId(request.group_id)
    expire_timestamp_ms = None
    if request.retention_time_ms != _NOT_SET:
        expire_timestamp_ms = turn.now_ms + request.retention_time_ms
    response = OffsetCommitResponse()
    records = []
    stored_bytes = 0
    for topic in request.topics:
        name = TopicName(topic.name)
        answered = OffsetCommitResponseTopic(name=topic.name)
        response.topics.append(answered)
        for partition in topic.partitions:
            error_code = validate_partition(turn, name, partition.committed_metadata)
            answered.partitions.append(
                OffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=error_code
                )
            )
            if error_code is ErrorCode.NONE:
                committed = _committed(turn, partition, expire_timestamp_ms)
                record = offset_commit_record(group_id, name, partition.partition_index, committed)
                records.append(record)
                stored_bytes += len(record.key) + len(record.value or b"")
                if stored_bytes > turn.config.offset_commit_bytes_max:
                    failed = commit_failed(request, ErrorCode.INVALID_COMMIT_OFFSET_SIZE)
                    turn.outcome.reply(context.token, failed)
                    return
    turn.outcome.records += records
    turn.outcome.is_only_records = True
    turn.outcome.reply(context.token, response)


def commit_failed(request: OffsetCommitRequest, error_code: ErrorCode) -> OffsetCommitResponse:
    """OffsetCommit's answer where the whole of it fails: it has no place for that but each one."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=error_code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _validate(turn: Turn, request: OffsetCommitRequest, context: RequestContext) -> ErrorCode:
    # An empty group id is as good as any other here, for old clients without a group.
    group = turn.state.groups.get(GroupId(request.group_id))
    consumer_group = turn.state.consumer_groups.get(GroupId(request.group_id))
    if consumer_group is not None:
        return commits.validate_commit(turn, consumer_group, request, context.api_version)
    if group is None:
        if request.generation_id_or_member_epoch <= _NO_GENERATION:
            if len(turn.state.groups) >= turn.config.max_groups:
                return ErrorCode.COORDINATOR_NOT_AVAILABLE
            return ErrorCode.NONE
        if context.api_version >= GROUP_ID_NOT_FOUND_FROM:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.ILLEGAL_GENERATION
    return _validate_member(turn, group, request)


def _validate_member(turn: Turn, group: ClassicGroup, request: OffsetCommitRequest) -> ErrorCode:
    generation = request.generation_id_or_member_epoch
    member_id = MemberId(request.member_id)
    if group.state is GroupState.EMPTY and generation <= _NO_GENERATION:
        return ErrorCode.NONE
    is_anonymous = member_id == NO_MEMBER_ID and request.group_instance_id is None
    if is_anonymous and generation <= _NO_GENERATION:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error_code = group.validate(member_id, request.group_instance_id)
    if error_code is not ErrorCode.NONE:
        return error_code
    if generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    if group.state is GroupState.COMPLETING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    # A commit is a sign of life.
    renew_session(turn, group, group.members[member_id])
    return ErrorCode.NONE


def validate_partition(turn: Turn, topic: TopicName, metadata: str | None) -> ErrorCode:
    """Whether an offset of a topic may be committed, with that note of the client's."""
    if not 0 < len(topic) <= TOPIC_NAME_MAX_CHARACTERS:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    utf16_units = len((metadata or "").encode("utf-16-le")) // 2
    if utf16_units > turn.config.offset_metadata_max_bytes:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


def _committed(
    turn: Turn, partition: OffsetCommitRequestPartition, expire_timestamp_ms: int | None
) -> CommittedOffset:
    timestamp_ms = partition.commit_timestamp
    return CommittedOffset(
        offset=partition.committed_offset,
        leader_epoch=partition.committed_leader_epoch,
        metadata=partition.committed_metadata or "",
        commit_timestamp_ms=turn.now_ms if timestamp_ms == _NOT_SET else timestamp_ms,
        expire_timestamp_ms=expire_timestamp_ms,
    )
