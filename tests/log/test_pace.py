"""Work beside the event loop: it is done in slices, and no faster than allowed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from datacore.log.pace import SLICE_S, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


async def test_what_work_yields_comes_back_in_order() -> None:
    def work() -> Iterator[int | None]:
        for number in range(1000):
            yield number if number % 3 == 0 else None

    assert [number async for number in Pace().run(work())] == list(range(0, 1000, 3))


async def test_the_loop_goes_on_between_slices() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    def work() -> Iterator[None]:
        assert threading.current_thread() is not threading.main_thread()
        for _ in range(10):
            began_s = time.thread_time()
            while time.thread_time() - began_s < SLICE_S:
                pass
            yield None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await Pace().finish(work())
        tasks.cancel_scope.cancel()
    assert turns > 10


async def test_an_error_of_the_work_comes_out() -> None:
    def work() -> Iterator[None]:
        yield None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Pace().finish(work())


async def test_bytes_are_spent_no_faster_than_allowed() -> None:
    began_s = time.perf_counter()
    pace = Pace(bytes_per_s=1_000_000)
    for _ in range(10):
        await pace.spend(10_000)
    assert time.perf_counter() - began_s >= 0.1
    began_s = time.perf_counter()
    await Pace().spend(1 << 40)
    assert time.perf_counter() - began_s < 5
