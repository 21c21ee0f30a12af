"""Requests about a cluster, its topics and groups of which most are not valid, for two brokers.

Each is small, so that a difference says what it is about. Nothing that may succeed changes
anything: whatever can only be validated is, and what cannot is about what is not there.
"""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from datacore._generated.add_raft_voter import AddRaftVoterRequest, Listener
from datacore._generated.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from datacore._generated.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from datacore._generated.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from datacore._generated.delete_topics import DeleteTopicsRequest, DeleteTopicState
from datacore._generated.describe_cluster import DescribeClusterRequest
from datacore._generated.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from datacore._generated.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
)
from datacore._generated.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsRequestCursor,
    TopicRequest,
)
from datacore._generated.elect_leaders import ElectLeadersRequest, TopicPartitions
from datacore._generated.list_groups import ListGroupsRequest
from datacore._generated.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from datacore._generated.remove_raft_voter import RemoveRaftVoterRequest
from datacore._generated.unregister_broker import UnregisterBrokerRequest
from datacore._generated.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from datacore.wire.message import WireMessage

__all__ = ["EXISTING", "GROUPS", "WIDE", "requests"]

EXISTING, WIDE = "differential", "differential-wide"
T = TypeVar("T")

_topics = st.sampled_from(
    (EXISTING, WIDE, "missing", "a b", "", ".", "..", "n" * 249, "n" * 250, "ü", "Differential")
)
_unknown_topics = st.sampled_from(("missing", "a b", "", ".", "n" * 250, "ü"))
_indexes = st.sampled_from((0, 1, 2, 3, 7, -1, -2, 2**31 - 1, -(2**31)))
_brokers = st.sampled_from((1, 1, 1, 0, 2, 99, -1, 2**31 - 1, -(2**31)))
GROUPS = ("", "group", "missing", "a b", "n" * 300, "ü")
_groups = st.sampled_from(GROUPS)
_ids = st.sampled_from((bytes(16), bytes(range(16)), bytes(15) + b"\x01", b"\xff" * 16))
_TIMEOUT = st.just(5_000)
_cluster_ids = st.sampled_from((None, "", "another"))


def _few(elements: st.SearchStrategy[T], at_most: int = 3) -> st.SearchStrategy[list[T]]:
    return st.lists(elements, max_size=at_most)


