"""Who may commit and fetch a consumer group's offsets: its members, in their epoch (KIP-848).

Clients without a group may commit while nobody is in it, and may always fetch.
"""

from typing import Final

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_commit import OffsetCommitRequest
from datacore._generated.offset_fetch import OffsetFetchRequestGroup
from datacore._generated.txn_offset_commit import TxnOffsetCommitRequest
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.member import ConsumerMember
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.names import MemberId

MEMBER_EPOCH_FROM: Final = 9
"""The first version of OffsetCommit whose clients know what STALE_MEMBER_EPOCH asks of them."""


def validate_commit(
    turn: Turn, group: ConsumerGroup, request: OffsetCommitRequest, api_version: int
) -> ErrorCode:
    """Whether a commit is accepted."""
    epoch = request.generation_id_or_member_epoch
    if epoch < 0 and not group.members:
        return ErrorCode.NONE
    member = group.members.get(MemberId(request.member_id))
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    if member.classic is None and api_version < MEMBER_EPOCH_FROM:
        return ErrorCode.UNSUPPORTED_VERSION
    error_code = _validate_epoch(member, epoch)
    if error_code is ErrorCode.NONE and member.classic is not None:
        # A commit is a sign of life in the classic protocol.
        session = Timer(TimerKind.CONSUMER_SESSION, group.group_id, member.member_id)
        turn.start_timer(session, member.classic.session_timeout_ms)
    return error_code


def validate_txn_commit(group: ConsumerGroup, request: TxnOffsetCommitRequest) -> ErrorCode:
    """Whether a transaction's commit is accepted; its producer knows no member epochs."""
    if request.generation_id < 0 and not group.members:
        return ErrorCode.NONE
    member = group.members.get(MemberId(request.member_id))
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    if request.generation_id != member.epoch:
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.NONE


def validate_fetch(group: ConsumerGroup, request: OffsetFetchRequestGroup) -> ErrorCode:
    """Whether a fetch is answered."""
    if request.member_id is None and request.member_epoch < 0:
        return ErrorCode.NONE
    member = group.members.get(MemberId(request.member_id or ""))
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    return _validate_epoch(member, request.member_epoch)


def _validate_epoch(member: ConsumerMember, epoch: int) -> ErrorCode:
    if epoch == member.epoch:
        return ErrorCode.NONE
    if member.classic is not None:
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.STALE_MEMBER_EPOCH
