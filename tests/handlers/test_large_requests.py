"""What one request may cost: no more than its size explains."""

from __future__ import annotations

import time

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.broker.topics import NewTopic
from datacore.handlers import create_partitions, create_topics, metadata
from datacore.protocol.names import TopicName
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import request_context, running

pytestmark = pytest.mark.anyio

# Each name twice, which is refused without looking further.
NAMES = [f"t{n}" for n in range(10_000)] * 2
TIME_MAX_S = 2.0
"""Of CPU, twenty times what it takes; a cost that grows with the square would be minutes."""


async def test_many_names_given_twice_are_refused_in_no_time() -> None:
    async with running(MemoryEngine()) as broker:
        began_s = time.process_time()
        created = await create_topics.handle(
            broker,
            request_context(ApiKey.CREATE_TOPICS, 5),
            CreateTopicsRequest(topics=[CreatableTopic(name=name) for name in NAMES]),
        )
        widened = await create_partitions.handle(
            broker,
            request_context(ApiKey.CREATE_PARTITIONS, 2),
            CreatePartitionsRequest(topics=[CreatePartitionsTopic(name=name) for name in NAMES]),
        )
        assert time.process_time() - began_s < TIME_MAX_S
    assert [topic.name for topic in created.topics] == NAMES[:10_000]
    assert [topic.name for topic in widened.results] == NAMES[:10_000]
    assert {topic.error_code for topic in created.topics} == {ErrorCode.INVALID_REQUEST}
    assert {topic.error_code for topic in widened.results} == {ErrorCode.INVALID_REQUEST}


async def test_a_topic_asked_for_many_times_is_described_once() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(TopicName("t"), 3))
        response = metadata.handle(
            broker,
            request_context(ApiKey.METADATA, 9),
            MetadataRequest(topics=[MetadataRequestTopic(name="t") for _ in range(1_000)]),
        )
    assert isinstance(response, MetadataResponse)
    assert [topic.name for topic in response.topics] == ["t"]
