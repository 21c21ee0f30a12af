"""Brokers of a cluster: who they are, their log directories, quorum and features.

Kafka's counterparts: ``Admin.describeCluster``, ``describeLogDirs``, ``describeMetadataQuorum``,
``describeFeatures``, ``updateFeatures`` and ``unregisterBroker``.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from datacore._generated.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from datacore._generated.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
)
from datacore._generated.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from datacore._generated.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import UnsupportedRequestError, check
from datacore.client.topics import ADMIN_TIMEOUT_MS, list_topics
from datacore.version import VERSION

_METADATA_TOPIC: Final = "__cluster_metadata"
_FENCED_FROM: Final = 2
_FEATURES_FROM: Final = 3
_UPGRADE_TYPES_FROM: Final = 1


class Node(NamedTuple):
    """A broker of a cluster."""

    node_id: int
    host: str
    port: int
    rack: str | None
    is_fenced: bool
    """Whether it is registered and does not serve; known from Kafka 4.0 on (KIP-1073)."""


class Nodes(NamedTuple):
    """The brokers of a cluster."""

    cluster_id: str
    controller_id: int
    brokers: tuple[Node, ...]


class ReplicaSize(NamedTuple):
    """What one replica takes on one broker."""

    broker: int
    log_dir: str
    topic: str
    partition: int
    size_bytes: int
    offset_lag: int
    is_future: bool


class LogDir(NamedTuple):
    """A folder that a broker keeps logs in; sizes are None where the broker does not tell them."""

    broker: int
    path: str
    total_bytes: int | None
    usable_bytes: int | None
    replicas: tuple[ReplicaSize, ...]


class Feature(NamedTuple):
    """A feature of a cluster, and the level that is in force; 0 where it is off."""

    name: str
    supported_min: int
    supported_max: int
    finalized: int


class UpgradeType(IntEnum):
    """Which way the level of a feature may go."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


def describe_cluster(cluster: Cluster, *, fenced: bool = False) -> Nodes:
    """The brokers of a cluster, with those that are fenced where it can tell them."""

    def attempt() -> Nodes:
        connection = cluster.any_broker()
        version = connection.version(DescribeClusterRequest)
        request = DescribeClusterRequest(include_fenced_brokers=fenced and version >= _FENCED_FROM)
        found = connection.send(request, DescribeClusterResponse, version)
        check(found.error_code, found.error_message)
        brokers = (Node(b.broker_id, b.host, b.port, b.rack, b.is_fenced) for b in found.brokers)
        return Nodes(found.cluster_id, found.controller_id, tuple(sorted(brokers)))

    try:
        return cluster.retrying(attempt)
    except UnsupportedRequestError:
        # Before KIP-700, Metadata is what tells.
        told = cluster.retrying(cluster.metadata)
        nodes = (Node(b.node_id, b.host, b.port, b.rack, is_fenced=False) for b in told.brokers)
        return Nodes(told.cluster_id or "", told.controller_id, tuple(sorted(nodes)))


def describe_log_dirs(
    cluster: Cluster, brokers: Sequence[int] = (), topics: Sequence[str] = ()
) -> list[LogDir]:
    """Log directories of some brokers, or of all, with the replicas of some topics, or of all."""

    def attempt() -> list[LogDir]:
        ids = brokers or sorted(each.node_id for each in cluster.metadata().brokers)
        known = [each for each in list_topics(cluster) if each.name in topics] if topics else []
        wanted = (
            [
                DescribableLogDirTopic(
                    topic=each.name or "", partitions=[p.partition_index for p in each.partitions]
                )
                for each in known
            ]
            if topics
            else None
        )
        found: list[LogDir] = []
        for broker in ids:
            request = DescribeLogDirsRequest(topics=wanted)
            response = cluster.broker(broker).send(request, DescribeLogDirsResponse)
            check(response.error_code)
            for result in response.results:
                check(result.error_code, f"broker {broker}, {result.log_dir}")
                sizes = (
                    ReplicaSize(
                        broker,
                        result.log_dir,
                        topic.name,
                        each.partition_index,
                        each.partition_size,
                        each.offset_lag,
                        each.is_future_key,
                    )
                    for topic in result.topics
                    for each in topic.partitions
                )
                found.append(
                    LogDir(
                        broker,
                        result.log_dir,
                        result.total_bytes if result.total_bytes >= 0 else None,
                        result.usable_bytes if result.usable_bytes >= 0 else None,
                        tuple(sorted(sizes)),
                    )
                )
        return found

    return cluster.retrying(attempt)


