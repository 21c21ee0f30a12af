"""The cluster: its features, its quorum, where logs lie, who leads, and what moves."""

from datacore._generated.add_raft_voter import AddRaftVoterRequest
from datacore._generated.add_raft_voter import Listener as VoterListener
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
from tests.golden.questions.question import Question

SOME_ID = bytes(range(16))
PREFERRED, UNCLEAN = 0, 1
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
METADATA_TOPIC = "__cluster_metadata"
METADATA_VERSION = "metadata.version"
# Where logs lie and what they take is each broker's own.
_OF_ONE_DISK = ("log_dir", "total_bytes", "usable_bytes", "partition_size")
_OF_ONE_QUORUM = (
    "high_watermark",
    "log_end_offset",
    "last_fetch_timestamp",
    "last_caught_up_timestamp",
    "replica_directory_id",
    "nodes",
)


def _dirs(name: str, version: int, *topics: tuple[str, list[int]]) -> Question:
    asked = [DescribableLogDirTopic(topic=topic, partitions=indexes) for topic, indexes in topics]
    request = DescribeLogDirsRequest(topics=asked)
    return Question.of(f"DescribeLogDirs v{version} {name}", version, request, *_OF_ONE_DISK)


def _move(name: str, version: int, *moves: tuple[str, str, list[int]]) -> Question:
    request = AlterReplicaLogDirsRequest(
        dirs=[
            AlterReplicaLogDir(
                path=path, topics=[AlterReplicaLogDirTopic(name=topic, partitions=partitions)]
            )
            for path, topic, partitions in moves
        ]
    )
    return Question.of(f"AlterReplicaLogDirs v{version} {name}", version, request)


def _elect(
    name: str, version: int, *topics: tuple[str, list[int]], kind: int = PREFERRED
) -> Question:
    request = ElectLeadersRequest(
        election_type=kind,
        topic_partitions=[
            TopicPartitions(topic=topic, partitions=partitions) for topic, partitions in topics
        ]
        or None,
        timeout_ms=5_000,
    )
    return Question.of(f"ElectLeaders v{version} {name}", version, request)


def _reassign(
    name: str, version: int, *moves: tuple[str, int, list[int] | None], may_change: bool = True
) -> Question:
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=5_000,
        allow_replication_factor_change=may_change,
        topics=[
            ReassignableTopic(
                name=topic,
                partitions=[ReassignablePartition(partition_index=index, replicas=replicas)],
            )
            for topic, index, replicas in moves
        ],
    )
    return Question.of(f"AlterPartitionReassignments v{version} {name}", version, request)


def _reassignments(name: str, topics: list[tuple[str, list[int]]] | None) -> Question:
    request = ListPartitionReassignmentsRequest(
        timeout_ms=5_000,
        topics=None
        if topics is None
        else [
            ListPartitionReassignmentsTopics(name=topic, partition_indexes=indexes)
            for topic, indexes in topics
        ],
    )
    return Question.of(f"ListPartitionReassignments v0 {name}", 0, request)


def _quorum(name: str, version: int, *partitions: tuple[str, list[int]]) -> Question:
    request = DescribeQuorumRequest(
        topics=[
            DescribeQuorumRequestTopicData(
                topic_name=topic,
                partitions=[
                    DescribeQuorumRequestPartitionData(partition_index=index) for index in indexes
                ],
            )
            for topic, indexes in partitions
        ]
    )
    return Question.of(f"DescribeQuorum v{version} {name}", version, request, *_OF_ONE_QUORUM)


def _features(
    name: str,
    version: int,
    *updates: tuple[str, int, int],
    validate_only: bool = False,
    allow_downgrade: bool = False,
) -> Question:
    request = UpdateFeaturesRequest(
        timeout_ms=5_000,
        validate_only=validate_only,
        feature_updates=[
            FeatureUpdateKey(
                feature=feature,
                max_version_level=level,
                upgrade_type=upgrade_type,
                allow_downgrade=allow_downgrade,
            )
            for feature, level, upgrade_type in updates
        ],
    )
    return Question.of(f"UpdateFeatures v{version} {name}", version, request)


def _grow(name: str, count: int, *assignments: list[int], topic: str = "golden") -> Question:
    request = CreatePartitionsRequest(
        topics=[
            CreatePartitionsTopic(
                name=topic,
                count=count,
                assignments=[CreatePartitionsAssignment(broker_ids=ids) for ids in assignments],
            )
        ],
        timeout_ms=5_000,
        validate_only=True,
    )
    return Question.of(f"CreatePartitions v3 {name}", 3, request)


