from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from fastcrc import crc32

from datacore._generated.errors import ErrorCode
from datacore.log import lookup
from datacore.log.config import LogConfig
from datacore.log.deletion import delete_records_before
from datacore.log.error_codes import RefusedAppend
from datacore.log.lookup import (
    TimestampedOffset,
    offset_for_timestamp,
    offset_of_max_timestamp,
)
from datacore.log.partition_log import PartitionLog
from datacore.protocol.errors import KafkaError
from datacore.record.batch import parse_header, set_max_timestamp, verify_crc
from datacore.record.compression import Codec
from datacore.record.records import (
    Record,
    decode_records,
    encode_batch,
    first_record_at_or_after,
)
from datacore.storage.engine import LogName
from tests.log.held_engine import HeldLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000
PRODUCER = 7


def produced(
    *values: bytes | None,
    key: bytes | None = b"k",
    sequence: int = -1,
    producer_epoch: int = 0,
    timestamps: tuple[int, ...] = (),
    codec: Codec = Codec.NONE,
) -> memoryview:
    """A batch as a producer sends it."""
    stamps = timestamps or (NOW_MS,) * len(values)
    records = [
        Record(at, stamp, key, value, [])
        for at, (stamp, value) in enumerate(zip(stamps, values, strict=True))
    ]
    idempotent = sequence >= 0
    return memoryview(
        bytearray(
            encode_batch(
                records,
                codec=codec,
                producer_id=PRODUCER if idempotent else -1,
                producer_epoch=producer_epoch if idempotent else -1,
                base_sequence=sequence,
            )
        )
    )


@pytest.fixture
def held() -> HeldLog:
    return HeldLog(LogName("t-0"))


@pytest.fixture
async def log(held: HeldLog) -> PartitionLog:
    return await PartitionLog.open(held, LogConfig(), leader_epoch=3)


async def with_config(held: HeldLog, config: LogConfig) -> PartitionLog:
    return await PartitionLog.open(held, config, leader_epoch=3)


def refusal(log: PartitionLog, records: memoryview) -> KafkaError:
    with pytest.raises(KafkaError) as refused:
        log.append(records, NOW_MS)
    return refused.value


async def test_offset_and_epoch_are_patched_in_place_and_the_crc_still_holds(
    log: PartitionLog, held: HeldLog
) -> None:
    log.append(produced(b"a", b"b"), NOW_MS)
    appended = log.append(produced(b"c", codec=Codec.LZ4), NOW_MS)
    assert appended.base_offset == 2
    stored = held.batches[1][2]
    header = parse_header(stored)
    assert (header.base_offset, header.leader_epoch) == (2, 3)
    assert verify_crc(stored, header)
    assert decode_records(stored, header, max_bytes=1000)[0].offset == 2


async def test_the_end_moves_at_once_and_the_high_watermark_when_it_is_durable(
    log: PartitionLog, held: HeldLog
) -> None:
    appended = log.append(produced(b"a"), NOW_MS)
    assert (log.log_end_offset, log.high_watermark) == (1, 0)
    assert appended.durable is not None
    seen: list[int] = []
    appended.durable.then(lambda _: seen.append(log.high_watermark))
    held.flush()
    assert seen == [1], "whoever waits for the acknowledgement finds the high watermark moved"


async def test_who_watches_is_woken_when_records_can_be_fetched_and_not_before(
    log: PartitionLog, held: HeldLog
) -> None:
    woken: list[int] = []

    def wake() -> None:
        woken.append(log.high_watermark)

    log.watch(wake)
    log.append(produced(b"a"), NOW_MS)
    assert woken == []
    held.flush()
    assert woken == [1]
    log.unwatch(wake)
    log.append(produced(b"b"), NOW_MS)
    held.flush()
    assert woken == [1]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda _: b"", ErrorCode.INVALID_RECORD),
        (lambda data: data[:-1], ErrorCode.INVALID_RECORD),
        (lambda data: data + data, ErrorCode.INVALID_RECORD),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), ErrorCode.CORRUPT_MESSAGE),
        (lambda data: data[:16] + b"\x01" + data[17:], ErrorCode.INVALID_RECORD),
        (lambda data: data[:16] + b"\x07" + data[17:], ErrorCode.CORRUPT_MESSAGE),
        (lambda data: (1).to_bytes(8) + data[8:], ErrorCode.INVALID_RECORD),
    ],
    ids=["no bytes", "cut", "two batches", "bad crc", "magic 1", "magic 7", "base offset 1"],
)
async def test_a_malformed_record_set_is_refused_as_kafka_refuses_it(
    log: PartitionLog, spoil: Callable[[bytes], bytes], code: ErrorCode
) -> None:
    data = bytearray(spoil(bytes(produced(b"abc"))))
    assert refusal(log, memoryview(data)).code is code
    assert log.log_end_offset == 0


