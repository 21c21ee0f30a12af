# ruff: noqa: D102  # a test's name is its sentence
"""The engine contract (``datacore.storage.engine``) as tests that every engine passes unchanged.

Subclass ``EngineSuite`` in a test file and give it a fixture ``harness``; pytest does the rest::

    class TestMemoryEngine(EngineSuite):
        @pytest.fixture
        def harness(self) -> EngineHarness: ...

Rules: no test knows an engine. Batches are valid, made here from their header alone, so that the
suite stands on nothing but the contract. ``datacore.testing.engine_model`` adds the model test.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.engine import (
    Fenced,
    LogName,
    OffsetTruncated,
    SegmentLimits,
    StorageError,
)
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    OTHER_LOG,
    append,
    append_durably,
    check_extents,
    on_loop,
    opened,
    read,
    running,
)

if TYPE_CHECKING:
    from datacore.storage.pending import Pending
    from datacore.testing.engine_harness import EngineHarness


class EngineSuite:
    """Every sentence of the contract that can be tested without a crash."""

    @on_loop
    async def test_a_new_log_is_empty(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            assert list(await engine.list_logs()) == []
            log = await engine.open_log(LOG, epoch=0)
            assert log.name == LOG
            assert log.start_offset == log.end_offset == log.durable_end_offset == 0
            assert log.size_bytes == 0
            assert await read(log, 0) == b""
            assert await log.load_snapshot() is None
            assert await log.find_timestamp(0) == 0
            assert list(await engine.list_logs()) == [LOG]

    @on_loop
    async def test_a_store_says_where_it_is_and_what_room_it_has(
        self, harness: EngineHarness
    ) -> None:
        async with running(harness) as engine:
            place = engine.place
            space = await engine.space()
            assert place
            assert space == (-1, -1) or 0 <= space.usable_bytes <= space.total_bytes
        async with running(harness) as engine:
            assert engine.place == place or not harness.survives_restart

    @on_loop
    async def test_names_that_no_store_could_keep_are_refused(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            for name in ("", ".", "..", "a/b", "a\0b", "a b", "ü", "x" * 250):
                with pytest.raises(StorageError):
                    await engine.open_log(LogName(name), epoch=0)
            await engine.open_log(LogName("x" * 249), epoch=0)
            await engine.open_log(LogName(".Az09_-"), epoch=0)

    @on_loop
    async def test_append_moves_the_end_at_once_and_the_durable_end_before_it_says_so(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            durable_when_told: list[int] = []
            data = pack_batch(0, b"payload", records=3)
            pending = log.append(data, base_offset=0, next_offset=3, max_timestamp_ms=0)
            assert log.end_offset == 3
            assert log.size_bytes == len(data)
            if pending is not None:
                pending.then(lambda _: durable_when_told.append(log.durable_end_offset))
                await pending
                assert durable_when_told == [3]
            assert log.durable_end_offset == 3

    @on_loop
    async def test_append_elsewhere_than_at_the_end_changes_nothing(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            kept = append(log, 10, 10)
            for base_offset in (0, 1, 3):
                with pytest.raises(StorageError):
                    log.append(
                        pack_batch(base_offset, b""),
                        base_offset=base_offset,
                        next_offset=base_offset + 1,
                        max_timestamp_ms=0,
                    )
            assert log.end_offset == 2
            assert log.size_bytes == len(kept)
            assert await read(log, 0) == kept

    @on_loop
    async def test_append_of_what_is_not_whole_batches_changes_nothing(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batch = pack_batch(0, b"payload")
            for data in (b"", batch[:-1], batch + b"x", batch[:20], batch + batch):
                with pytest.raises(StorageError):
                    log.append(data, base_offset=0, next_offset=1, max_timestamp_ms=0)
            assert log.end_offset == log.size_bytes == 0

    @on_loop
    async def test_the_callers_buffer_may_be_used_again(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            batch = pack_batch(0, b"payload")
            buffer = bytearray(batch)
            log.append(memoryview(buffer), base_offset=0, next_offset=1, max_timestamp_ms=0)
            buffer[:] = bytes(len(buffer))
            assert await read(log, 0) == batch

    @on_loop
    async def test_a_read_starts_with_the_batch_that_contains_the_offset(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batches = [append(log, 100, records=10) for _ in range(20)]
            for offset in range(200):
                assert await read(log, offset) == b"".join(batches[offset // 10 :])

    @on_loop
    async def test_a_read_where_offsets_are_missing_starts_with_the_next_batch(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            first = pack_batch(0, b"", records=2)
            second = pack_batch(10, b"", records=2)
            log.append(first + second, base_offset=0, next_offset=12, max_timestamp_ms=0)
            assert await read(log, 1) == first + second
            for offset in range(2, 12):
                assert await read(log, offset) == second

    @on_loop
    async def test_the_first_batch_comes_whole_and_others_only_within_max_bytes(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batches = [append(log, size) for size in (1000, 50, 50, 5000, 50)]
            sizes = [len(batch) for batch in batches]
            for max_bytes in (0, 1, sizes[0] - 1, sizes[0], sum(sizes[:2]) - 1):
                assert await read(log, 0, max_bytes=max_bytes) == batches[0]
            assert await read(log, 0, max_bytes=sum(sizes[:2])) == b"".join(batches[:2])
            assert await read(log, 0, max_bytes=sum(sizes[:4]) - 1) == b"".join(batches[:3])
            assert await read(log, 3, max_bytes=1) == batches[3]

    @on_loop
    async def test_batches_of_one_append_are_cut_apart(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            data = append(log, *([200] * 100))
            size = len(data) // 100
            for offset in (0, 1, 37, 99):
                for count in (1, 2, 30, 100):
                    expected = data[offset * size : min(offset + count, 100) * size]
                    assert await read(log, offset, max_bytes=count * size) == expected
                    if count > 1:
                        shorter = await read(log, offset, max_bytes=count * size - 1)
                        assert shorter == data[offset * size : min(offset + count - 1, 100) * size]

    @on_loop
    async def test_a_read_ends_before_the_first_batch_at_before_offset(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batches = [append(log, 300, records=10) for _ in range(50)]
            for before_offset in (1, 9, 10, 11, 250, 499, 500, 501):
                last = (before_offset + 9) // 10
                assert await read(log, 0, before_offset=before_offset) == b"".join(batches[:last])
            for offset in (0, 5, 10, 500):
                assert await read(log, offset, before_offset=offset) == b""
                assert await read(log, offset, before_offset=0) == b""

    @on_loop
    async def test_offsets_outside_of_the_log_are_out_of_range(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            await append_durably(log, 10, 10, 10)
            await log.truncate_before(2)
            for offset in (-1, 0, 1, 4):
                with pytest.raises(OffsetTruncated):
                    log.read_warm(offset, max_bytes=1, before_offset=EVERYTHING)
                with pytest.raises(OffsetTruncated):
                    await log.read(offset, max_bytes=1, before_offset=EVERYTHING)
            assert await read(log, 3) == b""

    @on_loop
    async def test_what_was_read_never_changes(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=0)
            await append_durably(log, *range(100, 140))
            held = [
                await log.read(offset, max_bytes=3000, before_offset=EVERYTHING)
                for offset in range(40)
            ]
            seen = [b"".join(buffers) for buffers in held]
            await log.truncate_after(10)
            await append_durably(log, *([500] * 30))
            await log.truncate_before(20)
            for offset in range(20, 40):
                await log.read(offset, max_bytes=3000, before_offset=EVERYTHING)
            await engine.delete_log(LOG)
            assert [b"".join(buffers) for buffers in held] == seen

    @on_loop
    async def test_a_long_log_reads_back_in_steps_of_any_size(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            everything = b"".join([append(log, 37 * at % 3001) for at in range(700)])
            for max_bytes in (1, 4096, 5000, 65536, 1 << 20):
                offset, parts = 0, []
                while part := await read(log, offset, max_bytes=max_bytes):
                    parts.append(part)
                    offset = list(walk_batches(part))[-1].last_offset + 1
                assert b"".join(parts) == everything

    @on_loop
    async def test_find_timestamp_never_points_behind_the_first_batch_that_is_young_enough(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            timestamps = [(at * 7919) % 5000 + at for at in range(300)]
            for timestamp_ms in timestamps:
                append(log, 200, timestamp_ms=timestamp_ms)
            await append_durably(log, 200, timestamp_ms=0)
            for start in (0, 57, 300):
                await log.truncate_before(start)
                for asked in (0, 1, 100, 2500, 4999, 5200, 6000, EVERYTHING):
                    young = [at for at in range(start, 300) if timestamps[at] >= asked]
                    if asked == 0:
                        young = [start]
                    found = await log.find_timestamp(asked)
                    if young:
                        assert start <= found <= young[0]
                    else:
                        assert found == log.end_offset

    @on_loop
    async def test_truncate_before_moves_the_start_and_frees_bytes(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            data = await append_durably(log, *([1000] * 50))
            size = len(data) // 50
            for offset in (0, 1, 30, 30, 12):
                await log.truncate_before(offset)
            assert log.start_offset == 30
            assert (log.end_offset, log.durable_end_offset) == (50, 50)
            assert log.size_bytes == 20 * size
            assert await read(log, 30) == data[30 * size :]
            with pytest.raises(OffsetTruncated):
                await log.truncate_before(51)
            await log.truncate_before(50)
            assert (log.start_offset, log.end_offset, log.size_bytes) == (50, 50, 0)
            assert await read(log, 50) == b""
            after = await append_durably(log, 10)
            assert await read(log, 50) == after
            assert log.size_bytes == len(after)

    @on_loop
    async def test_truncate_before_inside_a_batch_keeps_that_batch(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            append(log, 10, records=10)
            second = append(log, 10, records=10)
            await log.truncate_before(15)
            assert log.start_offset == 15
            assert log.size_bytes == len(second)
            assert await read(log, 15) == second

    @on_loop
    async def test_what_was_cut_off_is_in_no_extent(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            append(log, 0, 0)
            await append_durably(log, 0)
            await log.truncate_before(1)
            await log.truncate_after(2)
            assert [(each.base_offset, each.next_offset) for each in await log.extents()] == [
                (1, 2)
            ]
            await log.truncate_after(1)
            assert list(await log.extents()) == []

    @on_loop
    async def test_extents_cover_the_log_without_gaps(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            assert list(await log.extents()) == []
            log.limit_segments(SegmentLimits(size_bytes=1000, age_ms=1 << 40))
            for at in range(60):
                append(log, 200, timestamp_ms=at)
            await append_durably(log, 5000, timestamp_ms=60)
            for start_offset in (0, 1, 7, 30, 60):
                await log.truncate_before(start_offset)
                await check_extents(log)
                for extent in await log.extents():
                    assert extent.max_timestamp_ms == extent.next_offset - 1
                    assert extent.size_bytes <= 1000 or extent.next_offset == extent.base_offset + 1
            await log.truncate_after(60)
            assert list(await log.extents()) == []

    @on_loop
    async def test_freeing_an_extent_leaves_the_others(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            log.limit_segments(SegmentLimits(size_bytes=1000, age_ms=1 << 40))
            await append_durably(log, *([200] * 40))
            extents = list(await log.extents())
            assert len(extents) >= 10
            while extents:
                await log.truncate_before(extents.pop(0).next_offset)
                assert list(await log.extents()) == extents

    @on_loop
    async def test_timestamps_of_one_extent_lie_no_further_apart_than_its_age(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            log.limit_segments(SegmentLimits(size_bytes=1 << 20, age_ms=100))
            for timestamp_ms in (1000, 1100, 1101, 1050, 1201, 1202, -1, 5000):
                append(log, 10, timestamp_ms=timestamp_ms)
            largest = [extent.max_timestamp_ms for extent in await log.extents()]
            assert largest == [1100, 1201, 1202, 5000]
            log.limit_segments(SegmentLimits(size_bytes=1 << 20, age_ms=10))
            append(log, 10, timestamp_ms=5010)
            append(log, 10, timestamp_ms=5011)
            assert [extent.max_timestamp_ms for extent in await log.extents()][-2:] == [5010, 5011]
            await check_extents(log)

    @on_loop
    async def test_an_extent_keeps_its_age_when_its_log_is_opened_again(
        self, harness: EngineHarness
    ) -> None:
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=0)
            append(log, 10, timestamp_ms=1000)
            append(log, 10, timestamp_ms=1050)
            await log.close()
            log = await engine.open_log(LOG, epoch=0)
            log.limit_segments(SegmentLimits(size_bytes=1 << 20, age_ms=100))
            append(log, 10, timestamp_ms=1100)
            append(log, 10, timestamp_ms=1101)
            assert [extent.max_timestamp_ms for extent in await log.extents()] == [1100, 1101]

    @on_loop
    async def test_jitter_ends_extents_at_different_ages(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            log.limit_segments(SegmentLimits(size_bytes=1 << 30, age_ms=1000, jitter_ms=1000))
            for timestamp_ms in range(0, 20_000, 10):
                append(log, 10, timestamp_ms=timestamp_ms)
            ages_ms = [
                (extent.next_offset - extent.base_offset - 1) * 10 for extent in await log.extents()
            ][:-1]
            assert max(ages_ms) <= 1000
            assert len(set(ages_ms)) > 1

    @on_loop
    async def test_truncate_after_drops_the_tail_and_the_log_goes_on_there(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            data = await append_durably(log, *([1000] * 50))
            size = len(data) // 50
            await log.truncate_after(50)
            assert log.end_offset == 50
            await log.truncate_after(20)
            assert (log.end_offset, log.durable_end_offset) == (20, 20)
            assert log.size_bytes == 20 * size
            assert await read(log, 0) == data[: 20 * size]
            after = await append_durably(log, 10, 20)
            assert await read(log, 19) == data[19 * size : 20 * size] + after
            await log.truncate_after(0)
            assert (log.end_offset, log.size_bytes) == (0, 0)
            assert await read(log, 0) == b""

    @on_loop
    async def test_truncate_after_refuses_what_is_no_boundary_of_batches(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            data = append(log, 10, records=10) + append(log, 10, records=10)
            for offset in (5, 15, 21):
                with pytest.raises(StorageError):
                    await log.truncate_after(offset)
            assert log.end_offset == 20
            assert await read(log, 0) == data
            await log.truncate_before(10)
            with pytest.raises(OffsetTruncated):
                await log.truncate_after(0)

    @on_loop
    async def test_truncate_after_forgets_timestamps(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            await append_durably(log, *([3000] * 5), timestamp_ms=100)
            await append_durably(log, *([3000] * 5), timestamp_ms=200)
            await log.truncate_after(5)
            assert await log.find_timestamp(150) == 5
            assert await log.find_timestamp(100) == 0
            await append_durably(log, *([3000] * 5), timestamp_ms=150)
            assert 0 < await log.find_timestamp(150) <= 5

    @on_loop
    async def test_a_snapshot_replaces_the_one_before_and_falls_with_what_it_sums_up(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            await append_durably(log, *([10] * 10))
            await log.save_snapshot(0, b"")
            assert await log.load_snapshot() == (0, b"")
            await log.save_snapshot(7, bytes(range(256)) * 1000)
            assert await log.load_snapshot() == (7, bytes(range(256)) * 1000)
            with pytest.raises(OffsetTruncated):
                await log.save_snapshot(11, b"of the future")
            await log.truncate_after(7)
            assert await log.load_snapshot() == (7, bytes(range(256)) * 1000)
            await log.truncate_after(6)
            assert await log.load_snapshot() is None

    @on_loop
    async def test_a_log_that_was_closed_can_be_opened_again(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=3)
            data = append(log, 100, 200, 300)
            await log.save_snapshot(2, b"summary")
            await log.truncate_before(1)
            await log.close()
            with pytest.raises(StorageError):
                log.append(pack_batch(3, b""), base_offset=3, next_offset=4, max_timestamp_ms=0)
            with pytest.raises(StorageError):
                await log.read(1, max_bytes=1, before_offset=EVERYTHING)
            again = await engine.open_log(LOG, epoch=3)
            assert (again.start_offset, again.end_offset, again.durable_end_offset) == (1, 3, 3)
            assert await read(again, 1) == data[100 + 61 :]
            assert again.size_bytes == len(data) - 161
            assert await again.load_snapshot() == (2, b"summary")
            await append_durably(again, 10)
            await log.close()

    @on_loop
    async def test_a_higher_epoch_fences_the_older_owner(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            old = await engine.open_log(LOG, epoch=1)
            data = append(old, 10)
            new = await engine.open_log(LOG, epoch=2)
            assert new.end_offset == new.durable_end_offset == 1
            with pytest.raises(Fenced):
                old.append(pack_batch(1, b""), base_offset=1, next_offset=2, max_timestamp_ms=0)
            data += await append_durably(new, 20)
            with pytest.raises(Fenced):
                old.append(pack_batch(2, b""), base_offset=2, next_offset=3, max_timestamp_ms=0)
            await old.close()
            with pytest.raises(Fenced):
                await engine.open_log(LOG, epoch=1)
            assert await read(new, 0) == data

    @on_loop
    async def test_an_epoch_has_one_owner_at_a_time(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=1)
            with pytest.raises(StorageError):
                await engine.open_log(LOG, epoch=1)
            data = append(log, 10)
            assert await read(log, 0) == data

    @on_loop
    async def test_a_deleted_log_is_gone_and_its_name_is_free(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            await engine.delete_log(LogName("never-there"))
            log = await engine.open_log(LOG, epoch=5)
            await append_durably(log, 10, 20)
            await log.save_snapshot(2, b"summary")
            await engine.delete_log(LOG)
            assert list(await engine.list_logs()) == []
            with pytest.raises(StorageError):
                log.append(pack_batch(2, b""), base_offset=2, next_offset=3, max_timestamp_ms=0)
            await log.close()
            again = await engine.open_log(LOG, epoch=0)
            assert (again.start_offset, again.end_offset, again.size_bytes) == (0, 0, 0)
            assert await again.load_snapshot() is None
            await again.close()
            await engine.delete_log(LOG)
            assert list(await engine.list_logs()) == []

    @on_loop
    async def test_logs_do_not_see_each_other(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            one = await engine.open_log(LOG, epoch=0)
            other = await engine.open_log(OTHER_LOG, epoch=0)
            of_one = append(one, 10, 20)
            of_other = append(other, 30)
            of_one += append(one, 40)
            assert sorted(await engine.list_logs()) == [LOG, OTHER_LOG]
            await engine.delete_log(OTHER_LOG)
            assert await read(one, 0) == of_one
            other = await engine.open_log(OTHER_LOG, epoch=0)
            assert await read(other, 0) == b""
            assert of_other != b""

    @on_loop
    async def test_many_appends_in_a_row_all_become_durable_in_order(
        self, harness: EngineHarness
    ) -> None:
        async with running(harness) as engine:
            logs = [await engine.open_log(LogName(f"many-{at}"), epoch=0) for at in range(5)]
            settled: list[tuple[str, int]] = []
            waits = []

            def note(name: LogName, offset: int, _: Pending[None]) -> None:
                settled.append((name, offset))

            for offset in range(40):
                for log in logs:
                    pending = log.append(
                        pack_batch(offset, bytes(offset)),
                        base_offset=offset,
                        next_offset=offset + 1,
                        max_timestamp_ms=0,
                    )
                    if pending is not None:
                        waits.append(pending)
                        pending.then(functools.partial(note, log.name, offset))
            for pending in waits:
                await pending
            for log in logs:
                assert log.durable_end_offset == 40
                offsets = [offset for name, offset in settled if name == log.name]
                assert offsets == sorted(offsets)
            assert len(settled) == len(waits)

    @on_loop
    async def test_close_makes_everything_durable(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            told: list[Exception | None] = []
            pending = log.append(
                pack_batch(0, b""), base_offset=0, next_offset=1, max_timestamp_ms=0
            )
            if pending is not None:
                pending.then(lambda settled: told.append(settled.error))
        assert told == ([None] if pending is not None else [])
        assert log.durable_end_offset == 1

    @on_loop
    async def test_a_restart_finds_everything(self, harness: EngineHarness) -> None:
        if not harness.survives_restart:
            pytest.skip("this engine keeps nothing across a restart, and says so")
        engine = harness()
        await engine.start()
        log = await engine.open_log(LOG, epoch=7)
        data = append(log, *range(500), timestamp_ms=42)
        await log.truncate_before(100)
        await log.save_snapshot(400, b"summary")
        size_bytes = log.size_bytes
        await engine.open_log(OTHER_LOG, epoch=0)
        await engine.close()

        engine = harness()
        await engine.start()
        assert sorted(await engine.list_logs()) == [LOG, OTHER_LOG]
        with pytest.raises(Fenced):
            await engine.open_log(LOG, epoch=6)
        log = await engine.open_log(LOG, epoch=7)
        assert (log.start_offset, log.end_offset, log.durable_end_offset) == (100, 500, 500)
        assert log.size_bytes == size_bytes
        kept = await read(log, 100)
        assert data.endswith(kept)
        assert len(kept) == size_bytes
        assert await log.load_snapshot() == (400, b"summary")
        assert {extent.max_timestamp_ms for extent in await log.extents()} == {42}
        await check_extents(log)
        assert await log.find_timestamp(43) == 500
        assert await log.find_timestamp(42) == 100
        await append_durably(log, 10)
        assert log.end_offset == 501
        await engine.close()