def describe_quorum(cluster: Cluster) -> DescribeQuorumResponsePartitionData:
    """Leader, voters and observers of the log of metadata (KIP-595)."""
    partition = DescribeQuorumRequestPartitionData(partition_index=0)
    topic = DescribeQuorumRequestTopicData(topic_name=_METADATA_TOPIC, partitions=[partition])

    def attempt() -> DescribeQuorumResponsePartitionData:
        request = DescribeQuorumRequest(topics=[topic])
        response = cluster.any_broker().send(request, DescribeQuorumResponse)
        check(response.error_code, response.error_message)
        found = response.topics[0].partitions[0]
        check(found.error_code, found.error_message)
        return found

    return cluster.retrying(attempt)


def describe_features(cluster: Cluster) -> list[Feature]:
    """Features by name (KIP-584): what a broker supports, and what the cluster has settled on."""

    def attempt() -> list[Feature]:
        connection = cluster.any_broker()
        response = _ask_features(connection)
        finalized = {each.name: each.max_version_level for each in response.finalized_features}
        return sorted(
            Feature(each.name, each.min_version, each.max_version, finalized.get(each.name, 0))
            for each in response.supported_features
        )

    return cluster.retrying(attempt)


def _ask_features(connection: Connection) -> ApiVersionsResponse:
    version = connection.version(ApiVersionsRequest)
    if version < _FEATURES_FROM:
        raise UnsupportedRequestError(f"the broker at {connection.address} does not tell features")
    request = ApiVersionsRequest(client_software_name="datacore", client_software_version=VERSION)
    response = connection.send(request, ApiVersionsResponse, version)
    check(response.error_code)
    return response


def update_features(
    cluster: Cluster,
    levels: Mapping[str, int],
    *,
    upgrade_type: UpgradeType = UpgradeType.UPGRADE,
    validate_only: bool = False,
) -> None:
    """Sets the levels of features, all of them or none; 0 turns one off.

    Args:
        cluster: Where they apply.
        levels: The new level by name.
        upgrade_type: Which way they may go.
        validate_only: Change nothing, but raise what would stand in the way.
    """

    def attempt() -> None:
        connection = cluster.controller()
        version = connection.version(UpdateFeaturesRequest)
        if version < _UPGRADE_TYPES_FROM:
            raise UnsupportedRequestError(
                f"the broker at {connection.address} serves UpdateFeatures {version}: "
                f"this needs {_UPGRADE_TYPES_FROM}"
            )
        request = UpdateFeaturesRequest(
            timeout_ms=ADMIN_TIMEOUT_MS,
            feature_updates=[
                FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=upgrade_type)
                for name, level in levels.items()
            ],
            validate_only=validate_only,
        )
        response = connection.send(request, UpdateFeaturesResponse, version)
        check(response.error_code, response.error_message)
        for result in response.results:
            check(result.error_code, result.error_message)

    cluster.retrying(attempt)


def unregister_broker(cluster: Cluster, broker: int) -> None:
    """Removes a broker that will not come back from the cluster's books."""

    def attempt() -> None:
        request = UnregisterBrokerRequest(broker_id=broker)
        response = cluster.controller().send(request, UnregisterBrokerResponse)
        check(response.error_code, response.error_message)

    cluster.retrying(attempt)