async def test_a_batch_above_the_limit_is_too_large(held: HeldLog) -> None:
    log = await with_config(held, LogConfig(max_message_bytes=200))
    log.append(produced(bytes(100)), NOW_MS)
    assert refusal(log, produced(bytes(200))).code is ErrorCode.MESSAGE_TOO_LARGE


async def test_a_compacted_topic_takes_no_record_without_a_key(held: HeldLog) -> None:
    log = await with_config(held, LogConfig(compacted=True))
    log.append(produced(b"with"), NOW_MS)
    assert refusal(log, produced(b"without", key=None)).code is ErrorCode.INVALID_RECORD


async def test_log_append_time_is_the_brokers_time_for_every_record(held: HeldLog) -> None:
    log = await with_config(held, LogConfig(log_append_time=True))
    appended = log.append(produced(b"a", b"b", timestamps=(1, 2)), NOW_MS)
    assert appended.log_append_time_ms == NOW_MS
    stored = held.batches[0][2]
    header = parse_header(stored)
    assert verify_crc(stored, header)
    stamps = [record.timestamp_ms for record in decode_records(stored, header, max_bytes=1000)]
    assert stamps == [NOW_MS, NOW_MS]


# --- idempotent producers


async def test_a_repeated_batch_gets_its_first_offset_and_is_stored_once(
    log: PartitionLog, held: HeldLog
) -> None:
    for sequence in range(5):
        log.append(produced(b"x", sequence=sequence), NOW_MS)
    held.flush()
    assert log.append(produced(b"x", sequence=1), NOW_MS).base_offset == 1
    assert log.log_end_offset == 5


async def test_a_repeated_batch_is_acknowledged_only_when_the_first_one_is_durable(
    log: PartitionLog, held: HeldLog
) -> None:
    first = log.append(produced(b"x", sequence=0), NOW_MS)
    again = log.append(produced(b"x", sequence=0), NOW_MS)
    assert again.durable is first.durable
    held.flush()
    assert log.append(produced(b"x", sequence=0), NOW_MS).durable is None


async def test_a_gap_in_the_sequence_is_out_of_order(log: PartitionLog) -> None:
    log.append(produced(b"x", b"y", sequence=0), NOW_MS)
    assert refusal(log, produced(b"x", sequence=3)).code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


async def test_a_batch_older_than_the_last_five_is_out_of_order(log: PartitionLog) -> None:
    for sequence in range(6):
        log.append(produced(b"x", sequence=sequence), NOW_MS)
    assert refusal(log, produced(b"x", sequence=0)).code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


async def test_an_older_epoch_is_fenced_and_a_newer_one_starts_at_sequence_zero(
    log: PartitionLog,
) -> None:
    log.append(produced(b"x", sequence=4, producer_epoch=1), NOW_MS)
    old = refusal(log, produced(b"x", sequence=5, producer_epoch=0))
    assert old.code is ErrorCode.INVALID_PRODUCER_EPOCH
    ahead = refusal(log, produced(b"x", sequence=5, producer_epoch=2))
    assert ahead.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.append(produced(b"x", sequence=0, producer_epoch=2), NOW_MS).base_offset == 1


async def test_sequences_wrap_after_the_largest_int32(log: PartitionLog) -> None:
    log.append(produced(b"x", b"y", sequence=2**31 - 2), NOW_MS)
    assert log.append(produced(b"z", sequence=0), NOW_MS).base_offset == 2


