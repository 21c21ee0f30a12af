"""Which APIs this broker serves, in which versions, and who answers: the one table.

What stands here is advertised by ApiVersions, and only that. Versions reach from 0 to the newest
stable one of Kafka 4.1, whether or not today's Kafka still serves the old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnResponse
from datacore._generated.add_raft_voter import AddRaftVoterResponse
from datacore._generated.api_keys import ApiKey
from datacore._generated.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from datacore._generated.describe_cluster import DescribeClusterResponse
from datacore._generated.describe_quorum import DescribeQuorumResponse
from datacore._generated.describe_user_scram_credentials import (
    DescribeUserScramCredentialsResponse,
)
from datacore._generated.end_txn import EndTxnResponse
from datacore._generated.get_telemetry_subscriptions import GetTelemetrySubscriptionsResponse
from datacore._generated.heartbeat import HeartbeatResponse
from datacore._generated.leave_group import LeaveGroupResponse
from datacore._generated.list_config_resources import ListConfigResourcesResponse
from datacore._generated.list_groups import ListGroupsResponse
from datacore._generated.list_partition_reassignments import ListPartitionReassignmentsResponse
from datacore._generated.list_transactions import ListTransactionsResponse
from datacore._generated.offset_delete import OffsetDeleteResponse
from datacore._generated.push_telemetry import PushTelemetryResponse
from datacore._generated.remove_raft_voter import RemoveRaftVoterResponse
from datacore._generated.sync_group import SyncGroupResponse
from datacore._generated.unregister_broker import UnregisterBrokerResponse
from datacore._generated.update_features import UpdateFeaturesResponse
from datacore.handlers import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    add_raft_voter,
    alter_client_quotas,
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    consumer_group_describe,
    consumer_group_heartbeat,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_client_quotas,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
    describe_transactions,
    describe_user_scram_credentials,
    elect_leaders,
    end_txn,
    fetch,
    find_coordinator,
    get_telemetry_subscriptions,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_config_resources,
    list_groups,
    list_offsets,
    list_partition_reassignments,
    list_transactions,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    push_telemetry,
    remove_raft_voter,
    sync_group,
    txn_offset_commit,
    unregister_broker,
    update_features,
    write_txn_markers,
)
from datacore.handlers.api import Api, top_level_error
from datacore.handlers.api_versions import api_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.api_versions import Feature
    from datacore.protocol.errors import KafkaError


def _api(
    key: ApiKey,
    max_version: int,
    handle: Callable[[Broker, RequestContext, Any], Any],
    error_response: Callable[[RequestContext, Any, KafkaError], Any],
    *,
    pipelined: bool = False,
) -> Api[Broker, Any, Any]:
    return Api(
        key=key,
        min_version=0,
        max_version=max_version,
        handle=handle,
        error_response=error_response,
        pipelined=pipelined,
    )


_TELEMETRY: Final = frozenset({ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, ApiKey.PUSH_TELEMETRY})


def _features(broker: Broker) -> tuple[list[Feature], int]:
    return broker.features.all(), broker.features.epoch


def _withheld(broker: Broker) -> frozenset[ApiKey]:
    """Clients that hear of telemetry ask for it, and some say so in their users' logs (KIP-714)."""
    return frozenset() if broker.client_telemetry.is_wanted else _TELEMETRY


