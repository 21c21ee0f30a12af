"""TxnOffsetCommit: a transaction commits what it has consumed, to be seen when it is committed.

Versions: 2 has leader epochs; 3 the group's generation, member and instance, by which a member is
fenced that lost its partitions meanwhile (KIP-447); 4 TRANSACTION_ABORTABLE; from 5 the partition
of the group is added to the transaction by this request (KIP-890). That it is part of the
transaction, the caller has seen to.

The records are written in the producer's transaction: its marker in this log decides about them.
"""

from datacore._generated.errors import ErrorCode
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.consumer import commits
from datacore.coordinator.group.offset_commit import validate_partition
from datacore.coordinator.group.offsets import CommittedOffset
from datacore.coordinator.group.records import offset_commit_record
from datacore.coordinator.group.state import Turn
from datacore.coordinator.outcome import Producer
from datacore.protocol.names import NO_MEMBER_ID, GroupId, MemberId, TopicName

_NO_GENERATION = -1


def txn_offset_commit(turn: Turn, request: TxnOffsetCommitRequest, context: RequestContext) -> None:
    """Handles TxnOffsetCommit."""
    error_code = _validate(turn, request)
    if error_code is not ErrorCode.NONE:
        turn.outcome.reply(context.token, txn_commit_failed(request, error_code))
        return
    group_id = GroupId(request.group_id)
    response = TxnOffsetCommitResponse()
    records = []
    stored_bytes = 0
    for topic in request.topics:
        name = TopicName(topic.name)
        answered = TxnOffsetCommitResponseTopic(name=topic.name)
        response.topics.append(answered)
        for partition in topic.partitions:
            index = partition.partition_index
            error_code = validate_partition(turn, name, partition.committed_metadata)
            answered.partitions.append(
                TxnOffsetCommitResponsePartition(partition_index=index, error_code=error_code)
            )
            if error_code is ErrorCode.NONE:
                committed = _committed(turn, partition)
                record = offset_commit_record(group_id, name, index, committed)
                records.append(record)
                stored_bytes += len(record.key) + len(record.value or b"")
                if stored_bytes > turn.config.offset_commit_bytes_max:
                    failed = txn_commit_failed(request, ErrorCode.INVALID_COMMIT_OFFSET_SIZE)
                    turn.outcome.reply(context.token, failed)
                    return
    turn.outcome.records += records
    turn.outcome.producer = Producer(request.producer_id, request.producer_epoch)
    turn.outcome.is_only_records = True
    turn.outcome.reply(context.token, response)


def txn_commit_failed(
    request: TxnOffsetCommitRequest, error_code: ErrorCode
) -> TxnOffsetCommitResponse:
    """The answer where the whole of it fails: it has no place for that but each partition."""
    return TxnOffsetCommitResponse(
        topics=[
            TxnOffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    TxnOffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=error_code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _validate(turn: Turn, request: TxnOffsetCommitRequest) -> ErrorCode:
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    generation = request.generation_id
    consumer_group = turn.state.consumer_groups.get(GroupId(request.group_id))
    if consumer_group is not None:
        return commits.validate_txn_commit(consumer_group, request)
    group = turn.state.groups.get(GroupId(request.group_id))
    if group is None:
        if generation > _NO_GENERATION:
            return ErrorCode.ILLEGAL_GENERATION
        if len(turn.state.groups) >= turn.config.max_groups:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        return ErrorCode.NONE
    if generation <= _NO_GENERATION and group.state is GroupState.EMPTY:
        return ErrorCode.NONE
    member_id = MemberId(request.member_id)
    if (
        generation <= _NO_GENERATION
        and member_id == NO_MEMBER_ID
        and request.group_instance_id is None
    ):
        # Producers before version 3 cannot say who they are.
        return ErrorCode.NONE
    error_code = group.validate(member_id, request.group_instance_id)
    if error_code is not ErrorCode.NONE:
        return error_code
    if generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.NONE


def _committed(turn: Turn, partition: TxnOffsetCommitRequestPartition) -> CommittedOffset:
    return CommittedOffset(
        offset=partition.committed_offset,
        leader_epoch=partition.committed_leader_epoch,
        metadata=partition.committed_metadata or "",
        commit_timestamp_ms=turn.now_ms,
    )
