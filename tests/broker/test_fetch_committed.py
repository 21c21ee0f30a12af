"""Fetch under read_committed: where it ends, and what it says of aborted transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore.broker.topics import NewTopic
from datacore.protocol.isolation_level import READ_COMMITTED
from datacore.protocol.names import TopicName
from datacore.record.control import ControlType, EndTransactionMarker
from datacore.record.records import Record, encode_batch
from datacore.storage.memory import MemoryEngine
from datacore.storage.pending import Pending
from tests.broker.harness import request_context, running

if TYPE_CHECKING:
    from datacore.broker.broker import Broker
    from datacore.log.partition_log import PartitionLog

pytestmark = pytest.mark.anyio

T = TopicName("t")
NOW_MS = 1_700_000_000_000
PRODUCER = 5


async def log_of(broker: Broker, partitions: int = 1) -> PartitionLog:
    await broker.topics.create(NewTopic(T, partitions))
    return broker.partitions.log(T, 0)


def write(log: PartitionLog, sequence: int) -> None:
    records = encode_batch(
        [Record(0, NOW_MS, b"k", b"v", [])],
        producer_id=PRODUCER,
        producer_epoch=0,
        base_sequence=sequence,
        transactional=True,
    )
    log.append(memoryview(records), NOW_MS)


def end(log: PartitionLog, control_type: ControlType) -> None:
    log.append_marker(PRODUCER, 0, EndTransactionMarker(control_type, 0), NOW_MS)


def fetch(
    broker: Broker,
    offset: int,
    *,
    isolation_level: int = READ_COMMITTED,
    max_wait_ms: int = 0,
    last_fetched_epoch: int = -1,
    partitions: tuple[int, ...] = (0,),
    max_bytes: int = 1 << 20,
) -> FetchResponse | Pending[FetchResponse]:
    request = FetchRequest(
        isolation_level=isolation_level,
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        session_epoch=-1,
        topics=[
            FetchTopic(
                topic=T,
                partitions=[
                    FetchPartition(
                        partition=index,
                        fetch_offset=offset,
                        last_fetched_epoch=last_fetched_epoch,
                        partition_max_bytes=1 << 20,
                    )
                    for index in partitions
                ],
            )
        ],
    )
    return broker.fetching.fetch(request_context(ApiKey.FETCH, 12), request)


def fetched(answer: FetchResponse | Pending[FetchResponse], partition: int = 0) -> FetchedPartition:
    response = answer.result() if isinstance(answer, Pending) else answer
    return response.responses[0].partitions[partition]


async def test_records_of_an_open_transaction_are_read_uncommitted_only() -> None:
    async with running(MemoryEngine()) as broker:
        write(await log_of(broker), 0)
        committed = fetched(fetch(broker, 0))
        assert (committed.high_watermark, committed.last_stable_offset) == (1, 0)
        assert not committed.records
        assert fetched(fetch(broker, 0, isolation_level=0)).records


async def test_a_commit_wakes_who_waits_for_committed_records_and_data_alone_does_not() -> None:
    async with running(MemoryEngine()) as broker:
        log = await log_of(broker)
        waiting = fetch(broker, 0, max_wait_ms=60_000)
        assert isinstance(waiting, Pending)
        write(log, 0)
        assert not waiting.is_settled
        end(log, ControlType.COMMIT)
        partition = fetched(waiting)
        assert partition.records
        assert (partition.last_stable_offset, partition.aborted_transactions) == (2, [])


async def test_aborted_transactions_are_named_to_who_reads_committed_and_to_nobody_else() -> None:
    async with running(MemoryEngine()) as broker:
        log = await log_of(broker)
        write(log, 0)
        end(log, ControlType.ABORT)
        aborted = fetched(fetch(broker, 0)).aborted_transactions
        assert aborted is not None
        assert [(each.producer_id, each.first_offset) for each in aborted] == [(PRODUCER, 0)]
        assert fetched(fetch(broker, 0, isolation_level=0)).aborted_transactions is None


async def test_who_reads_committed_is_told_null_where_a_batch_does_not_fit() -> None:
    async with running(MemoryEngine()) as broker:
        write(await log_of(broker, 2), 0)
        end(broker.partitions.log(T, 0), ControlType.COMMIT)
        write(broker.partitions.log(T, 1), 0)
        end(broker.partitions.log(T, 1), ControlType.COMMIT)
        size = len(fetched(fetch(broker, 0)).records or b"")
        full = fetch(broker, 0, partitions=(0, 1), max_bytes=size)
        assert fetched(full, 1).aborted_transactions == [], "nothing was asked of it"
        narrow = fetch(broker, 0, partitions=(0, 1), max_bytes=size + 1)
        assert fetched(narrow, 0).aborted_transactions == []
        assert not fetched(narrow, 1).records
        assert fetched(narrow, 1).aborted_transactions is None


async def test_who_reads_committed_is_told_null_where_histories_part() -> None:
    async with running(MemoryEngine()) as broker:
        log = await log_of(broker)
        write(log, 0)
        end(log, ControlType.COMMIT)
        partition = fetched(fetch(broker, 3, last_fetched_epoch=0))
        assert partition.diverging_epoch.end_offset == 2
        assert partition.aborted_transactions is None


async def test_an_epoch_of_the_future_is_out_of_range() -> None:
    async with running(MemoryEngine()) as broker:
        write(await log_of(broker), 0)
        partition = fetched(fetch(broker, 0, last_fetched_epoch=7))
        assert partition.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