@pytest.mark.parametrize("is_clean", [True, False])
async def test_producers_and_epochs_are_known_again_after_a_restart(
    log: PartitionLog, held: HeldLog, *, is_clean: bool
) -> None:
    log.append(produced(b"x", b"y", sequence=0), NOW_MS)
    held.flush()
    if is_clean:
        await log.close()
        assert held.snapshot is not None
    restarted = await PartitionLog.open(held, LogConfig(), leader_epoch=4)
    assert restarted.append(produced(b"x", b"y", sequence=0), NOW_MS).base_offset == 0
    assert restarted.append(produced(b"z", sequence=2), NOW_MS).base_offset == 2
    assert restarted.leader_epochs.end_offset_for(3, restarted.log_end_offset) == (3, 2)


async def test_an_epoch_begins_before_its_first_batch(log: PartitionLog) -> None:
    assert log.leader_epochs.epoch_of(0) == 3
    assert log.leader_epochs.end_offset_for(3, log.high_watermark) == (3, 0)


# --- failures


async def test_an_append_that_the_engine_refuses_leaves_everything_as_it_was(
    log: PartitionLog, held: HeldLog
) -> None:
    held.refuses_appends = True
    batch = produced(b"x", sequence=0)
    assert refusal(log, batch).code is ErrorCode.KAFKA_STORAGE_ERROR
    held.refuses_appends = False
    assert log.append(produced(b"x", sequence=0), NOW_MS).base_offset == 0


async def test_after_a_failed_flush_what_was_lost_is_forgotten_and_its_offsets_are_free(
    log: PartitionLog, held: HeldLog
) -> None:
    log.append(produced(b"kept", sequence=0), NOW_MS)
    held.flush()
    lost = log.append(produced(b"lost", sequence=1), NOW_MS)
    assert lost.durable is not None
    held.fail()
    assert isinstance(lost.durable.error, Exception)
    assert log.high_watermark == log.log_end_offset == 1
    assert refusal(log, produced(b"x", sequence=1)).code is ErrorCode.KAFKA_STORAGE_ERROR
    await log.recover()
    again = log.append(produced(b"lost", sequence=1), NOW_MS)
    assert again.base_offset == 1, "the same sequence is new, for its first try was lost"


# --- looking up


async def test_an_offset_is_found_by_time_to_the_record(log: PartitionLog, held: HeldLog) -> None:
    log.append(produced(b"a", b"b", b"c", timestamps=(10, 30, 20)), NOW_MS)
    log.append(produced(b"d", b"e", timestamps=(5, 40), codec=Codec.GZIP), NOW_MS)
    held.flush()
    assert await offset_for_timestamp(log, 0) == TimestampedOffset(0, 10)
    assert await offset_for_timestamp(log, 11) == TimestampedOffset(1, 30)
    assert await offset_for_timestamp(log, 31) == TimestampedOffset(4, 40)
    assert await offset_for_timestamp(log, 41) is None


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
async def test_a_batch_that_does_not_say_its_largest_timestamp_is_found_by_time(
    log: PartitionLog, held: HeldLog, codec: Codec
) -> None:
    batch = produced(b"a", b"b", timestamps=(10, 30), codec=codec)
    set_max_timestamp(batch, -1)
    log.append(batch, NOW_MS)
    held.flush()
    stored = held.batches[0][2]
    assert verify_crc(stored, parse_header(stored))
    assert await offset_for_timestamp(log, 11) == TimestampedOffset(1, 30)


async def test_the_largest_timestamp_is_found_to_the_record(
    log: PartitionLog, held: HeldLog
) -> None:
    assert await offset_of_max_timestamp(log) is None
    log.append(produced(b"a", b"b", timestamps=(10, 50)), NOW_MS)
    log.append(produced(b"c", timestamps=(20,)), NOW_MS)
    held.flush()
    assert await offset_of_max_timestamp(log) == TimestampedOffset(1, 50)