# One line an API, in the order of the keys. ApiVersions answers with these and itself.
# fmt: off
_APIS: Final = (
    _api(ApiKey.PRODUCE, 13, produce.handle, produce.error_response, pipelined=True),
    _api(ApiKey.FETCH, 18, fetch.handle, fetch.error_response),
    _api(ApiKey.LIST_OFFSETS, 10, list_offsets.handle, list_offsets.error_response),
    _api(ApiKey.METADATA, 13, metadata.handle, metadata.error_response),
    _api(ApiKey.OFFSET_COMMIT, 9, offset_commit.handle, offset_commit.error_response),
    _api(ApiKey.OFFSET_FETCH, 9, offset_fetch.handle, offset_fetch.error_response),
    _api(ApiKey.FIND_COORDINATOR, 6, find_coordinator.handle, find_coordinator.error_response),
    _api(ApiKey.JOIN_GROUP, 9, join_group.handle, join_group.error_response),
    _api(ApiKey.HEARTBEAT, 4, heartbeat.handle, top_level_error(HeartbeatResponse)),
    _api(ApiKey.LEAVE_GROUP, 5, leave_group.handle, top_level_error(LeaveGroupResponse)),
    _api(ApiKey.SYNC_GROUP, 5, sync_group.handle, top_level_error(SyncGroupResponse)),
    _api(ApiKey.DESCRIBE_GROUPS, 6, describe_groups.handle, describe_groups.error_response),
    _api(ApiKey.LIST_GROUPS, 5, list_groups.handle, top_level_error(ListGroupsResponse)),
    _api(ApiKey.CREATE_TOPICS, 7, create_topics.handle, create_topics.error_response),
    _api(ApiKey.DELETE_TOPICS, 6, delete_topics.handle, delete_topics.error_response),
    _api(ApiKey.DELETE_RECORDS, 2, delete_records.handle, delete_records.error_response),
    _api(ApiKey.INIT_PRODUCER_ID, 5, init_producer_id.handle, init_producer_id.error_response),
    _api(ApiKey.OFFSET_FOR_LEADER_EPOCH, 4, offset_for_leader_epoch.handle,
         offset_for_leader_epoch.error_response),
    _api(ApiKey.ADD_PARTITIONS_TO_TXN, 5, add_partitions_to_txn.handle,
         add_partitions_to_txn.error_response),
    _api(ApiKey.ADD_OFFSETS_TO_TXN, 4, add_offsets_to_txn.handle,
         top_level_error(AddOffsetsToTxnResponse)),
    _api(ApiKey.END_TXN, 5, end_txn.handle, top_level_error(EndTxnResponse)),
    _api(ApiKey.WRITE_TXN_MARKERS, 1, write_txn_markers.handle, write_txn_markers.error_response),
    _api(ApiKey.TXN_OFFSET_COMMIT, 5, txn_offset_commit.handle, txn_offset_commit.error_response),
    _api(ApiKey.DESCRIBE_CONFIGS, 4, describe_configs.handle, describe_configs.error_response),
    _api(ApiKey.ALTER_CONFIGS, 2, alter_configs.handle, alter_configs.error_response),
    _api(ApiKey.ALTER_REPLICA_LOG_DIRS, 2, alter_replica_log_dirs.handle,
         alter_replica_log_dirs.error_response),
    _api(ApiKey.DESCRIBE_LOG_DIRS, 4, describe_log_dirs.handle, describe_log_dirs.error_response),
    _api(ApiKey.CREATE_PARTITIONS, 3, create_partitions.handle, create_partitions.error_response),
    _api(ApiKey.DELETE_GROUPS, 2, delete_groups.handle, delete_groups.error_response),
    _api(ApiKey.ELECT_LEADERS, 2, elect_leaders.handle, elect_leaders.error_response),
    _api(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, incremental_alter_configs.handle,
         incremental_alter_configs.error_response),
    _api(ApiKey.ALTER_PARTITION_REASSIGNMENTS, 1, alter_partition_reassignments.handle,
         alter_partition_reassignments.error_response),
    _api(ApiKey.LIST_PARTITION_REASSIGNMENTS, 0, list_partition_reassignments.handle,
         top_level_error(ListPartitionReassignmentsResponse)),
    _api(ApiKey.OFFSET_DELETE, 0, offset_delete.handle, top_level_error(OffsetDeleteResponse)),
    _api(ApiKey.DESCRIBE_CLIENT_QUOTAS, 1, describe_client_quotas.handle,
         describe_client_quotas.error_response),
    _api(ApiKey.ALTER_CLIENT_QUOTAS, 1, alter_client_quotas.handle,
         alter_client_quotas.error_response),
    _api(ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, 0, describe_user_scram_credentials.handle,
         top_level_error(DescribeUserScramCredentialsResponse)),
    _api(ApiKey.DESCRIBE_QUORUM, 2, describe_quorum.handle,
         top_level_error(DescribeQuorumResponse)),
    _api(ApiKey.UPDATE_FEATURES, 2, update_features.handle,
         top_level_error(UpdateFeaturesResponse)),
    _api(ApiKey.DESCRIBE_CLUSTER, 2, describe_cluster.handle,
         top_level_error(DescribeClusterResponse)),
    _api(ApiKey.DESCRIBE_PRODUCERS, 0, describe_producers.handle,
         describe_producers.error_response),
    _api(ApiKey.UNREGISTER_BROKER, 0, unregister_broker.handle,
         top_level_error(UnregisterBrokerResponse)),
    _api(ApiKey.DESCRIBE_TRANSACTIONS, 0, describe_transactions.handle,
         describe_transactions.error_response),
    _api(ApiKey.LIST_TRANSACTIONS, 2, list_transactions.handle,
         top_level_error(ListTransactionsResponse)),
    _api(ApiKey.CONSUMER_GROUP_HEARTBEAT, 1, consumer_group_heartbeat.handle,
         top_level_error(ConsumerGroupHeartbeatResponse)),
    _api(ApiKey.CONSUMER_GROUP_DESCRIBE, 1, consumer_group_describe.handle,
         consumer_group_describe.error_response),
    _api(ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, 0, get_telemetry_subscriptions.handle,
         top_level_error(GetTelemetrySubscriptionsResponse)),
    _api(ApiKey.PUSH_TELEMETRY, 0, push_telemetry.handle, top_level_error(PushTelemetryResponse)),
    _api(ApiKey.LIST_CONFIG_RESOURCES, 1, list_config_resources.handle,
         top_level_error(ListConfigResourcesResponse)),
    _api(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, describe_topic_partitions.handle,
         describe_topic_partitions.error_response),
    _api(ApiKey.ADD_RAFT_VOTER, 0, add_raft_voter.handle, top_level_error(AddRaftVoterResponse)),
    _api(ApiKey.REMOVE_RAFT_VOTER, 0, remove_raft_voter.handle,
         top_level_error(RemoveRaftVoterResponse)),
)
# fmt: on

TABLE: Final = {api.key: api for api in (*_APIS, api_versions(_APIS, _features, _withheld))}