def _made(kind: Callable[..., T], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[T]:
    return st.builds(kind, **fields)


_growth = _made(
    CreatePartitionsRequest,
    timeout_ms=_TIMEOUT,
    topics=_few(
        _made(
            CreatePartitionsTopic,
            name=_topics,
            count=st.sampled_from((0, 1, 2, 3, 4, -1, -(2**31))),
            assignments=st.none()
            | _few(_made(CreatePartitionsAssignment, broker_ids=_few(_brokers))),
        )
    ),
    validate_only=st.just(value=True),
) | _made(
    CreatePartitionsRequest,
    timeout_ms=_TIMEOUT,
    topics=st.just([CreatePartitionsTopic(name=EXISTING, count=10_002, assignments=None)]),
    validate_only=st.just(value=True),
)
_deletions = _made(
    DeleteTopicsRequest,
    timeout_ms=_TIMEOUT,
    topics=_few(
        _made(DeleteTopicState, name=st.none(), topic_id=_ids)
        | _made(DeleteTopicState, name=_unknown_topics)
        | _made(DeleteTopicState, name=_unknown_topics, topic_id=_ids)
    ),
)
_pages = _made(
    DescribeTopicPartitionsRequest,
    # An empty name is more than Kafka can take: it answers UNKNOWN_SERVER_ERROR for all.
    topics=_few(_made(TopicRequest, name=_topics.filter(bool))),
    response_partition_limit=st.sampled_from((1, 2, 3, 4, 2000, 2001, 2**31 - 1)),
    cursor=st.none()
    | _made(
        DescribeTopicPartitionsRequestCursor,
        topic_name=st.sampled_from((EXISTING, WIDE, "missing", "a", "z")),
        partition_index=st.sampled_from((0, 1, 2, 3, 7, -1, 2**31 - 1)),
    ),
)
_elections = _made(
    ElectLeadersRequest,
    election_type=st.sampled_from((0, 1, 0, 1, 2, -1, 127)),
    topic_partitions=st.none()
    | _few(_made(TopicPartitions, topic=_topics, partitions=_few(_indexes))),
)
_reassignments = _made(
    AlterPartitionReassignmentsRequest,
    topics=_few(
        _made(
            ReassignableTopic,
            name=_topics,
            partitions=_few(
                _made(
                    ReassignablePartition,
                    partition_index=_indexes,
                    replicas=st.none() | _few(_brokers),
                )
            ),
        )
    ),
)
_listings = _made(
    ListPartitionReassignmentsRequest,
    topics=st.none()
    | _few(_made(ListPartitionReassignmentsTopics, name=_topics, partition_indexes=_few(_indexes))),
)
_log_dirs = _made(
    DescribeLogDirsRequest,
    topics=_few(_made(DescribableLogDirTopic, topic=_topics, partitions=_few(_indexes))),
)
_moves = _made(
    AlterReplicaLogDirsRequest,
    dirs=_few(
        _made(
            AlterReplicaLogDir,
            path=st.sampled_from(("", "/", "/no/such", ".", "ü")),
            topics=_few(
                _made(
                    AlterReplicaLogDirTopic,
                    name=st.sampled_from((EXISTING, WIDE, "missing")),
                    partitions=_few(_indexes),
                )
            ),
        )
    ),
)
_quorums = _made(
    DescribeQuorumRequest,
    topics=_few(
        _made(
            DescribeQuorumRequestTopicData,
            topic_name=st.sampled_from(("__cluster_metadata", "__cluster_metadata", EXISTING, "")),
            partitions=_few(
                _made(
                    DescribeQuorumRequestPartitionData,
                    partition_index=st.sampled_from((0, 0, 0, 1, -1)),
                )
            ),
        ),
        at_most=2,
    ),
)
_features = _made(
    UpdateFeaturesRequest,
    feature_updates=_few(
        _made(
            FeatureUpdateKey,
            feature=st.sampled_from(("transaction.version", "group.version", "no.such", "")),
            max_version_level=st.sampled_from((0, 1, 2, 3, -1, 32_767)),
            upgrade_type=st.sampled_from((0, 1, 2, 3, 4, -1)),
        ),
        at_most=2,
    ),
    validate_only=st.just(value=True),
)
_voters = _made(
    AddRaftVoterRequest,
    cluster_id=_cluster_ids,
    voter_id=_brokers,
    voter_directory_id=_ids,
    timeout_ms=st.just(1_000),
    listeners=st.just([]) | st.just([Listener(name="CONTROLLER", host="localhost", port=9093)]),
) | _made(
    RemoveRaftVoterRequest, cluster_id=_cluster_ids, voter_id=_brokers, voter_directory_id=_ids
)
_brokers_gone = _made(
    UnregisterBrokerRequest, broker_id=st.sampled_from((0, 2, 99, -1, 2**31 - 1, -(2**31)))
)
_clusters = _made(
    DescribeClusterRequest, include_cluster_authorized_operations=st.booleans()
) | _made(DescribeClusterRequest, endpoint_type=st.sampled_from((0, 1, 2, 3, -1)))
_records = _made(
    DeleteRecordsRequest,
    timeout_ms=_TIMEOUT,
    topics=_few(
        _made(
            DeleteRecordsTopic,
            name=st.sampled_from((EXISTING, WIDE, "missing", "a b", "__consumer_offsets")),
            partitions=_few(
                _made(
                    DeleteRecordsPartition,
                    partition_index=_indexes,
                    offset=st.sampled_from((0, -1, -2, 1, 2**63 - 1, -(2**63))),
                )
            ),
        )
    ),
)
_forgotten = _made(
    OffsetDeleteRequest,
    group_id=_groups,
    topics=_few(
        _made(
            OffsetDeleteRequestTopic,
            name=_topics,
            partitions=_few(_made(OffsetDeleteRequestPartition, partition_index=_indexes)),
        )
    ),
)
_groups_gone = _made(DeleteGroupsRequest, groups_names=_few(_groups))
_groups_listed = _made(
    ListGroupsRequest,
    states_filter=_few(st.sampled_from(("Stable", "stable", "Empty", "No", ""))),
    types_filter=_few(st.sampled_from(("classic", "Classic", "consumer", "share", "no", ""))),
)

# Each with the oldest version that can say it.
_KINDS: tuple[tuple[st.SearchStrategy[WireMessage], int], ...] = (
    (_growth, 0),
    (_deletions, 6),
    (_pages, 0),
    (_elections, 1),
    (_reassignments, 0),
    (_listings, 0),
    (_log_dirs, 1),
    (_moves, 1),
    (_quorums, 0),
    (_features, 1),
    (_voters, 0),
    (_brokers_gone, 0),
    (_clusters, 1),
    (_records, 0),
    (_forgotten, 0),
    (_groups_gone, 0),
    (_groups_listed, 5),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[WireMessage, int]:
    """A request and a version that 4.1.1 serves and that can say it."""
    strategy, oldest = draw(st.sampled_from(_KINDS))
    request = draw(strategy)
    version = draw(st.integers(oldest, request.latest_stable_version))
    return request, version
