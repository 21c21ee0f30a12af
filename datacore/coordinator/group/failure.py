"""Answers for when the log says no.

Kafka's counterparts are ``CoordinatorOperationExceptionHelper`` and each request's error response.
"""

from datacore._generated.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatResponse
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.leave_group import LeaveGroupResponse
from datacore._generated.list_groups import ListGroupsResponse
from datacore._generated.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from datacore._generated.offset_delete import OffsetDeleteResponse
from datacore._generated.offset_fetch import OffsetFetchResponse, OffsetFetchResponseGroup
from datacore._generated.sync_group import SyncGroupResponse
from datacore.coordinator.outcome import ResponseMessage

_NOT_COORDINATOR = {ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR}
_COORDINATOR_NOT_AVAILABLE = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.REQUEST_TIMED_OUT,
}
_TOO_LARGE = {
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE,
    ErrorCode.INVALID_FETCH_SIZE,
}


def coordinator_error(append_error: ErrorCode) -> ErrorCode:
    """What a group's client is told when the append to the group's log failed with this."""
    if append_error in _NOT_COORDINATOR:
        return ErrorCode.NOT_COORDINATOR
    if append_error in _COORDINATOR_NOT_AVAILABLE:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if append_error in _TOO_LARGE:
        return ErrorCode.UNKNOWN_SERVER_ERROR
    return append_error


def failed_response(response: ResponseMessage, error_code: ErrorCode) -> ResponseMessage:
    """The same request's answer with an error, for a reply whose records were not kept.

    Raises:
        TypeError: No group shard answers with that message.
    """
    match response:
        case JoinGroupResponse():
            # The member id stays: it was handed out, and is unknown by now, which the member finds
            # out when it comes with it.
            nameless = None if response.protocol_name is None else ""
            return JoinGroupResponse(
                error_code=error_code, member_id=response.member_id, protocol_name=nameless
            )
        case SyncGroupResponse():
            return SyncGroupResponse(error_code=error_code)
        case HeartbeatResponse():
            return HeartbeatResponse(error_code=error_code)
        case LeaveGroupResponse():
            return LeaveGroupResponse(error_code=error_code)
        case OffsetCommitResponse():
            return _commit_failed(response, error_code)
        case OffsetFetchResponse() if response.groups:
            groups = [
                OffsetFetchResponseGroup(group_id=group.group_id, error_code=error_code)
                for group in response.groups
            ]
            return OffsetFetchResponse(groups=groups)
        case OffsetFetchResponse():
            return OffsetFetchResponse(error_code=error_code)
        case OffsetDeleteResponse():
            return OffsetDeleteResponse(error_code=error_code)
        case DescribeGroupsResponse():
            described = [
                DescribedGroup(group_id=group.group_id, error_code=error_code)
                for group in response.groups
            ]
            return DescribeGroupsResponse(groups=described)
        case ListGroupsResponse():
            return ListGroupsResponse(error_code=error_code)
        case DeleteGroupsResponse():
            results = [
                DeletableGroupResult(group_id=result.group_id, error_code=error_code)
                for result in response.results
            ]
            return DeleteGroupsResponse(results=results)
        case _:
            raise TypeError(f"{type(response).__name__} is no answer of a group shard")


def _commit_failed(response: OffsetCommitResponse, error_code: ErrorCode) -> OffsetCommitResponse:
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=partition.error_code or error_code,
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in response.topics
        ]
    )
