"""What a broker, a group, a subscription and a logger is told while the broker runs."""

from __future__ import annotations

import logging

import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.configs.changes import ConfigChange, ConfigOperation
from datacore.broker.configs.described import broker_configs, group_configs, topic_configs
from datacore.broker.configs.effective import ConfigSource
from datacore.broker.configs.logger_levels import logger_levels
from datacore.broker.topics import NewTopic
from datacore.metadata.image import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import running

pytestmark = pytest.mark.anyio

T = TopicName("t")
SET, DELETE = ConfigOperation.SET, ConfigOperation.DELETE
OF_ALL, OF_ONE = "", "1"


def setting(name: str, value: str) -> list[ConfigChange]:
    return [ConfigChange(name, SET, value)]


async def test_a_brokers_config_reaches_logs_that_are_open_and_outlives_the_broker() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1))
        log = broker.partitions.log(T, 0)
        for name, value in ((OF_ALL, "2000"), (OF_ONE, " 3000 ")):
            await broker.configs.alter(
                RESOURCE_BROKER, name, setting("message.max.bytes", value), validate_only=False
            )
            assert log.config.max_message_bytes == int(value)
    async with running(engine) as broker:
        assert broker.partitions.log(T, 0).config.max_message_bytes == 3000
        await broker.configs.replace(RESOURCE_BROKER, OF_ONE, [], validate_only=False)
        assert broker.partitions.log(T, 0).config.max_message_bytes == 2000
        await broker.configs.replace(RESOURCE_BROKER, OF_ALL, [], validate_only=False)
        assert broker.partitions.log(T, 0).config.max_message_bytes == 1_048_588
        assert broker.cluster_id


async def test_who_keeps_something_made_of_configs_is_told_of_changes() -> None:
    async with running(MemoryEngine()) as broker:
        told: list[str | None] = []
        broker.broker_configs.when_changed(
            lambda: told.append(broker.config_values.get("max.connections"))
        )
        for validate_only in (True, False):
            await broker.configs.alter(
                RESOURCE_BROKER,
                OF_ONE,
                setting("max.connections", "7"),
                validate_only=validate_only,
            )
        assert told == ["7"]


async def test_every_place_that_a_value_may_come_from_is_shown_in_order() -> None:
    async with running(MemoryEngine()) as broker:
        for name, value in ((OF_ALL, "5"), (OF_ONE, "6")):
            await broker.configs.alter(
                RESOURCE_BROKER, name, setting("log.retention.ms", value), validate_only=False
            )
        shown = {each.name: each for each in topic_configs({}, broker.broker_configs)}
        retention = shown["retention.ms"]
        assert (retention.value, retention.source) == ("6", ConfigSource.DYNAMIC_BROKER)
        assert [(each.name, each.value, each.source) for each in retention.synonyms] == [
            ("log.retention.ms", "6", ConfigSource.DYNAMIC_BROKER),
            ("log.retention.ms", "5", ConfigSource.DYNAMIC_DEFAULT_BROKER),
            ("log.retention.hours", "168", ConfigSource.DEFAULT),
        ]


async def test_what_nobody_knows_is_kept_as_a_secret() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.configs.alter(
            RESOURCE_BROKER, OF_ONE, setting("our.plugin", "sesame"), validate_only=False
        )
        shown = {each.name: each for each in broker_configs(broker.broker_configs)}
        assert (shown["our.plugin"].value, shown["our.plugin"].is_sensitive) == (None, True)


@pytest.mark.parametrize(
    ("kind", "resource", "name", "value", "code"),
    [
        (RESOURCE_BROKER, OF_ONE, "num.partitions", "3", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER, OF_ONE, "listeners", "PLAINTEXT://:1", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER, OF_ALL, "log.retention.ms", "soon", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER, OF_ONE, "num.io.threads", "17", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER, OF_ONE, "sasl.jaas.config", "x", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER, OF_ALL, "datacore.cluster.id", "x", ErrorCode.INVALID_REQUEST),
        (
            RESOURCE_BROKER,
            OF_ONE,
            "listener.name.plaintext.max.connections",
            "1",
            ErrorCode.INVALID_REQUEST,
        ),
        (RESOURCE_BROKER, OF_ONE, "x", "y" * 32_768, ErrorCode.INVALID_CONFIG),
        (RESOURCE_GROUP, "g", "consumer.session.timeout.ms", "1", ErrorCode.INVALID_CONFIG),
        (RESOURCE_GROUP, "g", "streams.num.standby.replicas", "3", ErrorCode.INVALID_CONFIG),
        (RESOURCE_GROUP, "g", "no.such", "3", ErrorCode.INVALID_CONFIG),
        (RESOURCE_GROUP, "", "consumer.session.timeout.ms", "1", ErrorCode.INVALID_REQUEST),
        (RESOURCE_CLIENT_METRICS, "m", "interval.ms", "99", ErrorCode.INVALID_REQUEST),
        (RESOURCE_CLIENT_METRICS, "m", "match", "client_id=[", ErrorCode.INVALID_CONFIG),
        (RESOURCE_CLIENT_METRICS, "m", "match", "client=a", ErrorCode.INVALID_CONFIG),
        (RESOURCE_CLIENT_METRICS, "", "metrics", "", ErrorCode.INVALID_REQUEST),
        (RESOURCE_BROKER_LOGGER, OF_ONE, "root", "debug", ErrorCode.INVALID_CONFIG),
        (RESOURCE_BROKER_LOGGER, OF_ONE, "datacore.none", "INFO", ErrorCode.INVALID_CONFIG),
        (RESOURCE_BROKER_LOGGER, OF_ALL, "root", "INFO", ErrorCode.INVALID_REQUEST),
    ],
)
async def test_what_cannot_be_altered_so_is_refused(
    kind: int, resource: str, name: str, value: str, code: ErrorCode
) -> None:
    async with running(MemoryEngine()) as broker:
        with pytest.raises(KafkaError) as refused:
            await broker.configs.alter(kind, resource, setting(name, value), validate_only=True)
        assert refused.value.code is code


async def test_groups_that_say_nothing_take_what_the_broker_says() -> None:
    async with running(MemoryEngine()) as broker:
        name = "consumer.session.timeout.ms"
        await broker.configs.alter(RESOURCE_GROUP, "g", setting(name, "50000"), validate_only=False)
        values = broker.metadata.image.configs[RESOURCE_GROUP, "g"]
        shown = {each.name: each for each in group_configs(values, broker.broker_configs)}
        assert (shown[name].value, shown[name].source) == ("50000", ConfigSource.GROUP)
        shown = {each.name: each for each in group_configs({}, broker.broker_configs)}
        assert (shown[name].value, shown[name].source) == ("45000", ConfigSource.DEFAULT)


async def test_a_level_holds_for_the_process_and_can_be_given_back() -> None:
    async with running(MemoryEngine()) as broker:
        logger = logging.getLogger("datacore.broker")
        kind, before = RESOURCE_BROKER_LOGGER, logger.level
        trace = setting("datacore.broker", "TRACE")
        await broker.configs.alter(kind, OF_ONE, trace, validate_only=True)
        assert logger.level == before
        await broker.configs.alter(kind, OF_ONE, trace, validate_only=False)
        assert dict(logger_levels(logging.root.manager))["datacore.broker"] == "TRACE"
        gone = [ConfigChange("datacore.broker", DELETE, None)]
        await broker.configs.alter(kind, OF_ONE, gone, validate_only=False)
        assert logger.level == logging.NOTSET
