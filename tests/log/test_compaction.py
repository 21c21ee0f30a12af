"""Compaction of one log: which records survive, which offsets, and what consumers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from datacore.log.cleaner import clean, look
from datacore.log.config import LogConfig
from datacore.log.key_offsets import ENTRY_BYTES, KeyOffsets
from datacore.log.pace import Pace
from datacore.log.partition_log import PartitionLog
from datacore.record.batch import BatchHeader, clear_log_append_time, iterate_headers
from datacore.record.compression import Codec
from datacore.record.control import ControlType, EndTransactionMarker
from datacore.record.records import Record, decode_records, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import LogName, SegmentLimits
from datacore.storage.memory import MemoryEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from datacore.log.cleaner import Cleaning
    from datacore.storage.engine import Engine

pytestmark = pytest.mark.anyio

LOG = LogName("compacted-0")
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
CONFIG = LogConfig(
    compacted=True,
    deletes=False,
    min_cleanable_dirty_ratio=0,
    segments=SegmentLimits(size_bytes=2000, age_ms=1 << 40),
)
KEYS_BYTES = 1 << 22


@pytest.fixture(params=["memory", "disk"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine: Engine = (
        MemoryEngine() if request.param == "memory" else DiskEngine(DiskConfig(data_dir=tmp_path))
    )
    await engine.start()
    yield engine
    await engine.close()


async def opened(engine: Engine, config: LogConfig = CONFIG) -> PartitionLog:
    return await PartitionLog.open(await engine.open_log(LOG, epoch=0), config, 0)


class Stored(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None


def put(
    log: PartitionLog,
    *records: tuple[str, str | None],
    timestamp_ms: int = NOW_MS,
    codec: Codec = Codec.NONE,
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
) -> None:
    """Appends one batch of (key, value) pairs of a producer (id, epoch, base sequence)."""
    producer_id, producer_epoch, base_sequence = producer
    batch = encode_batch(
        [
            Record(0, timestamp_ms, key.encode(), None if value is None else value.encode())
            for key, value in records
        ],
        codec=codec,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=transactional,
    )
    log.append(memoryview(batch), NOW_MS)


async def fill_up(log: PartitionLog) -> None:
    """Ends the extent that is written to, so that everything before is no longer active."""
    put(log, ("filler", "x" * 3000))
    await durable(log)


async def durable(log: PartitionLog) -> None:
    appended = log.append(memoryview(encode_batch([Record(key=b"filler", value=b"")])), NOW_MS)
    if appended.durable is not None:
        await appended.durable


async def round_of(
    log: PartitionLog, now_ms: int = NOW_MS, keys_bytes: int = KEYS_BYTES
) -> Cleaning | None:
    part = await look(log, now_ms)
    if part is None:
        return None
    return await clean(log, part, KeyOffsets(keys_bytes), Pace(), now_ms)


async def batches_of(log: PartitionLog) -> list[tuple[BatchHeader, list[Record]]]:
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        for buffer in await log.read(offset, 1000, log.log_end_offset):
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                found.append((header, decode_records(view[at : at + header.size], header)))
                assert header.next_offset > offset
                offset = header.next_offset
    return found


async def records_of(log: PartitionLog) -> list[Stored]:
    """What a consumer sees; the filler is left out."""
    return [
        Stored(record.offset, record.key, record.value)
        for header, records in await batches_of(log)
        if not header.is_control
        for record in records
        if record.key != b"filler"
    ]


async def test_the_last_value_of_each_key_survives_at_its_offset(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), ("b", "1"), ("a", "2"))
    put(log, ("b", "2"), ("c", "1"))
    await fill_up(log)
    cleaning = await round_of(log)
    assert cleaning is not None
    assert await records_of(log) == [
        Stored(2, b"a", b"2"),
        Stored(3, b"b", b"2"),
        Stored(4, b"c", b"1"),
    ]
    assert log.log_end_offset == 7


async def test_what_is_written_to_is_not_cleaned(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"))
    put(log, ("a", "2"))
    assert await round_of(log) is None
    await fill_up(log)
    put(log, ("a", "3"))
    await durable(log)
    await round_of(log)
    assert [record.value for record in await records_of(log)] == [b"2", b"3"]


async def test_a_clean_log_is_left_alone(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"))
    await fill_up(log)
    assert await round_of(log) is not None
    assert log.cleaned_offset > 0
    assert await round_of(log) is None


@pytest.mark.parametrize("codec", list(Codec))
async def test_batches_keep_their_codec_headers_and_times(engine: Engine, codec: Codec) -> None:
    log = await opened(engine)
    batch = encode_batch(
        [
            Record(0, NOW_MS - 5, b"gone", b"1"),
            Record(0, NOW_MS + 7, b"kept", b"2", [("h", b"x"), ("h", None)]),
            Record(0, NOW_MS - 3, b"also", b"3"),
            Record(0, NOW_MS + 9, b"gone", b"4"),
        ],
        codec=codec,
    )
    log.append(memoryview(batch), NOW_MS)
    put(log, ("gone", "5"))
    await fill_up(log)
    await round_of(log)
    (header, records), *_ = await batches_of(log)
    assert header.codec == codec
    assert (header.base_offset, header.last_offset_delta, header.records_count) == (0, 3, 2)
    assert header.max_timestamp == NOW_MS + 7
    assert records == [
        Record(1, NOW_MS + 7, b"kept", b"2", [("h", b"x"), ("h", None)]),
        Record(2, NOW_MS - 3, b"also", b"3"),
    ]


async def test_tombstones_stay_for_their_time_and_then_go(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), ("b", "1"))
    put(log, ("a", None), ("b", "2"))
    await fill_up(log)
    await round_of(log)
    assert await records_of(log) == [Stored(2, b"a", None), Stored(3, b"b", b"2")]
    (header, records), *_ = [each for each in await batches_of(log) if each[0].records_count]
    assert header.has_delete_horizon
    assert header.base_timestamp == NOW_MS + DAY_MS
    assert {record.timestamp_ms for record in records} == {NOW_MS}
    put(log, ("c", "1"))
    await fill_up(log)
    await round_of(log, NOW_MS + DAY_MS - 1)
    assert Stored(2, b"a", None) in await records_of(log)
    put(log, ("c", "2"))
    await fill_up(log)
    await round_of(log, NOW_MS + DAY_MS)
    assert Stored(2, b"a", None) not in await records_of(log)
    assert Stored(3, b"b", b"2") in await records_of(log)


async def test_a_record_that_is_too_young_stops_the_round(engine: Engine) -> None:
    log = await opened(engine, msgspec.structs.replace(CONFIG, min_compaction_lag_ms=1000))
    put(log, ("a", "1"), timestamp_ms=NOW_MS - 2000)
    put(log, ("a", "2"), timestamp_ms=NOW_MS - 2000)
    put(log, ("filler", "x" * 3000), timestamp_ms=NOW_MS - 2000)
    put(log, ("a", "3"), timestamp_ms=NOW_MS - 10)
    await fill_up(log)
    await round_of(log)
    assert [record.value for record in await records_of(log)] == [b"2", b"3"]
    await round_of(log, NOW_MS + 1001)
    assert [record.value for record in await records_of(log)] == [b"3"]


async def test_a_log_that_is_mostly_clean_waits_until_something_is_too_old(engine: Engine) -> None:
    lazy = msgspec.structs.replace(CONFIG, min_cleanable_dirty_ratio=1, max_compaction_lag_ms=1000)
    log = await opened(engine, lazy)
    put(log, ("a", "1"))
    put(log, ("a", "2"))
    await fill_up(log)
    assert await round_of(log, NOW_MS + 900) is None
    assert await round_of(log, NOW_MS + 1001) is not None


async def test_a_small_map_takes_several_rounds(engine: Engine) -> None:
    log = await opened(engine)
    for number in range(3):
        for key in range(40):
            put(log, (f"key-{key}", str(number)))
    await fill_up(log)
    rounds = 0
    while await round_of(log, keys_bytes=10 * ENTRY_BYTES) is not None:
        rounds += 1
        assert rounds < 50
    assert rounds > 3
    assert [record.value for record in await records_of(log)] == [b"2"] * 40


async def test_small_extents_become_one(engine: Engine) -> None:
    log = await opened(engine)
    for number in range(40):
        put(log, ("a", str(number) * 200))
    await fill_up(log)
    before = len(await log.extents())
    await round_of(log)
    assert len(await log.extents()) == before
    put(log, ("a", "last"))
    await fill_up(log)
    await round_of(log)
    assert len(await log.extents()) < before / 2


async def test_records_without_a_key_and_unreadable_batches(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A topic may become compacted when it holds both; the second stays, nobody can judge it."""
    log = await opened(engine, LogConfig(segments=CONFIG.segments))
    log.append(memoryview(encode_batch([Record(value=b"keyless")])), NOW_MS)
    bad = encode_batch([Record(key=b"a", value=b"1")])
    bad[61] = 0x7F
    clear_log_append_time(memoryview(bad))
    log.append(memoryview(bad), NOW_MS)
    put(log, ("b", "1"))
    log.reconfigure(CONFIG)
    await fill_up(log)
    await round_of(log)
    assert "The batch at 1 stays as it is" in caplog.text
    headers = []
    for buffer in await log.read(0, 1 << 20, log.log_end_offset):
        headers += [header for _, header in iterate_headers(buffer)]
    assert [header.base_offset for header in headers][:2] == [1, 2]


