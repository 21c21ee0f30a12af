import time

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.delete_groups import DeleteGroupsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from datacore.broker.broker import Broker
from datacore.broker.shards import partition_for
from datacore.broker.topics import OFFSETS_TOPIC, NewTopic
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import request_context, running

pytestmark = pytest.mark.anyio

T = TopicName("t")
GROUP = "g"
OTHER_SHARD = next(f"g{n}" for n in range(99) if partition_for(f"g{n}", 2) != partition_for("g", 2))


@pytest.mark.parametrize(
    ("text", "hash_code"),
    [
        ("", 0),
        ("a", 97),
        ("abc", 96_354),
        ("hello", 99_162_322),
        ("Aa", 2_112),
        ("BB", 2_112),
        ("\N{GRINNING FACE}", 1_772_899),
        ("\u00e9t\u00e9", 227_742),
        ("my-group", -1_906_497_762),
        ("console-consumer", -648_006_740),
        ("polygenelubricants", -(2**31)),
    ],
)
@pytest.mark.parametrize("partitions", [1, 2, 50, 2**31 - 1])
def test_a_group_belongs_where_java_puts_it(text: str, hash_code: int, partitions: int) -> None:
    # Kafka's abs() makes 0 of the smallest int32.
    positive = 0 if hash_code == -(2**31) else abs(hash_code)
    assert partition_for(text, partitions) == positive % partitions


async def commit(broker: Broker, group_id: str, *partitions: int, topic: str = T) -> list[int]:
    asked = [
        OffsetCommitRequestPartition(partition_index=index, committed_offset=10 + index)
        for index in partitions
    ]
    request = OffsetCommitRequest(
        group_id=group_id, topics=[OffsetCommitRequestTopic(name=topic, partitions=asked)]
    )
    response = await broker.group_offsets.commit(request_context(ApiKey.OFFSET_COMMIT, 8), request)
    (answered,) = response.topics
    codes = {p.partition_index: p.error_code for p in answered.partitions}
    return [codes[index] for index in partitions]


async def committed(broker: Broker, group_id: str, *partitions: int) -> list[int]:
    topics = [OffsetFetchRequestTopics(name=T, partition_indexes=list(partitions))]
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group_id, topics=topics)])
    response = await broker.group_offsets.fetch(request_context(ApiKey.OFFSET_FETCH, 8), request)
    (group,) = response.groups
    assert group.error_code == 0
    return [p.committed_offset for p in group.topics[0].partitions]


async def test_offsets_of_partitions_that_exist_are_kept_and_the_others_refused() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 2))
        await broker.groups.shards.create_topic_if_missing()
        codes = await commit(broker, GROUP, 0, 7, 1)
        assert codes == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0]
        assert await committed(broker, GROUP, 0, 1, 7) == [10, 11, -1]


async def test_offsets_outlive_a_restart() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 2))
        await broker.groups.shards.create_topic_if_missing()
        await commit(broker, GROUP, 0, 1)
    async with running(engine) as broker:
        assert await committed(broker, GROUP, 0, 1) == [10, 11]


async def test_a_deleted_topic_is_forgotten_by_every_group() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.groups.shards.create_topic_if_missing()
        for group_id in (GROUP, OTHER_SHARD):
            await commit(broker, group_id, 0)
        await broker.delete_topic(broker.topics.by_name[T])
        await broker.topics.create(NewTopic(T, 1))
        assert await committed(broker, GROUP, 0) == [-1]
        assert await committed(broker, OTHER_SHARD, 0) == [-1]


