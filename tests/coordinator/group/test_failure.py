import pytest

from datacore._generated.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorResponse
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
from datacore.coordinator.group.failure import coordinator_error, failed_response

GONE = ErrorCode.NOT_COORDINATOR


@pytest.mark.parametrize(
    ("append_error", "told"),
    [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
        (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS),
    ],
)
def test_an_append_error_is_told_in_words_that_group_clients_know(
    append_error: ErrorCode, told: ErrorCode
) -> None:
    assert coordinator_error(append_error) is told


@pytest.mark.parametrize(
    ("response", "failed", "version"),
    [
        (
            JoinGroupResponse(member_id="m", generation_id=3, protocol_name="range", leader="m"),
            JoinGroupResponse(member_id="m", error_code=GONE, protocol_name=""),
            0,
        ),
        (
            JoinGroupResponse(member_id="m", protocol_name=None),
            JoinGroupResponse(member_id="m", error_code=GONE, protocol_name=None),
            9,
        ),
        (SyncGroupResponse(assignment=b"a"), SyncGroupResponse(error_code=GONE), 5),
        (HeartbeatResponse(), HeartbeatResponse(error_code=GONE), 4),
        (LeaveGroupResponse(), LeaveGroupResponse(error_code=GONE), 5),
        (OffsetDeleteResponse(), OffsetDeleteResponse(error_code=GONE), 0),
        (ListGroupsResponse(), ListGroupsResponse(error_code=GONE), 5),
        (OffsetFetchResponse(), OffsetFetchResponse(error_code=GONE), 7),
        (
            OffsetFetchResponse(groups=[OffsetFetchResponseGroup(group_id="g")]),
            OffsetFetchResponse(groups=[OffsetFetchResponseGroup(group_id="g", error_code=GONE)]),
            8,
        ),
        (
            DescribeGroupsResponse(groups=[DescribedGroup(group_id="g", group_state="Stable")]),
            DescribeGroupsResponse(groups=[DescribedGroup(group_id="g", error_code=GONE)]),
            6,
        ),
        (
            DeleteGroupsResponse(results=[DeletableGroupResult(group_id="g")]),
            DeleteGroupsResponse(results=[DeletableGroupResult(group_id="g", error_code=GONE)]),
            2,
        ),
    ],
)
def test_an_answer_that_did_not_last_becomes_an_error_of_the_same_api(
    response: object, failed: object, version: int
) -> None:
    told = failed_response(response, GONE)  # type: ignore[arg-type]  # a table of all responses
    assert told == failed
    assert told.encode(version)


def test_of_a_commit_each_partition_fails_and_keeps_an_error_that_it_had() -> None:
    def response(*codes: int) -> OffsetCommitResponse:
        partitions = [
            OffsetCommitResponsePartition(partition_index=index, error_code=code)
            for index, code in enumerate(codes)
        ]
        return OffsetCommitResponse(
            topics=[OffsetCommitResponseTopic(name="t", partitions=partitions)]
        )

    too_large = ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert failed_response(response(0, too_large), GONE) == response(GONE, too_large)


def test_other_apis_have_no_place_here() -> None:
    with pytest.raises(TypeError, match="FindCoordinatorResponse"):
        failed_response(FindCoordinatorResponse(), GONE)