LOG_DIRS = (
    *(_dirs("of a topic", version, ("untouched", [0])) for version in range(5)),
    _dirs("of an unknown topic", 4, ("missing", [0])),
    _dirs("of an unknown partition", 4, ("untouched", [7])),
    _dirs("of nothing", 4),
    _dirs("of one topic twice", 4, ("untouched", [0]), ("untouched", [0, 0])),
    *(_move("to an unknown folder", version, ("/no/such", "untouched", [0])) for version in (1, 2)),
    _move("of an unknown topic to an unknown folder", 2, ("/no/such", "missing", [0])),
    _move("to a folder without a name", 2, ("", "untouched", [0])),
    _move("to two folders", 2, ("/no/such", "untouched", [0]), ("/nor/this", "untouched", [0])),
    _move("of no partitions", 2, ("/no/such", "untouched", [])),
    _move("of nothing", 2),
)

LEADERS = (
    *(_elect("of the preferred leader", version, ("untouched", [0])) for version in range(3)),
    *(_elect("of all", version) for version in range(3)),
    _elect("of an unknown topic", 2, ("missing", [0])),
    _elect("of an unknown partition", 2, ("untouched", [0, 7])),
    _elect("of one partition twice", 2, ("untouched", [0, 0])),
    Question.of(
        "ElectLeaders v2 of nothing, of a kind that nobody knows",
        2,
        ElectLeadersRequest(election_type=9, topic_partitions=[]),
    ),
    _elect("of no partitions", 2, ("untouched", [])),
    _elect("of an unclean leader", 2, ("untouched", [0]), kind=UNCLEAN),
    _elect("of all unclean leaders", 2, kind=UNCLEAN),
    _elect("of a kind that nobody knows", 2, ("untouched", [0]), kind=9),
)

REASSIGNMENTS = (
    *(_reassign("to where it is", version, ("untouched", 0, [1])) for version in (0, 1)),
    _reassign("to an unknown broker", 0, ("untouched", 0, [99])),
    _reassign("to two brokers", 0, ("untouched", 0, [1, 99])),
    _reassign("to two brokers, not to be more", 1, ("untouched", 0, [1, 99]), may_change=False),
    _reassign("to nowhere", 0, ("untouched", 0, [])),
    _reassign("to one broker twice", 0, ("untouched", 0, [1, 1])),
    _reassign("to a broker below zero", 0, ("untouched", 0, [-1])),
    _reassign("called off", 0, ("untouched", 0, None)),
    _reassign("of an unknown topic", 0, ("missing", 0, [1])),
    _reassign("of an unknown partition", 0, ("untouched", 7, [1])),
    _reassign("of one partition twice", 0, ("untouched", 0, [1]), ("untouched", 0, [1])),
    _reassign("of nothing", 0),
    _reassignments("of all", None),
    _reassignments("of a topic", [("untouched", [0])]),
    _reassignments("of an unknown topic", [("missing", [0])]),
    _reassignments("of nothing", []),
)

QUORUM = (
    *(_quorum("of the metadata", version, (METADATA_TOPIC, [0])) for version in range(3)),
    _quorum("of another topic", 2, ("untouched", [0])),
    _quorum("of another partition", 2, (METADATA_TOPIC, [1])),
    _quorum("of two partitions", 2, (METADATA_TOPIC, [0, 1])),
    _quorum("of two topics", 2, (METADATA_TOPIC, [0]), ("untouched", [0])),
    _quorum("of nothing", 2),
    *(
        Question.of(
            f"AddRaftVoter v0 {name}",
            0,
            AddRaftVoterRequest(
                cluster_id=cluster_id,
                timeout_ms=1_000,
                voter_id=2,
                voter_directory_id=SOME_ID,
                listeners=listeners,
            ),
        )
        for name, cluster_id, listeners in (
            ("of a voter", None, [VoterListener(name="CONTROLLER", host="localhost", port=9093)]),
            ("of another cluster", "another", []),
            ("without listeners", None, []),
        )
    ),
    *(
        Question.of(
            f"RemoveRaftVoter v0 {name}",
            0,
            RemoveRaftVoterRequest(
                cluster_id=cluster_id, voter_id=voter_id, voter_directory_id=SOME_ID
            ),
        )
        for name, cluster_id, voter_id in (
            ("of a voter", None, 2),
            ("of a voter below zero", None, -1),
            ("of the only voter", None, 1),
            ("of another cluster", "another", 1),
        )
    ),
    Question("UpdateRaftVoter v0 asked of a broker", 82, 0, b""),
)

