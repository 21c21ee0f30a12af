"""What an administrator says to brokers, groups and clients' metrics: each step is one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated import (
    alter_client_quotas,
    describe_client_quotas,
    incremental_alter_configs,
)
from datacore._generated.api_keys import ApiKey
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from datacore._generated.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    UserName,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from datacore._generated.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from datacore._generated.push_telemetry import PushTelemetryRequest, PushTelemetryResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers.speaker import Speaker

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE = 0, 1


class ConfigFlow:
    """One administrator of everything but topics."""

    def __init__(self, speaker: Speaker, label: str) -> None:
        self.speaker = speaker
        self.name = f"configs-{label}"

    def describe_configs(self) -> None:
        for kind, name, count in (
            (BROKER, "1", 316),
            (BROKER, "", 0),
            (CLIENT_METRICS, self.name, 3),
            (GROUP, self.name, 10),
        ):
            assert len(self._described(kind, name)) == count, (kind, name)
        assert "root" in self._described(LOGGER, "1")

    def incremental_alter_configs(self) -> None:
        for kind, name, key, value in (
            (BROKER, "", "log.retention.ms", "7000000"),
            (BROKER, "1", "log.retention.ms", "8000000"),
            (CLIENT_METRICS, self.name, "interval.ms", "1000"),
            (GROUP, self.name, "consumer.session.timeout.ms", "50000"),
            (LOGGER, "1", "datacore", "WARN"),
        ):
            before = self._described(kind, name).get(key)
            self._set(kind, name, key, value)
            assert self._described(kind, name)[key] == value
            self._listed(kind, name)
            self._set(kind, name, key, None)
            assert self._described(kind, name).get(key) == before

    def list_config_resources(self) -> None:
        self._set(CLIENT_METRICS, self.name, "metrics", "org.apache")
        self._listed(CLIENT_METRICS, self.name)
        self._set(CLIENT_METRICS, self.name, "metrics", None)

    def client_quotas(self) -> None:
        """Both APIs: what is altered is described, until it is removed."""
        for limit in (5e9, None):
            self._alter_quota(limit)
            assert self._quotas() == ({} if limit is None else {"producer_byte_rate": limit})

    def _alter_quota(self, limit: float | None) -> None:
        request = alter_client_quotas.AlterClientQuotasRequest(
            entries=[
                alter_client_quotas.AlterClientQuotasRequestEntryData(
                    entity=[
                        alter_client_quotas.AlterClientQuotasRequestEntityData(
                            entity_type="client-id", entity_name=self.name
                        )
                    ],
                    ops=[
                        alter_client_quotas.OpData(
                            key="producer_byte_rate", value=limit or 0.0, remove=limit is None
                        )
                    ],
                )
            ]
        )
        (answer,) = self.speaker.send(
            request, alter_client_quotas.AlterClientQuotasResponse
        ).entries
        assert (answer.error_code, answer.error_message) == (0, None)
        assert [(each.entity_type, each.entity_name) for each in answer.entity] == [
            ("client-id", self.name)
        ]

    def _quotas(self) -> dict[str, float]:
        component = describe_client_quotas.ComponentData(
            entity_type="client-id", match_type=0, match=self.name
        )
        request = describe_client_quotas.DescribeClientQuotasRequest(
            components=[component], strict=True
        )
        response = self.speaker.send(request, describe_client_quotas.DescribeClientQuotasResponse)
        assert response.error_code == 0
        return {
            value.key: value.value for entry in response.entries or [] for value in entry.values
        }

    def scram_users(self) -> None:
        """There are none."""
        users = [UserName(name="a"), UserName(name="b"), UserName(name="b")]
        for asked, codes in (
            (None, []),
            (users, [ErrorCode.RESOURCE_NOT_FOUND, ErrorCode.DUPLICATE_RESOURCE]),
        ):
            told = self.speaker.send(
                DescribeUserScramCredentialsRequest(users=asked),
                DescribeUserScramCredentialsResponse,
            )
            assert (told.error_code, [each.error_code for each in told.results]) == (0, codes)

    def telemetry(self) -> None:
        """Both APIs: a client that is asked for nothing may push all the same."""
        told = self.speaker.send(
            GetTelemetrySubscriptionsRequest(), GetTelemetrySubscriptionsResponse
        )
        assert (told.error_code, told.requested_metrics) == (0, [])
        assert told.accepted_compression_types == [4, 3, 1, 2]
        push = PushTelemetryRequest(
            client_instance_id=told.client_instance_id, subscription_id=told.subscription_id
        )
        for code in (0, ErrorCode.THROTTLING_QUOTA_EXCEEDED):
            assert self.speaker.send(push, PushTelemetryResponse).error_code == code

    def _set(self, kind: int, name: str, key: str, value: str | None) -> None:
        if not self.speaker.knows(ApiKey.INCREMENTAL_ALTER_CONFIGS):
            return
        config = incremental_alter_configs.AlterableConfig(
            name=key, config_operation=DELETE if value is None else SET, value=value
        )
        resource = incremental_alter_configs.AlterConfigsResource(
            resource_type=kind, resource_name=name, configs=[config]
        )
        request = incremental_alter_configs.IncrementalAlterConfigsRequest(resources=[resource])
        (answer,) = self.speaker.send(
            request, incremental_alter_configs.IncrementalAlterConfigsResponse
        ).responses
        assert (answer.error_code, answer.error_message) == (0, None)

    def _listed(self, kind: int, name: str) -> None:
        """Asserts that ListConfigResources names a resource, where it names that kind."""
        if not self.speaker.knows(ApiKey.LIST_CONFIG_RESOURCES):
            return
        version = self.speaker.version(ApiKey.LIST_CONFIG_RESOURCES)
        request = ListConfigResourcesRequest(resource_types=[kind] if version else [])
        response = self.speaker.send(request, ListConfigResourcesResponse)
        told = {(each.resource_type, each.resource_name) for each in response.config_resources}
        assert response.error_code == 0
        if version and name:
            assert (kind, name) in told
        if not version:
            assert ((CLIENT_METRICS, name) in told) == (kind == CLIENT_METRICS)

    def _described(self, kind: int, name: str) -> dict[str, str | None]:
        # No keys at all are all of them, as for Kafka; so is null.
        resource = DescribeConfigsResource(
            resource_type=kind, resource_name=name, configuration_keys=[]
        )
        request = DescribeConfigsRequest(resources=[resource])
        (result,) = self.speaker.send(request, DescribeConfigsResponse).results
        assert (result.error_code, result.error_message) == (0, "")
        return {config.name: config.value for config in result.configs}

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.DESCRIBE_CONFIGS, self.describe_configs),
            (ApiKey.INCREMENTAL_ALTER_CONFIGS, self.incremental_alter_configs),
            (ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, self.scram_users),
            (ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, self.telemetry),
            (ApiKey.ALTER_CLIENT_QUOTAS, self.client_quotas),
            (ApiKey.LIST_CONFIG_RESOURCES, self.list_config_resources),
        ]
