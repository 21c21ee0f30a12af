"""Rounds of group commit, with logs that a test makes up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from datacore.storage.disk.flusher import Flusher

pytestmark = pytest.mark.anyio


@dataclass(slots=True, eq=False)
class Share:
    """A log and its share of each round."""

    faulty_step: str = ""
    steps: list[str] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    has_checkpoint: bool = False

    def begin_round(self) -> Share:
        return self

    def start_writeback(self) -> None:
        self.steps.append("start_writeback")

    def sync(self) -> None:
        self.steps.append("sync")

    def write_checkpoint(self) -> None:
        raise AssertionError

    def note(self) -> None:
        self._do("note")

    def answer(self) -> None:
        self.answered.set()
        self._do("answer")

    def note_checkpoint(self) -> None:
        raise AssertionError

    def _do(self, step: str) -> None:
        self.steps.append(step)
        if step == self.faulty_step:
            raise ZeroDivisionError


@pytest.mark.parametrize("step", ["note", "answer"])
async def test_a_waiter_that_fails_stops_neither_its_round_nor_the_next_one(step: str) -> None:
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    flusher = Flusher(loop)
    faulty, sound, next_one = Share(faulty_step=step), Share(), Share()
    flusher.add(faulty)
    flusher.add(sound)
    await sound.answered.wait()
    assert sound.steps == ["start_writeback", "sync", "note", "answer"]
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
    flusher.add(next_one)
    await next_one.answered.wait()
    await asyncio.to_thread(flusher.stop)
    loop.set_exception_handler(None)
