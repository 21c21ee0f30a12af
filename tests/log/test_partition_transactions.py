"""Transactions as a partition's log sees them: open, ended, aborted, known after a start."""

from __future__ import annotations

import pytest

from datacore._generated.errors import ErrorCode
from datacore.log.config import LogConfig
from datacore.log.deletion import delete_records_before
from datacore.log.partition_log import PartitionLog
from datacore.log.transactions import AbortedTransaction
from datacore.protocol.errors import KafkaError
from datacore.record.batch import parse_header
from datacore.record.control import ControlType, EndTransactionMarker, decode_end_transaction_marker
from datacore.record.records import Record, encode_batch
from datacore.storage.engine import LogName
from tests.log.held_engine import HeldLog

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000


def batch(
    producer_id: int, sequence: int, *, epoch: int = 0, transactional: bool = True, records: int = 1
) -> memoryview:
    return memoryview(
        encode_batch(
            [Record(at, NOW_MS, b"k", b"v", []) for at in range(records)],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=transactional,
        )
    )


def write(log: PartitionLog, producer_id: int, sequence: int, *, epoch: int = 0) -> int:
    records = batch(producer_id, sequence, epoch=epoch)
    return log.append(records, NOW_MS).base_offset


def end(
    log: PartitionLog,
    producer_id: int,
    control_type: ControlType = ControlType.COMMIT,
    *,
    epoch: int = 0,
    coordinator_epoch: int = 0,
) -> int:
    marker = EndTransactionMarker(control_type, coordinator_epoch)
    return log.append_marker(producer_id, epoch, marker, NOW_MS).base_offset


def aborted(log: PartitionLog, offset: int) -> list[AbortedTransaction]:
    buffers = log.read_warm(offset, 1 << 20, log.last_stable_offset)
    assert buffers is not None
    return log.aborted_transactions(offset, buffers)


@pytest.fixture
def held() -> HeldLog:
    return HeldLog(LogName("t-0"))


@pytest.fixture
async def log(held: HeldLog) -> PartitionLog:
    return await PartitionLog.open(held, LogConfig(), leader_epoch=0)


async def test_what_is_stable_ends_where_the_earliest_open_transaction_begins(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0)
    write(log, 2, 0)
    held.flush()
    assert (log.last_stable_offset, log.high_watermark) == (0, 2)
    end(log, 1)
    held.flush()
    assert (log.last_stable_offset, log.high_watermark) == (1, 3)
    end(log, 2)
    held.flush()
    assert log.last_stable_offset == log.high_watermark == 4


async def test_a_transaction_is_undecided_until_its_marker_is_durable(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0)
    held.flush()
    end(log, 1)
    assert log.last_stable_offset == 0
    held.flush()
    assert log.last_stable_offset == 2


async def test_who_watches_an_engine_that_is_durable_at_once_sees_the_transaction_decided(
    log: PartitionLog, held: HeldLog
) -> None:
    held.holds = False
    write(log, 1, 0)
    seen: list[int] = []
    log.watch(lambda: seen.append(log.last_stable_offset))
    end(log, 1)
    assert seen == [2]


async def test_readers_are_told_of_the_aborted_transactions_that_their_range_has_a_part_of(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0)  # 0
    write(log, 2, 0)  # 1
    end(log, 1, ControlType.ABORT)  # 2
    write(log, 3, 0)  # 3
    end(log, 2, ControlType.COMMIT)  # 4
    end(log, 3, ControlType.ABORT)  # 5
    held.flush()
    assert aborted(log, 0) == [AbortedTransaction(1, 0, 2), AbortedTransaction(3, 3, 5)]
    assert aborted(log, 3) == [AbortedTransaction(3, 3, 5)]
    assert log.read_warm(6, 1 << 20, 6) == []
    assert aborted(log, 6) == []


async def test_readers_are_not_told_of_what_was_aborted_behind_their_range(
    log: PartitionLog, held: HeldLog
) -> None:
    for producer_id in (1, 2):
        write(log, producer_id, 0)
        end(log, producer_id, ControlType.ABORT)
    held.flush()
    buffers = log.read_warm(0, 1, 4)
    assert buffers is not None
    assert log.aborted_transactions(0, buffers) == [AbortedTransaction(1, 0, 1)]


