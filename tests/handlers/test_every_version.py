"""One flow over every API of the table, in every version, with real bytes over a real socket."""

from collections.abc import Iterator

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore._generated.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from datacore.client.connection import Connection
from datacore.handlers.table import TABLE
from datacore.metadata.image import RESOURCE_CLIENT_METRICS
from datacore.testing.broker import Broker
from tests.handlers.admin_flow import AdminFlow
from tests.handlers.cluster_flow import ClusterFlow
from tests.handlers.config_flow import ConfigFlow
from tests.handlers.consumer_group_flow import ConsumerGroupFlow
from tests.handlers.group_flow import GroupFlow
from tests.handlers.speaker import Speaker, capped_versions, release_versions, releases
from tests.handlers.topic_flow import TopicFlow
from tests.handlers.transaction_flow import TransactionFlow


@pytest.fixture
def broker() -> Iterator[Broker]:
    """One that asks some client for its metrics: only then it tells of telemetry."""
    with Broker() as broker:
        with Connection(broker.host, broker.port) as connection:
            subscription = AlterConfigsResource(
                resource_type=RESOURCE_CLIENT_METRICS,
                resource_name="of-nobody-here",
                configs=[AlterableConfig(name="match", value="client_id=nobody")],
            )
            answer = connection.send(
                IncrementalAlterConfigsRequest(resources=[subscription]),
                IncrementalAlterConfigsResponse,
                1,
            )
        assert answer.responses[0].error_code == ErrorCode.NONE
        yield broker


def run_flow(broker: Broker, versions: dict[ApiKey, int], label: str) -> set[tuple[ApiKey, int]]:
    """Everything that a client of these versions can do; returns the pairs that it spoke."""
    with Connection(broker.host, broker.port) as connection:
        speaker = Speaker(connection, versions)
        topics = TopicFlow(speaker, label)
        groups = GroupFlow(speaker, label, topics.topic)
        consumers = ConsumerGroupFlow(speaker, label, topics.topic)
        transactions = TransactionFlow(speaker, label)
        admin = AdminFlow(speaker, topics)
        configs = ConfigFlow(speaker, label)
        cluster = ClusterFlow(speaker, topics)
        administration = (*cluster.steps, *admin.steps, *configs.steps)
        in_groups = (*groups.steps, *consumers.steps)
        working = (*in_groups, *transactions.steps, *administration)
        for key, step in (*topics.opening, *working, *topics.closing):
            if speaker.knows(key):
                try:
                    step()
                except Exception as error:
                    error.add_note(f"in {key.name} version {versions[key]} of flow {label}")
                    raise
    return speaker.spoken


def test_every_advertised_version_of_every_api_does_its_work(broker: Broker) -> None:
    with Connection(broker.host, broker.port) as connection:
        advertised = {
            (ApiKey(key), version)
            for key, (lowest, highest) in connection.versions().items()
            for version in range(lowest, highest + 1)
        }
    exercised: set[tuple[ApiKey, int]] = set()
    for version in range(max(api.max_version for api in TABLE.values()) + 1):
        exercised |= run_flow(broker, capped_versions(version), f"v{version}")
    assert exercised == advertised


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
@pytest.mark.parametrize("release", releases())
def test_a_client_of_a_release_is_served(broker: Broker, release: str, *, oldest: bool) -> None:
    versions = release_versions(release, oldest=oldest)
    assert run_flow(broker, versions, release) == set(versions.items())