async def test_a_producers_last_batch_stays_empty_and_a_restart_knows_its_sequence(
    engine: Engine,
) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), producer=(7, 0, 0))
    put(log, ("a", "2"), producer=(7, 0, 1))
    put(log, ("a", "3"))
    await fill_up(log)
    await round_of(log)
    kept = [header for header, _ in await batches_of(log) if header.producer_id == 7]
    assert [
        (header.base_offset, header.records_count, header.base_sequence) for header in kept
    ] == [(1, 0, 1)]
    log._kept._offset = log.log_end_offset
    await log.close()
    again = await opened(engine)
    put(again, ("a", "4"), producer=(7, 0, 2))
    assert again.producers.by_id[7].batches[-1].last_sequence == 2


async def test_the_largest_timestamp_is_that_of_what_is_left(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), timestamp_ms=NOW_MS + 500)
    put(log, ("a", "2"), timestamp_ms=NOW_MS + 100)
    put(log, ("b", "1"), timestamp_ms=NOW_MS + 50)
    await fill_up(log)
    await round_of(log)
    assert log.largest_timestamp == (NOW_MS + 100, 1)


async def test_a_restart_knows_how_far_the_log_is_clean(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"))
    await fill_up(log)
    await round_of(log)
    cleaned_offset = log.cleaned_offset
    await log.close()
    assert (await opened(engine)).cleaned_offset == cleaned_offset > 0


# --- transactions


def end(log: PartitionLog, producer_id: int, control_type: ControlType, epoch: int = 0) -> None:
    log.append_marker(producer_id, epoch, EndTransactionMarker(control_type, 0), NOW_MS)


async def markers_of(log: PartitionLog) -> list[int]:
    return [header.base_offset for header, _ in await batches_of(log) if header.is_control]


async def test_aborted_records_go_and_committed_ones_count(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), ("b", "1"))
    put(log, ("a", "aborted"), producer=(1, 0, 0), transactional=True)
    put(log, ("b", "committed"), producer=(2, 0, 0), transactional=True)
    end(log, 1, ControlType.ABORT)
    end(log, 2, ControlType.COMMIT)
    await fill_up(log)
    log.producers.expire(NOW_MS + 1)  # no empty batches for them
    await round_of(log)
    assert await records_of(log) == [Stored(0, b"a", b"1"), Stored(3, b"b", b"committed")]


