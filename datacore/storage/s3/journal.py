"""The journal: objects numbered without holes, each written by a conditional create.

Rules:

- ``wal/<number>`` is created once, so that each number has one winner, whoever else tried. A writer
  whose create fails reads what is there, applies it, checks its own changes again and tries the
  next number. So whoever succeeds has seen everything before; that is the whole fence.
- Group commit: all changes that wait go into one object, one for each log.
- A create whose answer was lost is settled by reading the object: its first bytes name the attempt.
  What nobody knows is tried again, byte for byte, until ``flush_timeout_s`` are over; a create that
  arrives even later finds its number taken, or is found by the next writer.
- Every so often the state is written down (``state/<number>``), and a start replays only what came
  behind it. Objects before it are deleted a grace after nothing needs them. Then their numbers are
  free, and a writer who slept for so long could win one again; so who has not been at the journal's
  end for a quarter of the grace looks where it is before it writes, and again when the answer took
  that long. That clocks of two hosts run about equally fast is all that this asks of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from struct import Struct
from typing import TYPE_CHECKING, Final

import msgspec

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import StorageError
from datacore.storage.s3.state import FORMAT, Change, State, other_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.s3.bucket import Bucket
    from datacore.storage.s3.config import S3Config
    from datacore.storage.s3.state import LogState

logger = logging.getLogger("datacore.storage.s3")

WAL: Final = "wal/"
STATE: Final = "state/"
NEWEST: Final = "newest"
_HEAD: Final = Struct(">4s16sI")
"""Magic, the attempt's id, how long the changes are; then the changes, then data."""
_KIND: Final = b"DCJ"
_MAGIC: Final = b"%s%d" % (_KIND, FORMAT)
HEAD_READ_BYTES: Final = 64 * 1024
READ_AT_ONCE: Final = 16
RETRY_DELAY_MIN_S: Final = 0.05
RETRY_DELAY_MAX_S: Final = 1.0
CHECKPOINT_OBJECTS: Final = 64
PIECES_PER_CHECKPOINT_OBJECT: Final = 100
"""The larger a state, the more seldom it is written down."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Change]).decode


_OURS: Final = re.compile(
    r"wal/\d{20}|state/\d{20}|logs/[^/]+/\d{20}\.[0-9a-f]{32}|alive/[\w.-]+"
    r"|(mixed|snapshot|probe)/[0-9a-f]{32}"
)


def is_ours(key: str) -> bool:
    """Whether an object can be of an engine at all; nothing else is touched."""
    return _OURS.fullmatch(key) is not None


def wal_key(number: int) -> str:
    """Where an object of the journal lies."""
    return f"{WAL}{number:020}"


def state_key(number: int) -> str:
    """Where the state behind it lies."""
    return f"{STATE}{number:020}"


def uptime_s() -> float:
    """A clock that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Waiting:
    """A change that is to be made."""

    __slots__ = ("change", "data", "done", "subject")

    def __init__(self, subject: str, change: Change, data: Sequence[bytes]) -> None:
        self.subject = subject
        self.change = change
        self.data = data
        self.done: asyncio.Future[LogState | None] = asyncio.get_running_loop().create_future()

    def fail(self, error: StorageError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Attempt:
    """An object of the journal that this engine wants to write."""

    __slots__ = ("batch", "data", "data_at", "id", "number")

    def __init__(self, number: int, batch: Sequence[_Waiting]) -> None:
        self.number = number
        self.batch = batch
        self.id = os.urandom(16)
        changes = _encode([each.change for each in batch])
        data = [_HEAD.pack(_MAGIC, self.id, len(changes)), changes]
        for each in batch:
            data += each.data
        self.data = b"".join(data)
        self.data_at = _HEAD.size + len(changes)


class _Found(msgspec.Struct):
    """An object of the journal, without its data."""

    attempt: bytes
    changes: list[Change]
    data_at: int


class Journal:
    """The journal of one prefix, and the state behind its last object that is known."""

    def __init__(self, bucket: Bucket, config: S3Config) -> None:
        self.bucket = bucket
        self.state = State()
        self._config = config
        self._checkpoint = 0
        """Of the newest state that was written down."""
        self._checkpointing: asyncio.Task[None] | None = None
        self._at_end_s = -float("inf")
        """When this was the last time known to be at the journal's end."""
        self._attempt: _Attempt | None = None
        """The last one of this engine: of what became of it, there may be no answer yet."""
        self._waiting: list[_Waiting] = []
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to write; ``catch_up`` has read the state."""
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Writes the state down, so that the next start is quick, and ends."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            for each in self._waiting:
                each.fail(Unavailable("the engine is closed"))
            self._waiting.clear()
            if self._checkpointing is not None:
                await self._checkpointing
            if self.state.number > self._checkpoint:
                await self._try_to_write_down(self.state.number, self.state.encode())

    # --- writing

    def submit(
        self, subject: str, change: Change, data: Sequence[bytes] = ()
    ) -> asyncio.Future[LogState | None]:
        """Makes a change when its turn comes.

        Args:
            subject: Whose change; those of one log are made in the order given.
            change: What is to be done.
            data: What it appends.

        Returns:
            The log, when the change is durable; a ``StorageError`` where it is not: ``Unavailable``
            if nobody knows, else nothing has changed.
        """
        waiting = _Waiting(subject, change, data)
        if self._worker is None:
            waiting.fail(Unavailable("the engine is closed"))
            return waiting.done
        self._waiting.append(waiting)
        self._wake.set()
        return waiting.done

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            if self._config.linger_s:
                await asyncio.sleep(self._config.linger_s)
            batch = self._take()
            try:
                async with self._writing:
                    await self._write(batch)
            except StorageError as error:
                for each in batch:
                    each.fail(error)
            except Exception as error:  # nobody else would tell those who wait
                logger.exception("The journal cannot be written")
                for each in batch:
                    each.fail(Unavailable(f"the journal cannot be written: {error}"))
            self._write_down_sometimes()

    def _take(self) -> list[_Waiting]:
        subjects: set[str] = set()
        batch: list[_Waiting] = []
        left: list[_Waiting] = []
        for each in self._waiting:
            if each.subject in subjects:
                left.append(each)
            else:
                subjects.add(each.subject)
                batch.append(each)
        self._waiting = left
        if not left:
            self._wake.clear()
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        deadline_s = uptime_s() + self._config.flush_timeout_s
        delay_s = RETRY_DELAY_MIN_S
        attempt: _Attempt | None = None
        while True:
            try:
                await self._be_at_end()
                if attempt is None or attempt.number != self.state.number + 1:
                    batch = self._still_possible(batch)
                    if not batch:
                        return
                    attempt = self._attempt = _Attempt(self.state.number + 1, batch)
                if await self._create(attempt):
                    self._won(attempt)
                    return
            except Unavailable:
                if uptime_s() + delay_s > deadline_s:
                    raise
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_DELAY_MAX_S)

    def _won(self, attempt: _Attempt) -> None:
        state = self.state
        assert attempt.number == state.number + 1
        state.number += 1
        self._attempt = None
        data_at = attempt.data_at
        for each in attempt.batch:
            log = state.apply(each.change, wal_key(state.number), data_at)
            data_at += sum(map(len, each.data))
            if not each.done.done():
                each.done.set_result(log)

    def _still_possible(self, batch: list[_Waiting]) -> list[_Waiting]:
        possible = []
        for each in batch:
            if each.done.done():
                continue
            refusal = self.state.refusal(each.change)
            if refusal is None:
                possible.append(each)
            else:
                each.fail(refusal)
        return possible

    async def _create(self, attempt: _Attempt) -> bool:
        """Tries to win a number; on False the state has moved on.

        Raises:
            Unavailable: Perhaps it is won, perhaps not: the same data must be tried again.
        """
        number = attempt.number
        asked_s = uptime_s()
        try:
            won = await self.bucket.create(wal_key(number), attempt.data)
        except Unavailable:
            won = False
        if not won:
            found = await self._read(number)
            if found is None:
                message = f"{self.bucket.place} did not take {wal_key(number)}"
                raise Unavailable(message)
            if found.attempt != attempt.id:
                self._apply(number, found)
                return False
        if self._is_late():
            newest = await self._newest()
            if newest >= number:
                await self._load(newest)
                return False
        self._at_end_s = asked_s
        return True

    # --- being at the end

    def _is_late(self) -> bool:
        return uptime_s() - self._at_end_s > self._config.grace_s / 4

    async def _be_at_end(self) -> None:
        if self._is_late():
            await self._catch_up()

    async def catch_up(self) -> None:
        """Learns what others have written."""
        async with self._writing:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Reads on until no object follows, and none has followed that is deleted by now."""
        newest = await self._newest()
        while True:
            if newest > self.state.number:
                await self._load(newest)
            asked_s = await self._read_on()
            newest = await self._newest()
            if newest <= self.state.number:
                self._at_end_s = asked_s
                return

    async def _read_on(self) -> float:
        """Applies what follows; when it was asked for what is not there."""
        window = 1
        while True:
            asked_s = uptime_s()
            first = self.state.number + 1
            found = await asyncio.gather(
                *(self._read(number) for number in range(first, first + window))
            )
            for number, each in enumerate(found, first):
                if each is None:
                    return asked_s
                self._apply(number, each)
            window = READ_AT_ONCE

    async def _newest(self) -> int:
        """Which state is the newest: as is listed, or as was noted, should a listing lack it."""
        listed = await self.bucket.list(STATE)
        noted = await self.bucket.get(NEWEST)
        numbers = [int(each.key[len(STATE) :]) for each in listed if is_ours(each.key)]
        return max(*numbers, int(noted or b"0"), 0)

    async def _load(self, number: int) -> None:
        data = await self.bucket.get(state_key(number))
        if data is None:
            message = f"{state_key(number)} is gone while it was to be read"
            raise Unavailable(message)
        self.state = State.decode(data)
        self._checkpoint = number

    def _apply(self, number: int, found: _Found) -> None:
        attempt = self._attempt
        if attempt is not None and found.attempt == attempt.id:
            self._won(attempt)
            return
        state = self.state
        assert number == state.number + 1
        position = found.data_at
        for change in found.changes:
            refusal = state.refusal(change)
            if refusal is not None:
                message = f"{wal_key(number)} is damaged, or its server does not order creates"
                raise StorageError(f"{message}: {refusal}")
            size = sum(piece.size for piece in getattr(change, "pieces", ()) if not piece.key)
            state.apply(change, wal_key(number), position)
            position += size
        state.number = number

    async def _read(self, number: int) -> _Found | None:
        key = wal_key(number)
        data = await self.bucket.get_range(key, 0, HEAD_READ_BYTES)
        if data is None:
            return None
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            version = data[len(_KIND) : len(_MAGIC)]
            if data.startswith(_KIND) and version.isdigit():
                raise StorageError(other_format(int(version)))
            message = f"{key} is no object of the journal"
            raise StorageError(message)
        _, attempt, size = _HEAD.unpack_from(data)
        data_at = _HEAD.size + size
        if data_at > len(data):
            data = await self.bucket.get_range(key, 0, data_at)
            if data is None:
                return None
        try:
            changes = _decode(data[_HEAD.size : data_at])
        except msgspec.MsgspecError as error:
            message = f"{key} is damaged: {error}"
            raise StorageError(message) from None
        return _Found(attempt, changes, data_at)

    # --- writing the state down

    def _write_down_sometimes(self) -> None:
        if self._checkpointing is not None:
            return
        state = self.state
        behind = state.number - self._checkpoint
        if behind < CHECKPOINT_OBJECTS:
            return
        pieces = sum(len(log.pieces) for log in state.logs.values())
        if behind < CHECKPOINT_OBJECTS + pieces // PIECES_PER_CHECKPOINT_OBJECT:
            return
        self._checkpointing = asyncio.create_task(
            self._try_to_write_down(state.number, state.encode())
        )

    async def _try_to_write_down(self, number: int, data: bytes) -> None:
        try:
            await self._write_down(number, data)
        except StorageError as error:
            logger.warning("The state is not written down yet: %s", error)
        finally:
            self._checkpointing = None

    async def _write_down(self, number: int, data: bytes) -> None:
        await self.bucket.put(state_key(number), data)
        await self.bucket.put(NEWEST, str(number).encode())
        self._checkpoint = max(self._checkpoint, number)
