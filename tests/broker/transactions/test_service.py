"""Transactions over logs whose durability the test holds back: what may lie where, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
)
from datacore._generated.api_keys import ApiKey
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from datacore.broker.topics import NewTopic
from datacore.coordinator.outcome import Producer
from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.handlers import produce
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, TopicName
from datacore.record.batch import iterate_headers
from datacore.record.control import ControlType, EndTransactionMarker
from datacore.record.records import Record, encode_batch
from datacore.storage.memory import MemoryEngine
from datacore.storage.pending import Pending
from tests.broker.harness import HeldEngine, request_context, running, until

if TYPE_CHECKING:
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

pytestmark = pytest.mark.anyio

T = TopicName("t")
ID = "x"
COORDINATOR, DATA = "__transaction_state", "t-"
ADDS, VERIFIES = 12, 11
"""Versions of Produce that add partitions themselves, and that have them verified."""


async def begun(broker: Broker) -> tuple[int, int]:
    """A topic, the coordinator's, and a producer."""
    await broker.topics.create(NewTopic(T, 2))
    await broker.transactions.shards.create_topic_if_missing()
    return await initialised(broker)


async def initialised(broker: Broker) -> tuple[int, int]:
    request = InitProducerIdRequest(transactional_id=ID, transaction_timeout_ms=60_000)
    context = request_context(ApiKey.INIT_PRODUCER_ID, 5)
    answer = await broker.transactions.init_producer_id(context, request)
    assert answer.error_code == 0
    return answer.producer_id, answer.producer_epoch


def produced(
    broker: Broker,
    producer: tuple[int, int],
    *,
    version: int = ADDS,
    partition: int = 0,
    sequence: int = 0,
    acks: int = -1,
) -> tuple[RequestContext, ProduceResponse | Pending[ProduceResponse | None]]:
    """What the handler says to one transactional batch; the frame is gone when it has."""
    batch = encode_batch(
        [Record(0, 1, b"k", b"v")],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
        transactional=True,
    )
    topic = broker.topics.by_name[T]
    data = PartitionProduceData(index=partition, records=memoryview(batch))
    request = ProduceRequest(
        transactional_id=ID,
        acks=acks,
        topic_data=[TopicProduceData(name=T, topic_id=topic.topic_id, partition_data=[data])],
    )
    context = request_context(ApiKey.PRODUCE, version)
    answer = produce.handle(broker, context, request)
    assert answer is not None
    for at in range(len(batch)):
        batch[at] = 0xAA
    return context, answer


def error_of(answer: ProduceResponse | None) -> ErrorCode:
    assert answer is not None
    return ErrorCode(answer.responses[0].partition_responses[0].error_code)


def ending(
    broker: Broker, producer: tuple[int, int], *, committed: bool = True
) -> asyncio.Task[EndTxnResponse]:
    request = EndTxnRequest(
        transactional_id=ID,
        producer_id=producer[0],
        producer_epoch=producer[1],
        committed=committed,
    )
    context = request_context(ApiKey.END_TXN, 5)
    return asyncio.ensure_future(broker.transactions.end(context, request))


def is_parked(broker: Broker) -> bool:
    """Whether an EndTxn waits for its markers."""
    machine = broker.transactions.shards[0].machine
    return machine is not None and bool(machine.state.parked_ends)


async def added(broker: Broker, producer: tuple[int, int]) -> None:
    request = AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=ID,
        v3_and_below_producer_id=producer[0],
        v3_and_below_producer_epoch=producer[1],
        v3_and_below_topics=[AddPartitionsToTxnTopic(name=T, partitions=[0])],
    )
    await broker.transactions.add_partitions(
        request_context(ApiKey.ADD_PARTITIONS_TO_TXN, 3), request
    )


async def test_no_batch_lies_in_a_log_before_the_coordinators_record_is_durable() -> None:
    engine = HeldEngine(COORDINATOR)
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        engine.only.holds = True
        context, answer = produced(broker, producer)
        log = broker.partitions.log(T, 0)
        assert isinstance(answer, Pending)
        assert context.holds_back_next, "the next request would overtake this one"
        assert log.log_end_offset == 0
        engine.only.flush()
        assert error_of(await answer) is ErrorCode.NONE
        assert log.log_end_offset == 1
        (buffer,) = await log.read(0, 1_000, 1)
        [(_, header)] = iterate_headers(buffer)
        assert (header.producer_id, header.is_transactional) == (producer[0], True)