async def test_an_open_transaction_stops_the_round(engine: Engine) -> None:
    log = await opened(engine)
    put(log, ("a", "1"))
    put(log, ("a", "2"))
    await fill_up(log)
    put(log, ("a", "open"), producer=(1, 0, 0), transactional=True)
    put(log, ("a", "3"))
    await fill_up(log)
    await fill_up(log)
    await round_of(log)
    assert [record.value for record in await records_of(log)] == [b"2", b"open", b"3"]
    end(log, 1, ControlType.ABORT)
    await fill_up(log)
    await round_of(log)
    assert [record.value for record in await records_of(log)] == [b"3"]


@pytest.mark.parametrize("control_type", list(ControlType))
async def test_a_marker_goes_after_all_else_of_its_transaction_and_after_its_time(
    engine: Engine, control_type: ControlType
) -> None:
    log = await opened(engine)
    put(log, ("a", "1"), producer=(1, 0, 0), transactional=True)
    end(log, 1, control_type)
    put(log, ("a", "2"))
    await fill_up(log)
    log.producers.by_id.clear()
    await round_of(log)
    assert await markers_of(log) == [1]
    told = log.aborted_between(0, log.log_end_offset)
    assert len(told) == (control_type is ControlType.ABORT)

    # The transaction's data is gone: now the marker's time begins, and nobody needs be told.
    put(log, ("a", "3"))
    await fill_up(log)
    await round_of(log)
    assert await markers_of(log) == [1]
    assert log.aborted_between(0, log.log_end_offset) == []

    put(log, ("a", "4"))
    await fill_up(log)
    await round_of(log, NOW_MS + DAY_MS - 1)
    assert await markers_of(log) == [1]
    put(log, ("a", "5"))
    await fill_up(log)
    await round_of(log, NOW_MS + DAY_MS)
    assert await markers_of(log) == []