FEATURES = (
    *(
        _features("of a feature that nobody knows", version, ("no.such", 1, UPGRADE))
        for version in range(3)
    ),
    _features("of a feature that nobody knows, to 0", 2, ("no.such", 0, SAFE_DOWNGRADE)),
    _features("of a feature without a name", 1, ("", 1, UPGRADE)),
    _features("to a level that nobody knows", 1, (METADATA_VERSION, 9_000, UPGRADE)),
    _features("to a level below zero", 1, (METADATA_VERSION, -1, UPGRADE)),
    _features("to a level below zero, as a downgrade", 1, (METADATA_VERSION, -1, SAFE_DOWNGRADE)),
    _features("of a downgrade called upgrade", 1, (METADATA_VERSION, 26, UPGRADE)),
    _features("of an upgrade called downgrade", 1, (METADATA_VERSION, 28, SAFE_DOWNGRADE)),
    _features("of metadata.version to 0", 1, (METADATA_VERSION, 0, SAFE_DOWNGRADE)),
    _features("of metadata.version to 1", 1, (METADATA_VERSION, 1, UNSAFE_DOWNGRADE)),
    _features("with a kind that nobody knows", 1, (METADATA_VERSION, 27, 9)),
    _features("with the kind unknown", 1, (METADATA_VERSION, 27, 0)),
    *(_features("of nothing", version) for version in range(3)),
    *(
        _features("to the level in force", version, (METADATA_VERSION, 27, UPGRADE))
        for version in range(3)
    ),
    _features("to the level in force, as a downgrade", 1, (METADATA_VERSION, 27, SAFE_DOWNGRADE)),
    _features("to the level in force, twice", 1, *[(METADATA_VERSION, 27, UPGRADE)] * 2),
    *(
        _features(
            "of two features, one unknown",
            version,
            (METADATA_VERSION, 27, UPGRADE),
            ("no.such", 1, UPGRADE),
        )
        for version in (1, 2)
    ),
    _features(
        "to the level in force, only validated",
        2,
        (METADATA_VERSION, 27, UPGRADE),
        validate_only=True,
    ),
    _features(
        "to no level, allowed as a downgrade",
        0,
        (METADATA_VERSION, 0, UPGRADE),
        allow_downgrade=True,
    ),
)


def _page(name: str, cursor: tuple[str, int] | None, limit: int, *topics: str) -> Question:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=topic) for topic in topics],
        response_partition_limit=limit,
        cursor=None
        if cursor is None
        else DescribeTopicPartitionsRequestCursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    name = f"DescribeTopicPartitions v0 {name}"
    return Question.of(name, 0, request, "eligible_leader_replicas", "last_known_elr")


PAGES = (
    _page("of one partition", None, 1, "golden", "small"),
    _page("of the page behind it", ("small", 0), 1, "golden", "small"),
    _page("from behind the last partition", ("golden", 7), 9, "golden", "small"),
    _page("from a topic that was not asked for", ("compacted", 0), 9, "golden", "small"),
    _page("from an unknown topic that was asked for", ("missing", 0), 9, "golden", "missing"),
    _page("of a topic asked for twice", None, 9, "golden", "golden"),
    _page("of no partitions", None, 0, "golden"),
    _page("of less than none", None, -1, "golden"),
)

TWICE = (
    Question.of(
        "DeleteTopics v6 of a name with an id, twice",
        6,
        DeleteTopicsRequest(
            topics=[DeleteTopicState(name="missing", topic_id=SOME_ID)] * 2, timeout_ms=5_000
        ),
    ),
    Question.of(
        "DeleteTopics v6 of an unknown id, twice",
        6,
        DeleteTopicsRequest(
            topics=[DeleteTopicState(name=None, topic_id=SOME_ID)] * 2, timeout_ms=5_000
        ),
    ),
    Question.of(
        "DeleteGroups v2 of an unknown group, twice",
        2,
        DeleteGroupsRequest(groups_names=["unknown", "unknown"]),
    ),
    *(
        Question.of(
            f"OffsetDelete v0 of an unknown topic of {name}",
            0,
            OffsetDeleteRequest(
                group_id=group_id,
                topics=[
                    OffsetDeleteRequestTopic(
                        name="missing", partitions=[OffsetDeleteRequestPartition()]
                    )
                ],
            ),
        )
        for name, group_id in (("an unknown group", "unknown"), ("a group without an id", ""))
    ),
)

CLUSTER = (
    *(
        Question.of(
            f"UnregisterBroker v0 of {name}", 0, UnregisterBrokerRequest(broker_id=broker_id)
        )
        for name, broker_id in (("an unknown broker", 99), ("a broker below zero", -1))
    ),
    *(
        Question.of(
            f"DescribeCluster v{version} with operations",
            version,
            DescribeClusterRequest(include_cluster_authorized_operations=True),
        )
        for version in range(3)
    ),
    Question.of(
        "DescribeCluster v2 with fenced brokers",
        2,
        DescribeClusterRequest(include_fenced_brokers=True),
    ),
    _grow("with an assignment", 2, [1]),
    _grow("with an unknown broker", 2, [99]),
    _grow("with too few assignments", 3, [1]),
    _grow("with too many assignments", 2, [1], [1]),
    _grow("with one broker twice", 2, [1, 1]),
    _grow("with nobody", 2, []),
    _grow("with no assignments", 2),
    _grow("of an unknown topic with an assignment", 2, [1], topic="missing"),
    _grow("to -1", -1),
    _grow("to very many", 100_000, [1]),
)

QUESTIONS = (*LOG_DIRS, *LEADERS, *REASSIGNMENTS, *QUORUM, *FEATURES, *PAGES, *TWICE, *CLUSTER)
