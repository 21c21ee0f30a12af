"""Many small questions of one kind in one statement: opening logs, closing them, their summaries.

Rules:

- Nothing lingers. A statement takes what has come while the one before was under way, so that a
  single question is asked at once, and those of a thousand logs are asked a few hundred at a time.
- A statement has each log once; what concerns a log that is in it already waits for the next.
- A statement that fails fails for all that are in it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Log = TypeVar("Log")
Question = TypeVar("Question")
Answer = TypeVar("Answer")

LOGS_AT_ONCE: Final = 256
BYTES_AT_ONCE: Final = 8 * 1024 * 1024


class _Waiting(Generic[Log, Question, Answer]):
    __slots__ = ("answer", "log", "question", "size")

    def __init__(self, log: Log, question: Question, size: int) -> None:
        self.log = log
        self.question = question
        self.size = size
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def fail(self, error: StorageError) -> None:
        """Answers with an error, where nothing was answered."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Together(Generic[Log, Question, Answer]):
    """The questions of one kind; the answers are by log."""

    __slots__ = ("_ask", "_asking", "_waiting")

    def __init__(
        self, ask: Callable[[Mapping[Log, Question]], Awaitable[Mapping[Log, Answer]]]
    ) -> None:
        self._ask = ask
        self._waiting: list[_Waiting[Log, Question, Answer]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, log: Log, question: Question, *, size: int = 0) -> Answer | None:
        """What the statement says of a log; None where it says nothing of it.

        Raises:
            StorageError: As the statement.
        """
        waiting: _Waiting[Log, Question, Answer] = _Waiting(log, question, size)
        self._waiting.append(waiting)
        if self._asking is None:
            self._asking = asyncio.create_task(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        taken: list[_Waiting[Log, Question, Answer]] = []
        try:
            while taken := self._take():
                await self._answer(taken)
        finally:
            self._asking = None
            for each in (*taken, *self._waiting):  # none, unless this task ends before its time
                each.fail(Unavailable("the statement was given up"))
            self._waiting.clear()

    def _take(self) -> list[_Waiting[Log, Question, Answer]]:
        taken: dict[Log, _Waiting[Log, Question, Answer]] = {}
        later: list[_Waiting[Log, Question, Answer]] = []
        size = 0
        for each in self._waiting:
            if each.answer.cancelled():
                continue
            if each.log in taken or len(taken) == LOGS_AT_ONCE or size > BYTES_AT_ONCE:
                later.append(each)
            else:
                taken[each.log] = each
                size += each.size
        self._waiting = later
        return list(taken.values())

    async def _answer(self, taken: list[_Waiting[Log, Question, Answer]]) -> None:
        try:
            answers = await self._ask({each.log: each.question for each in taken})
        except StorageError as error:
            for each in taken:
                copied = type(error)(str(error))  # a traceback is of one waiter
                copied.__cause__ = error.__cause__
                each.fail(copied)
        else:
            for each in taken:
                if not each.answer.done():
                    each.answer.set_result(answers.get(each.log))