async def test_a_marker_does_not_go_while_a_summary_still_tells_of_its_transaction(
    engine: Engine,
) -> None:
    """Such a consumer would take what the producer committed later for aborted."""
    log = await opened(engine, msgspec.structs.replace(CONFIG, delete_retention_ms=0))
    put(log, ("a", "1"), producer=(1, 0, 0), transactional=True)
    end(log, 1, ControlType.ABORT)
    put(log, ("a", "2"))
    await fill_up(log)
    log.producers.by_id.clear()
    for _ in range(2):
        await round_of(log)
        put(log, ("a", "3"))
        await fill_up(log)
    assert await markers_of(log) == [1]
    # The summary before the second round: as if it had not become durable.
    log._summary.transactions.end(1, 1, is_aborted=True)
    log._summary.transactions.begin(1, 0)
    log._summary.transactions.end(1, 1, is_aborted=True)
    log._summary.transactions.advance(log.high_watermark)
    await round_of(log, NOW_MS + 1)
    assert await markers_of(log) == [1]
    put(log, ("a", "4"))
    await fill_up(log)
    await round_of(log, NOW_MS + 2)
    assert await markers_of(log) == []


async def test_a_producers_marker_stays_for_as_long_as_it_is_remembered(engine: Engine) -> None:
    log = await opened(engine, msgspec.structs.replace(CONFIG, delete_retention_ms=0))
    put(log, ("a", "1"), producer=(1, 0, 0), transactional=True)
    end(log, 1, ControlType.COMMIT, epoch=1)
    for value in "2345":
        put(log, ("a", value))
        await fill_up(log)
        await round_of(log, NOW_MS + int(value))
    kept = [header for header, _ in await batches_of(log) if header.producer_id == 1]
    assert [(header.is_control, header.records_count) for header in kept] == [(True, 0)]
    log._kept._offset = log.log_end_offset
    await log.close()
    await opened(engine)
