"""What an administrator asks and tells the cluster: each step is one API, asked in one version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse, Listener
from datacore._generated.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignableTopic,
)
from datacore._generated.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from datacore._generated.api_keys import ApiKey
from datacore._generated.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
)
from datacore._generated.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from datacore._generated.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitions,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from datacore._generated.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from datacore._generated.unregister_broker import (
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
)
from datacore._generated.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers.speaker import Speaker
    from tests.handlers.topic_flow import TopicFlow

BROKER_ID, STRANGER = 1, 99
SOME_ID = bytes(range(16))
UPGRADE, SAFE_DOWNGRADE = 1, 2
METADATA_VERSION = 27


class ClusterFlow:
    """One administrator of the cluster that has the topic of a ``TopicFlow``."""

    def __init__(self, speaker: Speaker, topics: TopicFlow) -> None:
        self.speaker = speaker
        self.topics = topics

    # --- where logs lie

    def describe_log_dirs(self) -> None:
        version = self.speaker.version(ApiKey.DESCRIBE_LOG_DIRS)
        topic = self.topics.topic
        named = self._log_dir([DescribableLogDirTopic(topic=topic, partitions=[0, 1, 7])])
        sizes = {each.partition_index: each.partition_size for each in named.topics[0].partitions}
        assert [each.name for each in named.topics] == [topic]
        assert (sorted(sizes), sizes[1]) == ([0, 1], 0)
        assert sizes[0] > 0
        assert {(p.offset_lag, p.is_future_key) for p in named.topics[0].partitions} == {(0, False)}
        everything = self._log_dir(None)
        assert topic in {each.name for each in everything.topics}
        assert self._log_dir([]).topics == []
        if version >= 4:
            assert 0 < named.usable_bytes <= named.total_bytes
        else:
            assert (named.usable_bytes, named.total_bytes) == (-1, -1)

    def _log_dir(self, topics: list[DescribableLogDirTopic] | None) -> DescribeLogDirsResult:
        response = self.speaker.send(DescribeLogDirsRequest(topics=topics), DescribeLogDirsResponse)
        assert response.error_code == 0
        (log_dir,) = response.results
        assert (log_dir.error_code, log_dir.log_dir) == (0, "memory")
        return log_dir

    def alter_replica_log_dirs(self) -> None:
        topic = AlterReplicaLogDirTopic(name=self.topics.topic, partitions=[0, 7])
        answers: tuple[tuple[str, dict[int, int]], ...] = (
            ("memory", {0: 0, 7: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}),
            ("/elsewhere", dict.fromkeys((0, 7), ErrorCode.LOG_DIR_NOT_FOUND)),
        )
        for path, codes in answers:
            request = AlterReplicaLogDirsRequest(
                dirs=[AlterReplicaLogDir(path=path, topics=[topic])]
            )
            (result,) = self.speaker.send(request, AlterReplicaLogDirsResponse).results
            assert result.topic_name == self.topics.topic
            assert {p.partition_index: p.error_code for p in result.partitions} == codes

    # --- who leads, and what moves

    def elect_leaders(self) -> None:
        version = self.speaker.version(ApiKey.ELECT_LEADERS)
        for election_type in (0, 1) if version >= 1 else (0,):
            request = ElectLeadersRequest(
                election_type=election_type,
                topic_partitions=[TopicPartitions(topic=self.topics.topic, partitions=[1, 7])],
            )
            response = self.speaker.send(request, ElectLeadersResponse)
            (topic,) = response.replica_election_results
            assert (response.error_code, topic.topic) == (0, self.topics.topic)
            assert [(p.partition_id, p.error_code) for p in topic.partition_result] == [
                (1, ErrorCode.ELECTION_NOT_NEEDED),
                (7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ]
        everywhere = ElectLeadersRequest(topic_partitions=None)
        results = self.speaker.send(everywhere, ElectLeadersResponse).replica_election_results
        assert self.topics.topic in {each.topic for each in results}
        assert [each.partition_result for each in results] == [[]] * len(results)

    def alter_partition_reassignments(self) -> None:
        answers: tuple[tuple[list[int] | None, int], ...] = (
            ([BROKER_ID], 0),
            ([STRANGER], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
            ([], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
            (None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS),
        )
        for replicas, code in answers:
            asked = ReassignablePartition(partition_index=0, replicas=replicas)
            request = AlterPartitionReassignmentsRequest(
                topics=[ReassignableTopic(name=self.topics.topic, partitions=[asked])]
            )
            response = self.speaker.send(request, AlterPartitionReassignmentsResponse)
            (topic,) = response.responses
            assert (response.error_code, topic.name) == (0, self.topics.topic)
            assert [(p.partition_index, p.error_code) for p in topic.partitions] == [(0, code)]

    def list_partition_reassignments(self) -> None:
        response = self.speaker.send(
            ListPartitionReassignmentsRequest(), ListPartitionReassignmentsResponse
        )
        assert (response.error_code, response.error_message, response.topics) == (0, None, [])

    # --- the cluster itself

    def describe_quorum(self) -> None:
        version = self.speaker.version(ApiKey.DESCRIBE_QUORUM)
        asked = DescribeQuorumRequestPartitionData()
        request = DescribeQuorumRequest(
            topics=[
                DescribeQuorumRequestTopicData(topic_name="__cluster_metadata", partitions=[asked])
            ]
        )
        response = self.speaker.send(request, DescribeQuorumResponse)
        (topic,) = response.topics
        (partition,) = topic.partitions
        assert (response.error_code, partition.error_code) == (0, 0)
        assert (partition.leader_id, partition.observers) == (BROKER_ID, [])
        (voter,) = partition.current_voters
        assert (voter.replica_id, voter.log_end_offset) == (BROKER_ID, partition.high_watermark)
        assert partition.high_watermark > 0
        assert (voter.last_fetch_timestamp > 0) == (version >= 1)
        if version >= 2:
            ((node, listeners),) = [(each.node_id, each.listeners) for each in response.nodes]
            assert (node, [each.host for each in listeners]) == (BROKER_ID, ["127.0.0.1"])

    def update_features(self) -> None:
        version = self.speaker.version(ApiKey.UPDATE_FEATURES)
        done = self._update_feature(METADATA_VERSION, UPGRADE)
        assert done.error_code == 0
        assert [each.error_code for each in done.results] == ([0] if version < 2 else [])
        refused = self._update_feature(METADATA_VERSION - 1, SAFE_DOWNGRADE)
        assert (refused.error_code, refused.results) == (ErrorCode.INVALID_UPDATE_VERSION, [])

    def _update_feature(self, level: int, upgrade_type: int) -> UpdateFeaturesResponse:
        update = FeatureUpdateKey(feature="metadata.version", max_version_level=level)
        if self.speaker.version(ApiKey.UPDATE_FEATURES) >= 1:
            update.upgrade_type = upgrade_type
        else:
            update.allow_downgrade = upgrade_type == SAFE_DOWNGRADE
        request = UpdateFeaturesRequest(feature_updates=[update])
        return self.speaker.send(request, UpdateFeaturesResponse)

    def unregister_broker(self) -> None:
        for broker_id, code in (
            (STRANGER, ErrorCode.BROKER_ID_NOT_REGISTERED),
            (BROKER_ID, ErrorCode.INVALID_REQUEST),
        ):
            request = UnregisterBrokerRequest(broker_id=broker_id)
            assert self.speaker.send(request, UnregisterBrokerResponse).error_code == code

    def add_raft_voter(self) -> None:
        listener = Listener(name="CONTROLLER", host="localhost", port=9093)
        answers: tuple[tuple[str | None, list[Listener], int], ...] = (
            (None, [listener], ErrorCode.UNSUPPORTED_VERSION),
            (None, [], ErrorCode.INVALID_REQUEST),
            ("another", [listener], ErrorCode.INCONSISTENT_CLUSTER_ID),
        )
        for cluster_id, listeners, code in answers:
            request = AddRaftVoterRequest(
                cluster_id=cluster_id,
                voter_id=STRANGER,
                voter_directory_id=SOME_ID,
                listeners=listeners,
            )
            assert self.speaker.send(request, AddRaftVoterResponse).error_code == code

    def remove_raft_voter(self) -> None:
        for cluster_id, code in (
            (None, ErrorCode.UNSUPPORTED_VERSION),
            ("another", ErrorCode.INCONSISTENT_CLUSTER_ID),
        ):
            request = RemoveRaftVoterRequest(
                cluster_id=cluster_id, voter_id=BROKER_ID, voter_directory_id=SOME_ID
            )
            assert self.speaker.send(request, RemoveRaftVoterResponse).error_code == code

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.DESCRIBE_LOG_DIRS, self.describe_log_dirs),
            (ApiKey.ALTER_REPLICA_LOG_DIRS, self.alter_replica_log_dirs),
            (ApiKey.ELECT_LEADERS, self.elect_leaders),
            (ApiKey.ALTER_PARTITION_REASSIGNMENTS, self.alter_partition_reassignments),
            (ApiKey.LIST_PARTITION_REASSIGNMENTS, self.list_partition_reassignments),
            (ApiKey.DESCRIBE_QUORUM, self.describe_quorum),
            (ApiKey.UPDATE_FEATURES, self.update_features),
            (ApiKey.UNREGISTER_BROKER, self.unregister_broker),
            (ApiKey.ADD_RAFT_VOTER, self.add_raft_voter),
            (ApiKey.REMOVE_RAFT_VOTER, self.remove_raft_voter),
        ]
