"""What clients do with a broker, and the APIs that each job takes.

Rule: every API that a client may send, in any release of ``specs/releases.json``, belongs to one
job; ``docs.generate`` fails over one that is new, so that somebody says what it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

JOBS: Final[Mapping[str, tuple[str, ...]]] = {
    "produce, also idempotently": ("ApiVersions", "Metadata", "Produce", "InitProducerId"),
    "consume": ("Fetch", "ListOffsets", "OffsetForLeaderEpoch"),
    "consumer groups": (
        "FindCoordinator",
        "JoinGroup",
        "SyncGroup",
        "Heartbeat",
        "LeaveGroup",
        "OffsetCommit",
        "OffsetFetch",
    ),
    "look after groups": ("DescribeGroups", "ListGroups", "DeleteGroups", "OffsetDelete"),
    "make and delete topics": (
        "CreateTopics",
        "CreatePartitions",
        "DeleteTopics",
        "DescribeTopicPartitions",
    ),
    "describe cluster and configs": ("DescribeCluster", "DescribeConfigs"),
    "transactions": (
        "AddPartitionsToTxn",
        "AddOffsetsToTxn",
        "EndTxn",
        "TxnOffsetCommit",
        "DescribeProducers",
        "DescribeTransactions",
        "ListTransactions",
    ),
    "alter configs": ("AlterConfigs", "IncrementalAlterConfigs", "ListConfigResources"),
    "delete records": ("DeleteRecords",),
    "log directories": ("AlterReplicaLogDirs", "DescribeLogDirs"),
    "replicas and leaders": (
        "ElectLeaders",
        "AlterPartitionReassignments",
        "ListPartitionReassignments",
    ),
    "SASL and its credentials": (
        "SaslHandshake",
        "SaslAuthenticate",
        "CreateDelegationToken",
        "RenewDelegationToken",
        "ExpireDelegationToken",
        "DescribeDelegationToken",
        "DescribeUserScramCredentials",
        "AlterUserScramCredentials",
    ),
    "ACLs": ("DescribeAcls", "CreateAcls", "DeleteAcls"),
    "quotas": ("DescribeClientQuotas", "AlterClientQuotas"),
    "consumer groups of KIP-848": ("ConsumerGroupHeartbeat", "ConsumerGroupDescribe"),
    "share groups": (
        "ShareGroupHeartbeat",
        "ShareGroupDescribe",
        "ShareFetch",
        "ShareAcknowledge",
        "DescribeShareGroupOffsets",
        "AlterShareGroupOffsets",
        "DeleteShareGroupOffsets",
    ),
    "streams groups": ("StreamsGroupHeartbeat", "StreamsGroupDescribe"),
    "telemetry of clients": ("GetTelemetrySubscriptions", "PushTelemetry"),
    "the KRaft quorum": (
        "UnregisterBroker",
        "UpdateFeatures",
        "AddRaftVoter",
        "RemoveRaftVoter",
    ),
}
