"""Groups of the classic protocol: who may join, commit and ask."""

from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from datacore._generated.leave_group import LeaveGroupRequest, MemberIdentity
from datacore._generated.list_groups import ListGroupsRequest
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
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from datacore._generated.sync_group import SyncGroupRequest
from tests.golden.questions.question import Question

GROUP = "golden-group"

COORDINATORS = (
    Question.of("FindCoordinator v0 of a group", 0, FindCoordinatorRequest(key=GROUP)),
    Question.of("FindCoordinator v2 of a group", 2, FindCoordinatorRequest(key=GROUP)),
    Question.of(
        "FindCoordinator v2 of a kind that nobody knows",
        2,
        FindCoordinatorRequest(key=GROUP, key_type=9),
    ),
    Question.of(
        "FindCoordinator v4 of a group", 4, FindCoordinatorRequest(coordinator_keys=[GROUP])
    ),
    Question.of("FindCoordinator v4 of none", 4, FindCoordinatorRequest(coordinator_keys=[])),
    Question.of(
        "FindCoordinator v4 of a kind that nobody knows",
        4,
        FindCoordinatorRequest(key_type=9, coordinator_keys=[GROUP]),
    ),
)


def _join(
    name: str,
    *,
    version: int = 5,
    group: str = GROUP,
    member: str = "",
    session_timeout_ms: int = 10_000,
    protocol_type: str = "consumer",
    protocols: tuple[str, ...] = ("range",),
) -> Question:
    request = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=10_000 if version else -1,
        member_id=member,
        protocol_type=protocol_type,
        protocols=[JoinGroupRequestProtocol(name=each, metadata=b"") for each in protocols],
    )
    return Question.of(name, version, request, "member_id")


MEMBERS = (
    _join("JoinGroup v5 without a group id", group=""),
    _join("JoinGroup v0 without a group id", version=0, group=""),
    _join("JoinGroup v5 with a session timeout that is too short", session_timeout_ms=1),
    _join("JoinGroup v5 with a session timeout that is too long", session_timeout_ms=2**31 - 1),
    _join("JoinGroup v5 of a new member", version=5),
    _join("JoinGroup v9 of a new member", version=9),
    _join("JoinGroup v5 of a member that nobody knows", member="nobody"),
    _join("JoinGroup v5 without protocols", protocols=()),
    _join("JoinGroup v3 without a protocol type", version=3, protocol_type=""),
    Question.of(
        "SyncGroup v3 of an unknown group",
        3,
        SyncGroupRequest(group_id="unknown", generation_id=1, member_id="nobody"),
    ),
    Question.of("SyncGroup v3 without a group id", 3, SyncGroupRequest(member_id="nobody")),
    Question.of(
        "SyncGroup v5 without protocols",
        5,
        SyncGroupRequest(group_id="unknown", generation_id=1, member_id="nobody"),
    ),
    Question.of(
        "Heartbeat v3 of an unknown group",
        3,
        HeartbeatRequest(group_id="unknown", generation_id=1, member_id="nobody"),
    ),
    Question.of(
        "Heartbeat v0 of an unknown member",
        0,
        HeartbeatRequest(group_id=GROUP, generation_id=1, member_id="nobody"),
    ),
    Question.of("Heartbeat v3 without a group id", 3, HeartbeatRequest(member_id="nobody")),
    Question.of(
        "LeaveGroup v2 of an unknown member",
        2,
        LeaveGroupRequest(group_id="unknown", member_id="nobody"),
    ),
    Question.of(
        "LeaveGroup v3 of two unknown members",
        3,
        LeaveGroupRequest(
            group_id="unknown",
            members=[
                MemberIdentity(member_id="nobody"),
                MemberIdentity(member_id="", group_instance_id="no-instance"),
            ],
        ),
    ),
    Question.of("LeaveGroup v3 without a group id", 3, LeaveGroupRequest(group_id="")),
)


def _commit(
    name: str,
    *,
    version: int = 5,
    group: str = GROUP,
    generation: int = -1,
    member: str = "",
    topic: str = "golden",
    partition: int = 0,
    metadata: str | None = "noted",
) -> Question:
    committed = OffsetCommitRequestPartition(
        partition_index=partition, committed_offset=3, committed_metadata=metadata
    )
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        topics=[OffsetCommitRequestTopic(name=topic, partitions=[committed])],
    )
    return Question.of(name, version, request)


