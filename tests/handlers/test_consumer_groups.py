from typing import Any

import pytest

from datacore._generated.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from datacore._generated.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from datacore.client.connection import Connection
from datacore.metadata.image import RESOURCE_GROUP
from datacore.testing.broker import Broker


def join(connection: Connection, group: str = "g") -> ConsumerGroupHeartbeatResponse:
    find = FindCoordinatorRequest(coordinator_keys=[group])
    connection.send(find, FindCoordinatorResponse)
    request = ConsumerGroupHeartbeatRequest(
        group_id=group,
        member_id="m",
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    return connection.send(request, ConsumerGroupHeartbeatResponse)


def test_the_protocol_is_off_where_its_feature_is() -> None:
    with Broker() as broker, Connection(broker.host, broker.port) as connection:
        update = FeatureUpdateKey(feature="group.version", max_version_level=0, upgrade_type=2)
        updated = connection.send(
            UpdateFeaturesRequest(feature_updates=[update]), UpdateFeaturesResponse
        )
        assert updated.error_code == 0
        assert join(connection).error_code == ErrorCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        ("classic", ErrorCode.UNSUPPORTED_VERSION),
        ("classic,streams", ErrorCode.UNSUPPORTED_VERSION),
        ("consumer, classic", ErrorCode.NONE),
    ],
)
def test_a_broker_speaks_the_consumer_protocol_where_its_config_says_so(
    protocols: str, expected: ErrorCode
) -> None:
    kafka: dict[str, Any] = {"group.coordinator.rebalance.protocols": protocols}
    with Broker(kafka=kafka) as broker, Connection(broker.host, broker.port) as connection:
        assert join(connection).error_code == expected
        described = connection.send(
            ConsumerGroupDescribeRequest(group_ids=["g"]), ConsumerGroupDescribeResponse
        )
        assert described.groups[0].error_code == expected


def test_a_groups_own_configs_count() -> None:
    with Broker() as broker, Connection(broker.host, broker.port) as connection:
        assert join(connection).heartbeat_interval_ms == 5_000
        interval = AlterableConfig(
            name="consumer.heartbeat.interval.ms", config_operation=0, value="7000"
        )
        resource = AlterConfigsResource(
            resource_type=RESOURCE_GROUP, resource_name="g", configs=[interval]
        )
        request = IncrementalAlterConfigsRequest(resources=[resource])
        altered = connection.send(request, IncrementalAlterConfigsResponse)
        assert altered.responses[0].error_code == 0
        assert join(connection).heartbeat_interval_ms == 7_000
        assert join(connection, "other").heartbeat_interval_ms == 5_000
