"""Groups, offsets and producers asked for in vain."""

from collections.abc import Callable, Iterator

from datacore._generated.api_keys import ApiKey
from datacore._generated.consumer_group_describe import ConsumerGroupDescribeRequest
from datacore._generated.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from datacore._generated.leave_group import LeaveGroupRequest, MemberIdentity
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from datacore._generated.sync_group import SyncGroupRequest
from tests.handlers.refused import EMPTY, MISSING, Refused


def _join(
    group_id: str = "refused-group",
    *,
    member_id: str = "",
    session_timeout_ms: int = 10_000,
    protocols: tuple[str, ...] = ("range",),
) -> Callable[[int], JoinGroupRequest]:
    request = JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=10_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name=name) for name in protocols],
    )
    return lambda _: request


def _leave(version: int) -> LeaveGroupRequest:
    if version >= 3:
        return LeaveGroupRequest(group_id="unknown", members=[MemberIdentity(member_id="nobody")])
    return LeaveGroupRequest(group_id="unknown", member_id="nobody")


def _commit(
    topic: str = EMPTY,
    *,
    partition: int = 0,
    metadata: str = "",
    group_id: str = "refused-commits",
    generation: int = -1,
) -> Callable[[int], OffsetCommitRequest]:
    asked = OffsetCommitRequestPartition(
        partition_index=partition, committed_offset=1, committed_metadata=metadata
    )
    request = OffsetCommitRequest(
        group_id=group_id,
        generation_id_or_member_epoch=generation,
        member_id="" if generation < 0 else "nobody",
        topics=[OffsetCommitRequestTopic(name=topic, partitions=[asked])],
    )
    return lambda _: request


def _consumer_group_refusals() -> Iterator[Refused]:
    for name, code, request in (
        ("without a group id", ErrorCode.INVALID_REQUEST, ConsumerGroupHeartbeatRequest()),
        (
            "of an unknown group",
            ErrorCode.GROUP_ID_NOT_FOUND,
            ConsumerGroupHeartbeatRequest(group_id="unknown", member_id="nobody", member_epoch=1),
        ),
    ):
        yield Refused(
            f"ConsumerGroupHeartbeat {name}",
            ApiKey.CONSUMER_GROUP_HEARTBEAT,
            code,
            lambda _, request=request: request,  # type: ignore[misc]  # bound now
        )
    yield Refused(
        "ConsumerGroupDescribe of an unknown group",
        ApiKey.CONSUMER_GROUP_DESCRIBE,
        ErrorCode.GROUP_ID_NOT_FOUND,
        lambda _: ConsumerGroupDescribeRequest(group_ids=["unknown"]),
    )


def group_refusals() -> Iterator[Refused]:
    join, no_group = ApiKey.JOIN_GROUP, ErrorCode.INVALID_GROUP_ID
    unknown_member = ErrorCode.UNKNOWN_MEMBER_ID
    for name, code, joining in (
        ("without a group id", no_group, _join("")),
        ("with a short session", ErrorCode.INVALID_SESSION_TIMEOUT, _join(session_timeout_ms=1)),
        ("of an unknown member", unknown_member, _join(member_id="nobody")),
        ("without protocols", ErrorCode.INCONSISTENT_GROUP_PROTOCOL, _join(protocols=())),
    ):
        yield Refused(f"JoinGroup {name}", join, code, joining)
    sync = SyncGroupRequest(
        group_id="unknown",
        generation_id=1,
        member_id="nobody",
        protocol_type="consumer",
        protocol_name="range",
    )
    yield Refused("SyncGroup of nobody", ApiKey.SYNC_GROUP, unknown_member, lambda _: sync)
    beat = HeartbeatRequest(group_id="unknown", generation_id=1, member_id="nobody")
    yield Refused("Heartbeat of nobody", ApiKey.HEARTBEAT, unknown_member, lambda _: beat)
    yield Refused("LeaveGroup of nobody", ApiKey.LEAVE_GROUP, unknown_member, _leave)
    yield from _consumer_group_refusals()
    commit, unknown = ApiKey.OFFSET_COMMIT, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    yield Refused("OffsetCommit of an unknown topic", commit, unknown, _commit(MISSING))
    yield Refused("OffsetCommit of an unknown partition", commit, unknown, _commit(partition=9))
    large = _commit(metadata="x" * 5_000)
    yield Refused("OffsetCommit with much text", commit, ErrorCode.OFFSET_METADATA_TOO_LARGE, large)
    stranger = _commit(group_id="unknown", generation=3)
    illegal = ErrorCode.ILLEGAL_GENERATION
    yield Refused("OffsetCommit of nobody", commit, illegal, stranger, since=1, until=8)
    gone = ErrorCode.GROUP_ID_NOT_FOUND
    yield Refused("OffsetCommit of nobody, newly told", commit, gone, stranger, since=9)
    yield Refused(
        "DescribeGroups of an unknown group",
        ApiKey.DESCRIBE_GROUPS,
        gone,
        lambda _: DescribeGroupsRequest(groups=["unknown"]),
        since=6,
    )
    deletion = DeleteGroupsRequest(groups_names=["unknown", ""])
    yield Refused("DeleteGroups of unknown groups", ApiKey.DELETE_GROUPS, gone, lambda _: deletion)
    forgotten = OffsetDeleteRequest(
        group_id="unknown",
        topics=[OffsetDeleteRequestTopic(name=EMPTY, partitions=[OffsetDeleteRequestPartition()])],
    )
    yield Refused(
        "OffsetDelete of an unknown group", ApiKey.OFFSET_DELETE, gone, lambda _: forgotten
    )
    yield Refused(
        "FindCoordinator of an unknown kind",
        ApiKey.FIND_COORDINATOR,
        ErrorCode.INVALID_REQUEST,
        lambda version: (
            FindCoordinatorRequest(key_type=9, coordinator_keys=["g"])
            if version >= 4
            else FindCoordinatorRequest(key_type=9, key="g")
        ),
        since=1,
    )
    yield Refused(
        "InitProducerId with an empty transactional id",
        ApiKey.INIT_PRODUCER_ID,
        ErrorCode.INVALID_REQUEST,
        lambda _: InitProducerIdRequest(transactional_id="", transaction_timeout_ms=1_000),
    )