@pytest.mark.parametrize("is_summed_up", [True, False])
async def test_transactions_are_known_again_after_a_start(
    log: PartitionLog, held: HeldLog, *, is_summed_up: bool
) -> None:
    write(log, 1, 0)
    end(log, 1, ControlType.ABORT, coordinator_epoch=4)
    write(log, 2, 0)
    held.flush()
    if is_summed_up:
        await log.save_snapshot()
    restarted = await PartitionLog.open(held, LogConfig(), leader_epoch=0)
    assert restarted.last_stable_offset == 2
    assert aborted(restarted, 0) == [AbortedTransaction(1, 0, 1)]
    assert restarted.has_open_transaction(2, 0)
    assert not restarted.has_open_transaction(1, 0)
    assert restarted.producers.by_id[1].coordinator_epoch == 4
    end(restarted, 2, ControlType.ABORT)
    held.flush()
    assert restarted.last_stable_offset == 4


async def test_a_marker_that_ends_nothing_here_is_written_and_delays_nobody(
    log: PartitionLog, held: HeldLog
) -> None:
    assert end(log, 1, ControlType.ABORT) == 0
    held.flush()
    assert log.last_stable_offset == log.high_watermark == 1
    assert aborted(log, 0) == []


async def test_the_marker_stands_in_the_log_with_its_coordinators_epoch(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0, epoch=3)
    end(log, 1, ControlType.ABORT, epoch=4, coordinator_epoch=9)
    stored = held.batches[1][2]
    header = parse_header(stored)
    assert (header.producer_id, header.producer_epoch, header.is_control) == (1, 4, True)
    assert decode_end_transaction_marker(stored, header) == (ControlType.ABORT, 9)


async def test_a_producer_goes_on_with_its_sequence_behind_a_marker_of_its_epoch(
    log: PartitionLog,
) -> None:
    write(log, 1, 0)
    end(log, 1)
    assert write(log, 1, 1) == 2


async def test_a_marker_of_the_next_epoch_begins_the_sequence_anew(log: PartitionLog) -> None:
    write(log, 1, 0)
    end(log, 1, epoch=1)
    with pytest.raises(KafkaError) as refused:
        write(log, 1, 1)
    assert refused.value.code is ErrorCode.INVALID_PRODUCER_EPOCH
    with pytest.raises(KafkaError) as refused:
        write(log, 1, 1, epoch=1)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert write(log, 1, 0, epoch=1) == 2


async def test_a_marker_of_an_older_producer_or_coordinator_is_refused(log: PartitionLog) -> None:
    write(log, 1, 0, epoch=1)
    with pytest.raises(KafkaError) as refused:
        end(log, 1, epoch=0)
    assert refused.value.code is ErrorCode.INVALID_PRODUCER_EPOCH
    end(log, 1, epoch=1, coordinator_epoch=2)
    with pytest.raises(KafkaError) as refused:
        end(log, 1, epoch=1, coordinator_epoch=1)
    assert refused.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED
    assert log.log_end_offset == 2


async def test_a_batch_outside_the_open_transaction_of_its_producer_is_refused(
    log: PartitionLog,
) -> None:
    write(log, 1, 0)
    with pytest.raises(KafkaError) as refused:
        log.append(batch(1, 1, transactional=False), NOW_MS)
    assert refused.value.code is ErrorCode.INVALID_TXN_STATE
    end(log, 1)
    assert log.append(batch(1, 1, transactional=False), NOW_MS).base_offset == 2


async def test_a_batch_of_the_brokers_own_needs_no_sequence(
    log: PartitionLog, held: HeldLog
) -> None:
    for sequence in (0, 0):
        log.append_own(bytearray(batch(1, -1)), NOW_MS + sequence)
    held.flush()
    assert log.has_open_transaction(1, 0)
    assert log.producers.by_id[1].batches == []
    assert log.last_stable_offset == 0


async def test_a_silent_producer_is_not_forgotten_while_its_transaction_is_open(
    log: PartitionLog,
) -> None:
    write(log, 1, 0)
    write(log, 2, 0)
    end(log, 2)
    log.producers.expire(NOW_MS + 1)
    assert list(log.producers.by_id) == [1]


async def test_what_is_lost_with_a_failed_flush_opens_no_transaction(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0)
    held.flush()
    end(log, 1, ControlType.ABORT)
    write(log, 2, 0)
    held.fail()
    await log.recover()
    assert log.last_stable_offset == 0
    assert not log.has_open_transaction(2, 0)
    end(log, 1, ControlType.ABORT)
    held.flush()
    assert aborted(log, 0) == [AbortedTransaction(1, 0, 1)]


async def test_deleting_records_forgets_the_aborted_transactions_that_they_were_of(
    log: PartitionLog, held: HeldLog
) -> None:
    write(log, 1, 0)
    end(log, 1, ControlType.ABORT)
    write(log, 2, 0)
    held.flush()
    assert await delete_records_before(log, 2) == 2
    assert aborted(log, 2) == []
    assert await delete_records_before(log, 3) == 3
    assert log.last_stable_offset == 3, "an open transaction whose beginning is gone starts late"
