# ruff: noqa: D102  # a test's name is its sentence
"""``EngineLog.replace`` as tests that every engine passes unchanged; beside ``engine_suite``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from datacore.storage.batches import walk_batches
from datacore.storage.engine import SegmentLimits, StorageError
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    EVERYTHING,
    LOG,
    append,
    append_durably,
    check_extents,
    on_loop,
    opened,
    read,
    replace,
    running,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.storage.engine import EngineLog
    from datacore.testing.engine_harness import EngineHarness
    from datacore.wire.buffer import Buffer

SMALL_EXTENTS = SegmentLimits(size_bytes=1000, age_ms=1 << 40)


async def filled(log: EngineLog, batches: int = 40) -> list[bytes]:
    """A log of several extents, one record a batch, whose timestamps are their offsets."""
    log.limit_segments(SMALL_EXTENTS)
    return [await append_durably(log, 200, timestamp_ms=at) for at in range(batches)]


class ReplaceSuite:
    """What the contract says of replacing."""

    @on_loop
    async def test_new_batches_take_the_place_of_old_ones(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            batches = await filled(log)
            extents = list(await log.extents())
            first, last = extents[1], extents[3]
            middle = pack_batch(first.base_offset + 2, b"kept", max_timestamp_ms=7)
            end = pack_batch(last.next_offset - 1, b"", max_timestamp_ms=9)
            await replace(log, first.base_offset, last.next_offset, middle, end)
            before = b"".join(batches[: first.base_offset])
            after = b"".join(batches[last.next_offset :])
            assert await read(log, 0) == before + middle + end + after
            assert log.size_bytes == len(before + middle + end + after)
            assert (log.start_offset, log.end_offset, log.durable_end_offset) == (0, 40, 40)
            for offset in range(first.base_offset, first.base_offset + 3):
                assert await read(log, offset) == middle + end + after
            for offset in range(first.base_offset + 3, last.next_offset):
                assert await read(log, offset) == end + after
            await check_extents(log)
            assert extents[0] in await log.extents()
            for extent in await log.extents():
                if first.base_offset <= extent.base_offset < last.next_offset:
                    assert extent.max_timestamp_ms in {7, 9}

    @on_loop
    async def test_a_log_goes_on_behind_what_was_replaced(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            await filled(log)
            next_offset = list(await log.extents())[-1].base_offset
            only = pack_batch(next_offset - 1, b"")
            await replace(log, 0, next_offset, only)
            kept = await read(log, 0)
            kept += await append_durably(log, *([200] * 20), timestamp_ms=90)
            assert await read(log, 0) == kept
            assert await log.find_timestamp(80) == 40
            await log.truncate_before(next_offset + 1)
            await check_extents(log)

    @on_loop
    async def test_a_log_that_is_cut_at_its_first_batch_still_begins_where_it_began(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            await filled(log)
            next_offset = list(await log.extents())[-1].base_offset
            await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
            await log.truncate_after(next_offset - 1)
            assert (log.start_offset, log.end_offset) == (0, next_offset - 1)
            for offset in (0, 1, next_offset - 2, next_offset - 1):
                assert await read(log, offset) == b""
            await check_extents(log)
            kept = await append_durably(log, 200, timestamp_ms=90)
            assert await read(log, 0) == kept
            assert await log.find_timestamp(80) <= next_offset - 1
            await check_extents(log)

    @on_loop
    async def test_only_whole_extents_before_the_last_are_replaced(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batches = await filled(log)
            extents = list(await log.extents())
            next_offset = extents[1].next_offset
            batch = pack_batch(next_offset - 1, b"")
            whole = b"".join(batches)
            for base_offset, end_offset in (
                (1, next_offset),
                (0, next_offset - 1),
                (next_offset, next_offset),
                (next_offset, 0),
                (extents[-1].base_offset, 40),
                (0, 40),
                (0, 50),
            ):
                with pytest.raises(StorageError):
                    await replace(log, base_offset, end_offset, batch)
            assert await read(log, 0) == whole

    @on_loop
    async def test_batches_that_do_not_fill_the_range_replace_nothing(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            whole = b"".join(await filled(log))
            base_offset, next_offset, *_ = list(await log.extents())[1]
            last = pack_batch(next_offset - 1, b"")
            for given in (
                [],
                [b""],
                [last[:-1]],
                [last + b"x"],
                [last, last],
                [pack_batch(base_offset, b"")],
                [pack_batch(base_offset - 1, b""), last],
                [pack_batch(next_offset, b"")],
                [pack_batch(base_offset, b"", records=100)],
            ):
                with pytest.raises(StorageError):
                    await replace(log, base_offset, next_offset, *given)
            assert await read(log, 0) == whole
            assert log.size_bytes == len(whole)
            await replace(log, base_offset, next_offset, last)

    @on_loop
    async def test_an_error_of_the_batches_source_replaces_nothing(
        self, harness: EngineHarness
    ) -> None:
        async def failing() -> AsyncIterator[Buffer]:
            yield pack_batch(0, b"")
            raise ZeroDivisionError

        async with opened(harness) as log:
            whole = b"".join(await filled(log))
            with pytest.raises(ZeroDivisionError):
                await log.replace(0, next(iter(await log.extents())).next_offset, failing())
            assert await read(log, 0) == whole
            await check_extents(log)

    @on_loop
    async def test_a_log_that_starts_inside_an_extent_is_replaced_from_there(
        self, harness: EngineHarness
    ) -> None:
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=0)
            log.limit_segments(SMALL_EXTENTS)
            append(log, 100, records=10)
            second = append(log, 100, records=10)
            append(log, 900)
            await append_durably(log, 900)
            await log.truncate_before(15)
            extents = list(await log.extents())
            assert extents[0].base_offset == 15
            end = pack_batch(extents[1].next_offset - 1, b"")
            await replace(log, 15, extents[1].next_offset, second, end)
            assert await read(log, 15) == second + end + await read(log, extents[2].base_offset)
            await check_extents(log)
            await log.close()
            again = await engine.open_log(LOG, epoch=0)
            assert again.start_offset == 15
            assert await read(again, 17) == second + end + await read(again, 21)
            await check_extents(again)

    @on_loop
    async def test_a_range_that_changes_meanwhile_is_not_replaced(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            await filled(log)
            next_offset = list(await log.extents())[2].next_offset

            async def while_the_start_moves() -> AsyncIterator[Buffer]:
                await log.truncate_before(1)
                yield pack_batch(next_offset - 1, b"")

            async def while_the_end_is_written_anew() -> AsyncIterator[Buffer]:
                await log.truncate_after(next_offset - 1)
                await append_durably(log, *([200] * 20))
                yield pack_batch(next_offset - 1, b"")

            with pytest.raises(StorageError):
                await log.replace(0, next_offset, while_the_start_moves())
            kept = await read(log, 1)
            assert len(list(walk_batches(kept))) == 39
            with pytest.raises(StorageError):
                await log.replace(1, next_offset, while_the_end_is_written_anew())
            assert len(list(walk_batches(await read(log, 1)))) == log.end_offset - 1
            await check_extents(log)

    @on_loop
    async def test_one_range_of_a_log_is_replaced_at_a_time(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            await filled(log)
            one, other, *_ = await log.extents()
            began, goes_on = anyio.Event(), anyio.Event()

            async def slowly() -> AsyncIterator[Buffer]:
                began.set()
                await goes_on.wait()
                yield pack_batch(one.next_offset - 1, b"")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(log.replace, one.base_offset, one.next_offset, slowly())
                await began.wait()
                batch = pack_batch(other.next_offset - 1, b"")
                with pytest.raises(StorageError):
                    await replace(log, other.base_offset, other.next_offset, batch)
                await append_durably(log, 10)
                goes_on.set()
            await replace(log, other.base_offset, other.next_offset, batch)
            assert len(list(walk_batches(await read(log, 0)))) == 41 - (
                other.next_offset - one.base_offset - 2
            )

    @on_loop
    async def test_what_was_read_before_stays_what_it_was(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            whole = b"".join(await filled(log))
            held = await log.read(0, max_bytes=EVERYTHING, before_offset=EVERYTHING)
            next_offset = list(await log.extents())[-1].base_offset
            await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
            await append_durably(log, *([300] * 20))
            assert b"".join(held) == whole

    @on_loop
    async def test_a_reader_in_steps_meets_old_or_new_batches_and_gets_through(
        self, harness: EngineHarness
    ) -> None:
        async with opened(harness) as log:
            batches = await filled(log)
            next_offset = list(await log.extents())[-1].base_offset
            fewer = [*batches[:next_offset:3], pack_batch(next_offset - 1, b"")]
            known = {*batches, *fewer}
            offset = steps = 0
            while part := await read(log, offset, max_bytes=1):
                assert part in known
                offset = list(walk_batches(part))[-1].last_offset + 1
                steps += 1
                if steps == 10:
                    await replace(log, 0, next_offset, *fewer)
            assert offset == 40

    @on_loop
    async def test_a_summary_outlives_a_replacement(self, harness: EngineHarness) -> None:
        async with opened(harness) as log:
            await filled(log)
            next_offset = next(iter(await log.extents())).next_offset
            await log.save_snapshot(1, b"summary")
            await replace(log, 0, next_offset, pack_batch(next_offset - 1, b""))
            assert await log.load_snapshot() == (1, b"summary")

    @on_loop
    async def test_a_restart_finds_what_was_replaced(self, harness: EngineHarness) -> None:
        if not harness.survives_restart:
            pytest.skip("this engine keeps nothing across a restart, and says so")
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=0)
            await filled(log)
            first, *_, last = await log.extents()
            end = last.base_offset
            await replace(log, first.base_offset, end, pack_batch(end - 1, b"", max_timestamp_ms=5))
            kept = await read(log, 0)
            extents = list(await log.extents())
        async with running(harness) as engine:
            log = await engine.open_log(LOG, epoch=0)
            assert await read(log, 0) == kept
            assert list(await log.extents()) == extents
            assert log.end_offset == 40
            await append_durably(log, 10)
