"""What a cluster of one broker cannot do: elect, move, grow its quorum, change its features."""

from collections.abc import Callable, Iterator

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
from datacore._generated.api_keys import ApiKey
from datacore._generated.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
)
from datacore._generated.elect_leaders import ElectLeadersRequest, TopicPartitions
from datacore._generated.errors import ErrorCode
from datacore._generated.remove_raft_voter import RemoveRaftVoterRequest
from datacore._generated.unregister_broker import UnregisterBrokerRequest
from datacore._generated.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from datacore.wire.message import WireMessage
from tests.handlers.refused import MISSING, SOME_ID, TOPIC, Refused

_STRANGER = 99


def _always(request: WireMessage) -> Callable[[int], WireMessage]:
    return lambda _: request


def cluster_refusals() -> Iterator[Refused]:
    yield from _moves()
    yield from _quorum()
    for name, feature, level in (
        ("of an unknown feature", "no.such", 1),
        ("to a level that nobody knows", "metadata.version", 9_000),
        ("to a level below zero", "metadata.version", -1),
    ):
        update = FeatureUpdateKey(feature=feature, max_version_level=level)
        yield Refused(
            f"UpdateFeatures {name}",
            ApiKey.UPDATE_FEATURES,
            ErrorCode.INVALID_UPDATE_VERSION,
            _always(UpdateFeaturesRequest(feature_updates=[update])),
        )


def _moves() -> Iterator[Refused]:
    unknown, assignment = (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    )
    for name, topic, index, code in (
        ("of its leader", TOPIC, 0, ErrorCode.ELECTION_NOT_NEEDED),
        ("of an unknown topic", MISSING, 0, unknown),
        ("of an unknown partition", TOPIC, 7, unknown),
    ):
        partitions = TopicPartitions(topic=topic, partitions=[index])
        yield Refused(
            f"ElectLeaders {name}",
            ApiKey.ELECT_LEADERS,
            code,
            _always(ElectLeadersRequest(topic_partitions=[partitions])),
        )
    for name, topic, index, replicas, code in (
        ("to an unknown broker", TOPIC, 0, [_STRANGER], assignment),
        ("to nowhere", TOPIC, 0, [], assignment),
        ("to one broker twice", TOPIC, 0, [1, 1], assignment),
        ("called off", TOPIC, 0, None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS),
        ("of an unknown topic", MISSING, 0, [1], unknown),
        ("of an unknown partition", TOPIC, 7, [1], unknown),
    ):
        moved = ReassignableTopic(
            name=topic,
            partitions=[ReassignablePartition(partition_index=index, replicas=replicas)],
        )
        yield Refused(
            f"AlterPartitionReassignments {name}",
            ApiKey.ALTER_PARTITION_REASSIGNMENTS,
            code,
            _always(AlterPartitionReassignmentsRequest(topics=[moved])),
        )
    for name, topic in (("of a topic", TOPIC), ("of an unknown topic", MISSING)):
        folder = AlterReplicaLogDir(
            path="/no/such", topics=[AlterReplicaLogDirTopic(name=topic, partitions=[0])]
        )
        yield Refused(
            f"AlterReplicaLogDirs {name} to an unknown folder",
            ApiKey.ALTER_REPLICA_LOG_DIRS,
            ErrorCode.LOG_DIR_NOT_FOUND,
            _always(AlterReplicaLogDirsRequest(dirs=[folder])),
        )


def _quorum() -> Iterator[Refused]:
    for name, topic, indexes in (
        ("of a topic", TOPIC, [0]),
        ("of another partition", "__cluster_metadata", [1]),
        ("of two partitions", "__cluster_metadata", [0, 1]),
    ):
        asked = DescribeQuorumRequestTopicData(
            topic_name=topic,
            partitions=[
                DescribeQuorumRequestPartitionData(partition_index=index) for index in indexes
            ],
        )
        yield Refused(
            f"DescribeQuorum {name}",
            ApiKey.DESCRIBE_QUORUM,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            _always(DescribeQuorumRequest(topics=[asked])),
        )
    listener = Listener(name="CONTROLLER", host="localhost", port=9093)
    yield Refused(
        "AddRaftVoter of a voter",
        ApiKey.ADD_RAFT_VOTER,
        ErrorCode.UNSUPPORTED_VERSION,
        lambda _: AddRaftVoterRequest(
            cluster_id=None,
            voter_id=_STRANGER,
            voter_directory_id=SOME_ID,
            listeners=[listener],
            timeout_ms=1_000,
        ),
    )
    yield Refused(
        "RemoveRaftVoter of a voter",
        ApiKey.REMOVE_RAFT_VOTER,
        ErrorCode.UNSUPPORTED_VERSION,
        lambda _: RemoveRaftVoterRequest(
            cluster_id=None, voter_id=_STRANGER, voter_directory_id=SOME_ID
        ),
    )
    yield Refused(
        "UnregisterBroker of an unknown broker",
        ApiKey.UNREGISTER_BROKER,
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        lambda _: UnregisterBrokerRequest(broker_id=_STRANGER),
    )