async def test_a_partition_that_is_part_of_it_takes_batches_at_once() -> None:
    engine = HeldEngine(COORDINATOR)
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        produced(broker, producer)
        engine.only.holds = True
        for sequence in (1, 2):
            context, answer = produced(broker, producer, sequence=sequence)
            assert isinstance(answer, ProduceResponse)
            assert error_of(answer) is ErrorCode.NONE
            assert not context.holds_back_next


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (3, ErrorCode.INVALID_TXN_STATE),
        (10, ErrorCode.INVALID_TXN_STATE),
        (11, ErrorCode.TRANSACTION_ABORTABLE),
    ],
)
async def test_what_was_not_added_is_not_taken(version: int, code: ErrorCode) -> None:
    async with running(MemoryEngine(), transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        _, answer = produced(broker, producer, version=version)
        assert isinstance(answer, Pending)
        assert error_of(await answer) is code
        assert broker.partitions.log(T, 0).log_end_offset == 0
        await added(broker, producer)
        _, answer = produced(broker, producer, version=version)
        assert isinstance(answer, Pending)
        assert error_of(await answer) is ErrorCode.NONE


async def test_verification_can_be_turned_off() -> None:
    async with running(
        MemoryEngine(),
        transaction_state_log_num_partitions=1,
        transaction_partition_verification_enable="false",
    ) as broker:
        producer = await begun(broker)
        _, answer = produced(broker, producer, version=VERIFIES)
        assert isinstance(answer, ProduceResponse)
        assert error_of(answer) is ErrorCode.NONE


@pytest.mark.parametrize("version", [3, 11, 12])
async def test_a_coordinator_that_is_away_is_asked_again_later(version: int) -> None:
    async with running(MemoryEngine(), transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        shard = broker.transactions.shards[0]
        machine, shard.machine = shard.machine, None
        _, answer = produced(broker, producer, version=version)
        assert isinstance(answer, Pending)
        assert error_of(await answer) is ErrorCode.NOT_ENOUGH_REPLICAS
        shard.machine = machine


async def test_a_batch_that_wants_no_answer_is_part_of_its_transaction() -> None:
    async with running(MemoryEngine(), transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        _, answer = produced(broker, producer, acks=0)
        assert isinstance(answer, Pending)
        assert await answer is None
        assert broker.partitions.log(T, 0).has_open_transaction(*producer)


async def test_who_wants_no_answer_is_told_of_a_refusal_by_a_failure() -> None:
    async with running(MemoryEngine(), transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        _, answer = produced(broker, (producer[0], producer[1] + 1), acks=0)
        assert isinstance(answer, Pending)
        with pytest.raises(KafkaError) as refused:
            await answer
        assert refused.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


@pytest.mark.parametrize("committed", [True, False])
async def test_no_marker_is_written_before_the_fate_is_durable(*, committed: bool) -> None:
    engine = HeldEngine(COORDINATOR)
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        produced(broker, producer)
        log = broker.partitions.log(T, 0)
        engine.only.holds = True
        records = engine.only.end_offset
        ended = ending(broker, producer, committed=committed)
        await until(lambda: engine.only.end_offset == records + 1)
        assert log.log_end_offset == 1
        assert log.last_stable_offset == 0
        engine.only.flush()
        answer = await ended
        assert (answer.error_code, answer.producer_epoch) == (0, producer[1] + 1)
        assert log.log_end_offset == 2
        assert log.last_stable_offset == 2
        assert engine.only.end_offset == records + 2, "and that they are written is noted"


async def test_a_marker_that_is_not_taken_is_written_as_soon_as_it_can_be() -> None:
    engine = HeldEngine(DATA)
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        produced(broker, producer)
        held = engine.held[next(name for name in engine.held if name.startswith("t-0"))]
        held.refuses_appends = True
        ended = ending(broker, producer)
        await until(lambda: is_parked(broker))
        held.refuses_appends = False
        assert (await ended).error_code == 0
        assert broker.partitions.log(T, 0).log_end_offset == 2


async def test_an_operators_marker_decides_offsets_too() -> None:
    async with running(
        MemoryEngine(), transaction_state_log_num_partitions=1, offsets_topic_num_partitions=1
    ) as broker:
        producer = await begun(broker)
        await broker.groups.shards.create_topic_if_missing()
        partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=7)
        request = TxnOffsetCommitRequest(
            transactional_id=ID,
            group_id="g",
            producer_id=producer[0],
            producer_epoch=producer[1],
            topics=[TxnOffsetCommitRequestTopic(name=T, partitions=[partition])],
        )
        context = request_context(ApiKey.TXN_OFFSET_COMMIT, 5)
        committed = await broker.transactional_offsets.commit(context, request)
        assert committed.topics[0].partitions[0].error_code == 0
        offsets = TopicPartition(TopicName("__consumer_offsets"), 0)
        for marked, code in ((offsets, 0), (offsets._replace(partition=1), 3)):
            error_codes = await broker.transaction_markers.write(
                Producer(*producer), EndTransactionMarker(ControlType.COMMIT, 0), [marked]
            )
            assert error_codes == {marked: code}
        machine = broker.groups.shards[0].machine
        assert machine is not None
        stored = machine.state.offsets.get(GroupId("g"), T, 0)
        assert stored is not None
        assert stored.offset == 7


async def test_a_topic_that_was_deleted_gets_no_marker_and_holds_up_nothing() -> None:
    async with running(MemoryEngine(), transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        produced(broker, producer)
        await broker.delete_topic(broker.topics.by_name[T])
        assert (await ending(broker, producer)).error_code == 0


async def test_a_start_writes_the_markers_that_are_owed() -> None:
    engine = HeldEngine("")
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        producer = await begun(broker)
        produced(broker, producer)
        data = engine.held[next(name for name in engine.held if name.startswith("t-0"))]
        data.refuses_appends = True
        ended = ending(broker, producer)
        await until(lambda: is_parked(broker))
    assert (await ended).error_code == ErrorCode.NOT_COORDINATOR
    data.refuses_appends = False
    async with running(engine, transaction_state_log_num_partitions=1) as broker:
        log = broker.partitions.log(T, 0)
        await until(lambda: log.log_end_offset == 2)
        again = await ending(broker, producer)
        assert (again.error_code, again.producer_epoch) == (0, producer[1] + 1)