async def test_what_is_not_durable_is_found_by_no_lookup(log: PartitionLog) -> None:
    log.append(produced(b"a", timestamps=(10,)), NOW_MS)
    assert await offset_for_timestamp(log, 0) is None


async def test_an_offset_outside_the_log_is_out_of_range(log: PartitionLog) -> None:
    with pytest.raises(KafkaError) as refused:
        log.read_warm(1, 100, 1)
    assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("epoch", "code"),
    [(2, ErrorCode.FENCED_LEADER_EPOCH), (4, ErrorCode.UNKNOWN_LEADER_EPOCH)],
)
async def test_a_client_of_another_epoch_is_told(
    log: PartitionLog, epoch: int, code: ErrorCode
) -> None:
    with pytest.raises(KafkaError) as refused:
        log.check_leader_epoch(epoch)
    assert refused.value.code is code
    log.check_leader_epoch(3)
    log.check_leader_epoch(-1)


async def test_log_append_time_is_the_brokers_to_set(held: HeldLog) -> None:
    log = await with_config(held, LogConfig(log_append_time=True))
    stamped = memoryview(encode_batch([Record(timestamp_ms=NOW_MS)], log_append_time_ms=NOW_MS))
    assert refusal(log, stamped).code is ErrorCode.INVALID_TIMESTAMP
    assert log.log_end_offset == 0


async def test_a_codec_that_nobody_has_defined_is_refused(log: PartitionLog) -> None:
    batch = bytearray(encode_batch([Record(timestamp_ms=NOW_MS)]))
    batch[22] = 5
    batch[17:21] = crc32.iscsi(memoryview(batch)[21:]).to_bytes(4)
    assert refusal(log, memoryview(batch)).code is ErrorCode.UNKNOWN_SERVER_ERROR


async def test_a_producer_id_needs_a_sequence(log: PartitionLog) -> None:
    batch = encode_batch([Record(timestamp_ms=NOW_MS)], producer_id=PRODUCER, producer_epoch=0)
    assert refusal(log, memoryview(batch)).code is ErrorCode.INVALID_RECORD


async def test_a_summary_of_another_version_is_not_used(held: HeldLog) -> None:
    log = await PartitionLog.open(held, LogConfig(), 0)
    log.append(produced(b"v", sequence=0), NOW_MS)
    held.flush()
    held.snapshot = 1, b"\x91\x01"
    log = await PartitionLog.open(held, LogConfig(), 0)
    assert log.append(produced(b"v", sequence=0), NOW_MS).base_offset == 0


async def test_a_summary_is_saved_only_when_there_is_news(held: HeldLog) -> None:
    log = await PartitionLog.open(held, LogConfig(), 0)
    log.append(produced(b"v"), NOW_MS)
    held.flush()
    await log.close()
    assert held.snapshot is not None
    log = await PartitionLog.open(held, LogConfig(), 0)
    held.snapshot = saved = held.snapshot[0], held.snapshot[1]
    await log.close()
    assert held.snapshot is saved


async def test_the_largest_timestamp_is_waited_for_while_it_is_not_durable(
    held: HeldLog,
) -> None:
    log = await PartitionLog.open(held, LogConfig(), 0)
    log.append(produced(b"v", timestamps=(5,)), NOW_MS)
    held.flush()
    log.append(produced(b"v", timestamps=(6,)), NOW_MS)
    looking = asyncio.ensure_future(offset_of_max_timestamp(log))
    await asyncio.wait([looking], timeout=0)
    assert not looking.done()
    held.flush()
    assert await looking == TimestampedOffset(1, 6)


async def test_the_largest_timestamp_is_an_error_when_it_is_lost(held: HeldLog) -> None:
    log = await PartitionLog.open(held, LogConfig(), 0)
    log.append(produced(b"v"), NOW_MS)
    looking = asyncio.ensure_future(offset_of_max_timestamp(log))
    await asyncio.wait([looking], timeout=0)
    held.fail()
    with pytest.raises(KafkaError) as refused:
        await looking
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR


