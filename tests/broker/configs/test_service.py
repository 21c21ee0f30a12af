from __future__ import annotations

import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.configs.changes import ConfigChange, ConfigOperation, changed_values
from datacore.broker.topics import NewTopic
from datacore.metadata.configs import TOPIC_CONFIGS
from datacore.metadata.image import RESOURCE_TOPIC
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.record.records import Record, encode_batch
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import HeldEngine, running, until

pytestmark = pytest.mark.anyio

T = TopicName("t")


def setting(name: str, value: str) -> ConfigChange:
    return ConfigChange(name, ConfigOperation.SET, value)


def batch(size: int) -> memoryview:
    return memoryview(encode_batch([Record(timestamp_ms=1, value=bytes(size))]))


async def test_a_change_takes_effect_on_the_next_append_and_outlives_the_broker() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 2))
        logs = [broker.partitions.log(T, index) for index in range(2)]
        for log in logs:
            log.append(batch(500), 1)
        change = setting("max.message.bytes", "300")
        await broker.configs.alter(RESOURCE_TOPIC, T, [change], validate_only=True)
        logs[0].append(batch(500), 1)
        await broker.configs.alter(RESOURCE_TOPIC, T, [change], validate_only=False)
        for log in logs:
            with pytest.raises(KafkaError) as refused:
                log.append(batch(500), 1)
            assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE
            log.append(batch(10), 1)
    async with running(engine) as broker:
        assert broker.partitions.log(T, 1).config.max_message_bytes == 300
        await broker.configs.replace(RESOURCE_TOPIC, T, [], validate_only=False)
        broker.partitions.log(T, 1).append(batch(500), 1)


async def test_a_change_that_cannot_be_kept_changes_nothing() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1))
        engine.only.refuses_appends = True
        with pytest.raises(KafkaError) as refused:
            await broker.configs.alter(
                RESOURCE_TOPIC, T, [setting("max.message.bytes", "300")], validate_only=False
            )
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert broker.partitions.log(T, 0).config.max_message_bytes == 1_048_588
        assert (RESOURCE_TOPIC, T) not in broker.metadata.image.configs


async def test_a_change_is_not_true_before_it_is_durable() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1))
        engine.only.holds = True
        end_offset = engine.only.end_offset
        broker.spawn(
            broker.configs.alter(
                RESOURCE_TOPIC, T, [setting("max.message.bytes", "300")], validate_only=False
            )
        )
        await until(lambda: engine.only.end_offset > end_offset)
        log = broker.partitions.log(T, 0)
        assert log.config.max_message_bytes == 1_048_588
        engine.only.flush()
        await until(lambda: log.config.max_message_bytes == 300)
        engine.only.holds = False


@pytest.mark.parametrize(
    ("before", "operation", "value", "after"),
    [
        ({}, ConfigOperation.APPEND, "compact", "delete,compact"),
        (
            {"cleanup.policy": "compact"},
            ConfigOperation.APPEND,
            "compact, delete",
            "compact,delete",
        ),
        ({"cleanup.policy": "compact"}, ConfigOperation.SUBTRACT, "delete", "compact"),
        ({"cleanup.policy": "compact"}, ConfigOperation.SUBTRACT, "compact", ""),
        ({}, ConfigOperation.SUBTRACT, "compact", "delete"),
        ({}, ConfigOperation.SET, " compact ", "compact"),
    ],
)
def test_lists_are_added_to_and_taken_from(
    before: dict[str, str], operation: ConfigOperation, value: str, after: str
) -> None:
    change = ConfigChange("cleanup.policy", operation, value)
    after_change = changed_values(before, [change], TOPIC_CONFIGS, lambda _: "delete")
    assert after_change == {"cleanup.policy": after}
