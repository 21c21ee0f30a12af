"""Configs and quotas: what is told of them, and how alterations are refused."""

from datacore._generated import alter_configs, incremental_alter_configs
from datacore._generated.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasRequestEntityData,
    AlterClientQuotasRequestEntryData,
    OpData,
)
from datacore._generated.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from datacore._generated.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from datacore._generated.list_config_resources import ListConfigResourcesRequest
from tests.golden.questions.question import Question

TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32
SET, DELETE, APPEND = range(3)
GOLDEN_USER = "golden-user"


def _described(name: str, version: int, kind: int, resource: str, *keys: str) -> Question:
    request = DescribeConfigsRequest(
        resources=[
            DescribeConfigsResource(
                resource_type=kind, resource_name=resource, configuration_keys=list(keys)
            )
        ],
        include_synonyms=version >= 1,
    )
    return Question.of(name, version, request, "documentation")


def _incremented(
    name: str, version: int, kind: int, resource: str, *changes: tuple[str, int, str | None]
) -> Question:
    configs = [
        incremental_alter_configs.AlterableConfig(name=key, config_operation=operation, value=value)
        for key, operation, value in changes
    ]
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[
            incremental_alter_configs.AlterConfigsResource(
                resource_type=kind, resource_name=resource, configs=configs
            )
        ]
    )
    return Question.of(name, version, request)


def _replaced(
    name: str, version: int, kind: int, resource: str, *values: tuple[str, str]
) -> Question:
    configs = [alter_configs.AlterableConfig(name=key, value=value) for key, value in values]
    request = alter_configs.AlterConfigsRequest(
        resources=[
            alter_configs.AlterConfigsResource(
                resource_type=kind, resource_name=resource, configs=configs
            )
        ]
    )
    return Question.of(name, version, request)


def _quota(name: str, version: int, key: str, value: float | None) -> Question:
    entity = AlterClientQuotasRequestEntityData(entity_type="user", entity_name=GOLDEN_USER)
    request = AlterClientQuotasRequest(
        entries=[
            AlterClientQuotasRequestEntryData(
                entity=[entity], ops=[OpData(key=key, value=value or 0.0, remove=value is None)]
            )
        ]
    )
    return Question.of(name, version, request)


def _quotas(name: str, version: int, match_type: int, match: str | None) -> Question:
    component = ComponentData(entity_type="user", match_type=match_type, match=match)
    request = DescribeClientQuotasRequest(components=[component], strict=True)
    return Question.of(name, version, request)


DESCRIPTION = (
    *(
        _described(f"DescribeConfigs v{version} of a config with its default", version, *what)
        for version in range(5)
        for what in ((TOPIC, "golden", "cleanup.policy"),)
    ),
    *(
        _described(f"DescribeConfigs v{version} of a broker's config", version, BROKER, "1", key)
        for version, key in ((0, "log.roll.hours"), (1, "log.retention.ms"), (4, "ssl.protocol"))
    ),
    _described("DescribeConfigs v4 of a secret", 4, BROKER, "1", "ssl.key.password"),
    _described(
        "DescribeConfigs v0 of a config that is set", 0, TOPIC, "small", "max.message.bytes"
    ),
    _described(
        "DescribeConfigs v4 of a config that is set", 4, TOPIC, "small", "max.message.bytes"
    ),
    _described("DescribeConfigs v4 of a group", 4, GROUP, "nobody", "share.isolation.level"),
    _described("DescribeConfigs v4 of a subscription", 4, CLIENT_METRICS, "none", "interval.ms"),
    _described("DescribeConfigs v4 of a group without a name", 4, GROUP, ""),
    _described("DescribeConfigs v4 of a subscription without a name", 4, CLIENT_METRICS, ""),
)

# Kafka tells of an alteration a moment after it has answered: others are asked in between.
ALTERATION = (
    _incremented(
        "IncrementalAlterConfigs v1 of a topic, with spaces",
        *(1, TOPIC, "untouched"),
        ("cleanup.policy", SET, " compact , delete "),
        ("preallocate", SET, "TRUE"),
        ("flush.ms", SET, " 7 "),
    ),
    _replaced("AlterConfigs v2 of another topic", 2, TOPIC, "spoiled", ("segment.ms", "60000")),
    _incremented(
        "IncrementalAlterConfigs v0 of all brokers",
        *(0, BROKER, ""),
        ("log.roll.ms", SET, "60000000"),
    ),
    _incremented(
        "IncrementalAlterConfigs v1 of a broker", 1, BROKER, "1", ("log.roll.ms", SET, "70000000")
    ),
    _incremented(
        "IncrementalAlterConfigs v1 of a group",
        *(1, GROUP, "golden-configs"),
        ("consumer.session.timeout.ms", SET, "50000"),
    ),
    _quota("AlterClientQuotas v0 of a user", 0, "producer_byte_rate", 1e12),
    _quota("AlterClientQuotas v1 of a user", 1, "request_percentage", 0.0),
    _quota("AlterClientQuotas v1 by a key of addresses", 1, "connection_creation_rate", 1.0),
    Question.of("ListConfigResources v0", 0, ListConfigResourcesRequest()),
    Question.of(
        "ListConfigResources v1 of a kind that nobody knows",
        1,
        ListConfigResourcesRequest(resource_types=[99]),
    ),
)

ALTERED = (
    Question.of(
        "ListConfigResources v1 of groups", 1, ListConfigResourcesRequest(resource_types=[GROUP])
    ),
    *(
        _described(f"DescribeConfigs v4 of {key}, set with spaces", 4, TOPIC, "untouched", key)
        for key in ("cleanup.policy", "preallocate", "flush.ms")
    ),
    _described("DescribeConfigs v4 of what was replaced", 4, TOPIC, "spoiled", "segment.ms"),
    _described("DescribeConfigs v0 of a broker's altered config", 0, BROKER, "1", "log.roll.ms"),
    _described("DescribeConfigs v4 of a broker's altered config", 4, BROKER, "1", "log.roll.ms"),
    _described("DescribeConfigs v4 of all brokers' altered config", 4, BROKER, "", "log.roll.ms"),
    _described("DescribeConfigs v0 of a topic that obeys it", 0, TOPIC, "golden", "segment.ms"),
    _described("DescribeConfigs v4 of a topic that obeys it", 4, TOPIC, "golden", "segment.ms"),
    _described(
        "DescribeConfigs v4 of an altered group",
        *(4, GROUP, "golden-configs", "consumer.session.timeout.ms"),
    ),
    _quotas("DescribeClientQuotas v0 of a user", 0, 0, GOLDEN_USER),
    _quotas("DescribeClientQuotas v1 of a user", 1, 0, GOLDEN_USER),
    _quotas("DescribeClientQuotas v1 of the default user", 1, 1, None),
    _quotas("DescribeClientQuotas v1 of nobody", 1, 0, "nobody"),
)

TAKEN_BACK = (
    _replaced("AlterConfigs v1 of a broker to nothing", 1, BROKER, "1"),
    _incremented(
        "IncrementalAlterConfigs v1 that takes back", 1, BROKER, "", ("log.roll.ms", DELETE, None)
    ),
    _quota("AlterClientQuotas v1 that removes one", 1, "producer_byte_rate", None),
)

QUESTIONS = (*DESCRIPTION, *ALTERATION, *ALTERED, *TAKEN_BACK)
