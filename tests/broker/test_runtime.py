"""The impure file beside the group machine: replies wait for durability, failures for a replay."""

import asyncio

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from datacore._generated.sync_group import SyncGroupRequest
from datacore.broker.broker import Broker
from datacore.broker.topics import NewTopic
from datacore.coordinator.group.shard import GroupShard
from datacore.log.partition_log import PartitionLog
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from tests.broker.harness import HeldEngine, request_context, running, until

pytestmark = pytest.mark.anyio

T = TopicName("t")
OFFSETS = "__consumer_offsets"
JOIN = JoinGroupRequest(
    group_id="g",
    session_timeout_ms=10_000,
    rebalance_timeout_ms=60_000,
    protocol_type="consumer",
    protocols=[JoinGroupRequestProtocol(name="range")],
)


async def with_a_shard(broker: Broker, engine: HeldEngine) -> None:
    await broker.topics.create(NewTopic(T, 1))
    await broker.groups.shards.create_topic_if_missing()
    engine.only.holds = True


def commit(broker: Broker, offset: int) -> asyncio.Task[OffsetCommitResponse]:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id="g", topics=[OffsetCommitRequestTopic(name=T, partitions=[partition])]
    )
    context = request_context(ApiKey.OFFSET_COMMIT, 8)
    return asyncio.ensure_future(broker.group_offsets.commit(context, request))


def fetch(broker: Broker) -> asyncio.Task[OffsetFetchResponse]:
    request = OffsetFetchRequest(
        group_id="g", topics=[OffsetFetchRequestTopic(name=T, partition_indexes=[0])]
    )
    context = request_context(ApiKey.OFFSET_FETCH, 5)
    return asyncio.ensure_future(broker.group_offsets.fetch(context, request))


def offset_of(response: OffsetFetchResponse) -> int:
    return response.topics[0].partitions[0].committed_offset


async def test_no_reply_leaves_before_what_it_tells_is_durable() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        committing, fetching = commit(broker, 5), fetch(broker)
        await until(lambda: engine.only.end_offset == 1)
        await asyncio.wait([committing, fetching], timeout=0)
        assert not committing.done()
        assert not fetching.done()
        engine.only.flush()
        assert (await committing).topics[0].partitions[0].error_code == 0
        assert offset_of(await fetching) == 5


async def test_a_lost_flush_takes_its_replies_and_its_state_along() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        first = commit(broker, 5)
        await until(lambda: engine.only.end_offset == 1)
        engine.only.flush()
        await first
        second, fetching = commit(broker, 6), fetch(broker)
        await until(lambda: engine.only.end_offset == 2)
        engine.only.fail()
        for waiting in (second, fetching):
            with pytest.raises(KafkaError) as refused:
                await waiting
            assert refused.value.code is ErrorCode.NOT_COORDINATOR
        await until(lambda: broker.groups.shards[0].machine is not None)
        assert offset_of(await fetch(broker)) == 5


async def test_refused_commits_fail_alone_and_the_shard_goes_on_without_a_replay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        engine.only.holds = False
        await commit(broker, 4)
        shard = broker.groups.shards[0]
        machine = shard.machine
        engine.only.refuses_appends = True
        for _ in range(3):
            with pytest.raises(KafkaError) as refused:
                await commit(broker, 5)
            assert refused.value.code is ErrorCode.NOT_COORDINATOR
            assert offset_of(await fetch(broker)) == 4
        engine.only.refuses_appends = False
        assert (await commit(broker, 6)).topics[0].partitions[0].error_code == 0
        assert offset_of(await fetch(broker)) == 6
        assert shard.machine is machine
        assert len([line for line in caplog.messages if "takes no records" in line]) == 1


async def test_a_refused_record_of_a_rebalance_fails_its_request_and_reloads_the_shard() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(
        engine, offsets_topic_num_partitions=1, group_initial_rebalance_delay_ms=0
    ) as broker:
        await with_a_shard(broker, engine)
        shard = broker.groups.shards[0]
        machine = shard.machine
        joined = await broker.groups.join(request_context(ApiKey.JOIN_GROUP, 3), JOIN)
        engine.only.refuses_appends = True
        with pytest.raises(KafkaError) as refused:
            await broker.groups.sync(
                request_context(ApiKey.SYNC_GROUP, 2),
                SyncGroupRequest(group_id="g", generation_id=1, member_id=joined.member_id),
            )
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        engine.only.refuses_appends = False
        engine.only.holds = False
        await until(lambda: shard.machine is not None)
        assert shard.machine is not machine
        assert (await commit(broker, 6)).topics[0].partitions[0].error_code == 0


async def test_an_outcome_that_cannot_be_applied_reloads_the_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        engine.only.holds = False
        shard = broker.groups.shards[0]
        machine = shard.machine

        def unable(*_: object) -> None:
            monkeypatch.undo()
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)

        monkeypatch.setattr(GroupShard, "apply", unable)
        with pytest.raises(KafkaError) as refused:
            await commit(broker, 5)
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        await until(lambda: shard.machine is not None)
        assert shard.machine is not machine


async def test_a_member_that_waits_is_answered_when_the_broker_stops() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(
        engine, offsets_topic_num_partitions=1, group_initial_rebalance_delay_ms=60_000
    ) as broker:
        await with_a_shard(broker, engine)
        engine.only.holds = False
        joining = broker.groups.join(
            request_context(ApiKey.JOIN_GROUP, 3),
            JOIN,
        )
        assert not joining.is_settled
    assert joining.result().error_code == ErrorCode.NOT_COORDINATOR


async def test_a_shard_that_loads_says_so() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        shard = broker.groups.shards[0]
        machine, shard.machine = shard.machine, None
        with pytest.raises(KafkaError) as refused:
            await broker.groups.heartbeat(
                request_context(ApiKey.HEARTBEAT, 4), HeartbeatRequest(group_id="g")
            )
        assert refused.value.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        shard.machine = machine


async def test_without_the_offsets_topic_there_is_no_coordinator() -> None:
    async with running(HeldEngine(OFFSETS)) as broker:
        with pytest.raises(KafkaError) as refused:
            await broker.groups.heartbeat(
                request_context(ApiKey.HEARTBEAT, 4), HeartbeatRequest(group_id="g")
            )
        assert refused.value.code is ErrorCode.NOT_COORDINATOR


async def test_a_reply_leaves_with_its_own_round_though_the_next_one_is_under_way() -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        held = engine.only
        first = commit(broker, 5)
        await until(lambda: held.end_offset == 1)
        round_of_first, held._round = held._round, None
        assert round_of_first is not None
        second = commit(broker, 6)
        await until(lambda: held.end_offset == 2)
        held.durable_end_offset = 1
        round_of_first.resolve(None)
        assert (await first).topics[0].partitions[0].error_code == 0
        assert not second.done()
        held.flush()
        assert (await second).topics[0].partitions[0].error_code == 0


async def test_a_shard_whose_replay_fails_once_is_served_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = HeldEngine(OFFSETS)
    async with running(engine, offsets_topic_num_partitions=1) as broker:
        await with_a_shard(broker, engine)
        shard = broker.groups.shards[0]
        engine.only.holds = False
        await commit(broker, 5)

        async def unreadable(*_: object) -> None:
            monkeypatch.undo()
            raise OSError("Input/output error")

        monkeypatch.setattr(PartitionLog, "recover", unreadable)
        engine.only.refuses_appends = True
        with pytest.raises(KafkaError):
            await commit(broker, 6)
        engine.only.refuses_appends = False
        await until(lambda: shard.machine is not None)
        assert offset_of(await fetch(broker)) == 5