def _fetch_one(name: str, group: str, topic: str, *, version: int) -> Question:
    """Versions below 8 ask for one group (null topics: all), later ones for several."""
    if version < 8:
        topics = [OffsetFetchRequestTopic(name=topic, partition_indexes=[0])] if topic else None
        return Question.of(name, version, OffsetFetchRequest(group_id=group, topics=topics))
    asked = [OffsetFetchRequestTopics(name=topic, partition_indexes=[0])] if topic else None
    groups = [OffsetFetchRequestGroup(group_id=group, topics=asked)]
    return Question.of(name, version, OffsetFetchRequest(groups=groups))


COMMITS = (
    _commit("OffsetCommit v5 without a member"),
    _commit("OffsetCommit v2 without a member", version=2),
    _commit("OffsetCommit v9 without a member", version=9),
    _commit("OffsetCommit v5 of an unknown topic", topic="missing"),
    _commit("OffsetCommit v5 of an unknown partition", partition=9),
    _commit("OffsetCommit v5 with a null text", metadata=None),
    _commit("OffsetCommit v5 with a text that is too long", metadata="x" * 5_000),
    _commit("OffsetCommit v5 without a group id", group=""),
    _commit("OffsetCommit v5 of an unknown member", generation=1, member="nobody"),
    _commit(
        "OffsetCommit v5 of an unknown member of an unknown group",
        group="unknown",
        generation=1,
        member="nobody",
    ),
    _fetch_one("OffsetFetch v5 of a commit", GROUP, "golden", version=5),
    _fetch_one("OffsetFetch v1 of a commit", GROUP, "golden", version=1),
    _fetch_one("OffsetFetch v8 of a commit", GROUP, "golden", version=8),
    _fetch_one("OffsetFetch v5 of all commits", GROUP, "", version=5),
    _fetch_one("OffsetFetch v8 of all commits", GROUP, "", version=8),
    _fetch_one("OffsetFetch v5 of an unknown group", "unknown", "golden", version=5),
    _fetch_one("OffsetFetch v8 of an unknown group", "unknown", "golden", version=8),
    _fetch_one("OffsetFetch v5 of an unknown topic", GROUP, "missing", version=5),
    _fetch_one("OffsetFetch v8 of all commits of an unknown group", "unknown", "", version=8),
    _fetch_one("OffsetFetch v5 without a group id", "", "golden", version=5),
)


def _delete_offset(name: str, group: str, topic: str) -> Question:
    partition = OffsetDeleteRequestPartition(partition_index=0)
    return Question.of(
        name,
        0,
        OffsetDeleteRequest(
            group_id=group, topics=[OffsetDeleteRequestTopic(name=topic, partitions=[partition])]
        ),
    )


ADMINISTRATION = (
    Question.of(
        "DescribeGroups v5 of an unknown group", 5, DescribeGroupsRequest(groups=["unknown"])
    ),
    Question.of(
        "DescribeGroups v6 of an unknown group", 6, DescribeGroupsRequest(groups=["unknown"])
    ),
    Question.of(
        "DescribeGroups v0 of an unknown group", 0, DescribeGroupsRequest(groups=["unknown"])
    ),
    Question.of(
        "DescribeGroups v5 of a group of commits alone", 5, DescribeGroupsRequest(groups=[GROUP])
    ),
    Question.of("DescribeGroups v5 without a group id", 5, DescribeGroupsRequest(groups=[""])),
    Question.of("ListGroups v0", 0, ListGroupsRequest()),
    Question.of("ListGroups v4 of empty groups", 4, ListGroupsRequest(states_filter=["Empty"])),
    Question.of("ListGroups v4 of stable groups", 4, ListGroupsRequest(states_filter=["Stable"])),
    Question.of("ListGroups v4 of no known state", 4, ListGroupsRequest(states_filter=["Bogus"])),
    Question.of("ListGroups v5 of classic groups", 5, ListGroupsRequest(types_filter=["classic"])),
    Question.of("ListGroups v5 of no known type", 5, ListGroupsRequest(types_filter=["bogus"])),
    _delete_offset("OffsetDelete v0 of an unknown group", "unknown", "golden"),
    _delete_offset("OffsetDelete v0 of an unknown topic", GROUP, "missing"),
    _delete_offset("OffsetDelete v0 of a commit", GROUP, "golden"),
    _delete_offset("OffsetDelete v0 without a group id", "", "golden"),
    Question.of(
        "DeleteGroups v2 of an unknown group", 2, DeleteGroupsRequest(groups_names=["unknown"])
    ),
    Question.of("DeleteGroups v2 without a group id", 2, DeleteGroupsRequest(groups_names=[""])),
)

QUESTIONS = (*COORDINATORS, *MEMBERS, *COMMITS, *ADMINISTRATION)