async def test_offsets_of_an_unknown_topic_cannot_be_deleted() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.groups.shards.create_topic_if_missing()
        await commit(broker, GROUP, 0)
        asked = [OffsetDeleteRequestPartition(partition_index=index) for index in (0, 5)]
        response = await broker.group_offsets.delete(
            request_context(ApiKey.OFFSET_DELETE, 0),
            OffsetDeleteRequest(
                group_id=GROUP, topics=[OffsetDeleteRequestTopic(name=T, partitions=asked)]
            ),
        )
        codes = {p.partition_index: p.error_code for t in response.topics for p in t.partitions}
        assert codes == {0: 0, 5: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert await committed(broker, GROUP, 0) == [-1]


async def test_a_shard_that_is_loading_fails_its_own_groups_only() -> None:
    async with running(MemoryEngine(), offsets_topic_num_partitions=2) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.groups.shards.create_topic_if_missing()
        for group_id in (GROUP, OTHER_SHARD):
            await commit(broker, group_id, 0)
        shard = broker.groups.shards[partition_for(GROUP, 2)]
        machine, shard.machine = shard.machine, None
        loading, served = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, 0
        both = {GROUP: loading, OTHER_SHARD: served}
        described = await broker.groups.describe(
            request_context(ApiKey.DESCRIBE_GROUPS, 5),
            DescribeGroupsRequest(groups=[GROUP, OTHER_SHARD]),
        )
        assert {group.group_id: group.error_code for group in described.groups} == both
        fetched = await broker.group_offsets.fetch(
            request_context(ApiKey.OFFSET_FETCH, 8),
            OffsetFetchRequest(
                groups=[
                    OffsetFetchRequestGroup(group_id=group_id, topics=None)
                    for group_id in (GROUP, OTHER_SHARD)
                ]
            ),
        )
        assert {group.group_id: group.error_code for group in fetched.groups} == both
        deleted = await broker.groups.delete(
            request_context(ApiKey.DELETE_GROUPS, 2),
            DeleteGroupsRequest(groups_names=[GROUP, OTHER_SHARD]),
        )
        assert {result.group_id: result.error_code for result in deleted.results} == both
        shard.machine = machine


async def test_groups_go_on_in_a_new_topic_when_theirs_was_deleted() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.groups.shards.create_topic_if_missing()
        await commit(broker, GROUP, 0)
        await broker.delete_topic(broker.topics.by_name[OFFSETS_TOPIC])
        with pytest.raises(KafkaError) as refused:
            await commit(broker, GROUP, 0)
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        await broker.groups.shards.create_topic_if_missing()
        assert await committed(broker, GROUP, 0) == [-1]
        assert await commit(broker, GROUP, 0) == [0]


async def test_the_topic_of_offsets_keeps_its_number_of_partitions() -> None:
    async with running(MemoryEngine(), offsets_topic_num_partitions=2) as broker:
        await broker.groups.shards.create_topic_if_missing()
        with pytest.raises(KafkaError) as refused:
            await broker.topics.create_partitions(OFFSETS_TOPIC, 3, None, validate_only=False)
        assert refused.value.code is ErrorCode.INVALID_PARTITIONS


async def test_a_commit_too_large_for_its_log_is_refused_and_harms_nobody() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 1))
        await broker.groups.shards.create_topic_if_missing()
        long_id = "g" * 30_000
        codes = await commit(broker, long_id, *[0] * 50_000)
        assert set(codes) == {ErrorCode.INVALID_COMMIT_OFFSET_SIZE}
        assert engine.bytes_held < 1 << 20
        assert await commit(broker, long_id, 0) == [0]
    async with running(engine) as broker:
        assert await committed(broker, long_id, 0) == [10]


async def test_a_commit_of_many_unknown_topics_takes_no_time_to_refuse() -> None:
    async with running(MemoryEngine()) as broker:
        await broker.groups.shards.create_topic_if_missing()
        partition = OffsetCommitRequestPartition(partition_index=0)
        topics = [
            OffsetCommitRequestTopic(name=f"unknown-{n}", partitions=[partition])
            for n in range(20_000)
        ]
        request = OffsetCommitRequest(group_id=GROUP, topics=topics)
        began_s = time.process_time()
        response = await broker.group_offsets.commit(
            request_context(ApiKey.OFFSET_COMMIT, 8), request
        )
        assert len(response.topics) == len(topics)
        assert time.process_time() - began_s < 2