@pytest.mark.parametrize(
    ("count", "codec", "is_inline"),
    [(1, Codec.NONE, True), (1, Codec.GZIP, False), (1_001, Codec.NONE, False)],
)
async def test_a_batch_that_takes_long_to_search_does_not_hold_up_the_loop(
    held: HeldLog, monkeypatch: pytest.MonkeyPatch, *, count: int, codec: Codec, is_inline: bool
) -> None:
    log = await PartitionLog.open(held, LogConfig(), 0)
    log.append(produced(*[b"v"] * count, codec=codec), NOW_MS)
    held.flush()
    threads: list[int] = []
    search = first_record_at_or_after

    def noting(batch: Buffer, header: BatchHeader, timestamp_ms: int) -> Record | None:
        threads.append(threading.get_ident())
        return search(batch, header, timestamp_ms)

    monkeypatch.setattr(lookup, "first_record_at_or_after", noting)
    assert await offset_for_timestamp(log, NOW_MS) == TimestampedOffset(0, NOW_MS)
    assert await offset_of_max_timestamp(log) == TimestampedOffset(0, NOW_MS)
    assert [thread == threading.get_ident() for thread in threads] == [is_inline] * 2


# --- deleting what is old


async def test_records_are_deleted_up_to_the_high_watermark_and_never_beyond(
    log: PartitionLog, held: HeldLog
) -> None:
    for value in (b"a", b"b", b"c"):
        log.append(produced(value), NOW_MS)
    held.flush()
    log.append(produced(b"not yet durable"), NOW_MS)
    assert await delete_records_before(log, 2) == 2
    assert await delete_records_before(log, 1) == 2
    for offset in (4, -2):
        with pytest.raises(KafkaError) as refused:
            await delete_records_before(log, offset)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    with pytest.raises(KafkaError) as refused:
        log.read_warm(1, 1000, 3)
    assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.leader_epochs.start_offsets == [2]
    assert await delete_records_before(log, -1) == 3
    assert (log.log_start_offset, log.log_end_offset) == (3, 4)


async def test_a_topic_that_keeps_the_last_record_of_each_key_deletes_none(held: HeldLog) -> None:
    log = await with_config(held, LogConfig(compacted=True, deletes=False))
    log.append(produced(b"a"), NOW_MS)
    held.flush()
    with pytest.raises(KafkaError) as refused:
        await delete_records_before(log, 1)
    assert refused.value.code is ErrorCode.POLICY_VIOLATION
    assert log.log_start_offset == 0


# --- timestamps that a topic does not take


@pytest.mark.parametrize(
    ("timestamps", "faulty"),
    [
        ((NOW_MS - 1000, NOW_MS, NOW_MS + 500), []),
        ((NOW_MS - 1001, NOW_MS), [0]),
        ((NOW_MS, NOW_MS + 501), [1]),
        ((NOW_MS - 1001, NOW_MS, NOW_MS + 501), [0, 2]),
        ((-1,), []),
        ((NOW_MS, NOW_MS - 1001), [1]),
        ((NOW_MS, -1, NOW_MS), []),
    ],
)
async def test_timestamps_too_far_from_now_are_refused(
    held: HeldLog, timestamps: tuple[int, ...], faulty: list[int]
) -> None:
    config = LogConfig(timestamp_before_max_ms=1000, timestamp_after_max_ms=500)
    log = await with_config(held, config)
    records = produced(*[b"v"] * len(timestamps), timestamps=timestamps, codec=Codec.GZIP)
    if not faulty:
        assert log.append(records, NOW_MS).base_offset == 0
        return
    refused = refusal(log, records)
    assert isinstance(refused, RefusedAppend)
    assert refused.code is ErrorCode.INVALID_TIMESTAMP
    assert [fault.batch_index for fault in refused.faults] == faulty
    assert log.log_end_offset == 0


async def test_a_topic_with_log_append_time_takes_any_timestamp(held: HeldLog) -> None:
    config = LogConfig(log_append_time=True, timestamp_before_max_ms=0, timestamp_after_max_ms=0)
    log = await with_config(held, config)
    assert log.append(produced(b"v", timestamps=(1,)), NOW_MS).log_append_time_ms == NOW_MS
