"""A Fetch request that waits: for records (long poll), or for a device.

Rules:

- A request waits until ``min_bytes`` are there, ``max_wait_ms`` are over, or something is wrong.
  While it waits it is a callback on its partitions' logs and one timer; no task.
- An append costs it one look at one partition, and what was seen there is not read again for the
  answer.
- Whoever runs it then is somebody else: the producer whose records woke it, the round of group
  commit, the broker's task group. So what is unexpected is told to this client, and to it alone.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from datacore.broker.down_conversion import convert
from datacore.broker.fetch_reading import Cold, is_news
from datacore.protocol.errors import KafkaError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from datacore._generated.fetch import FetchResponse
    from datacore._generated.fetch import PartitionData as FetchedPartition
    from datacore.broker.context import RequestContext
    from datacore.broker.down_conversion import Read
    from datacore.broker.fetch_reading import FetchReading
    from datacore.broker.fetch_sessions import WantedPartition
    from datacore.log.partition_log import PartitionLog


class ParkedFetch:
    """One request that was not answered at once."""

    __slots__ = (
        "_context",
        "_deadline_s",
        "_is_abandoned",
        "_pending",
        "_reading",
        "_sizes",
        "_spawn",
        "_timer",
        "_watched",
    )

    def __init__(
        self,
        spawn: Callable[[Coroutine[object, object, None]], None],
        context: RequestContext,
        reading: FetchReading,
    ) -> None:
        self._spawn = spawn
        self._context = context
        self._reading = reading
        self._pending: Pending[FetchResponse] = Pending()
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """None while nothing is waited for but a device."""
        self._watched: list[tuple[PartitionLog, Callable[[], None]]] = []
        self._sizes: dict[WantedPartition, int] = {}
        """Bytes of each partition wanted."""
        self._is_abandoned = False

    def start(self, collected: list[FetchedPartition] | Cold) -> Pending[FetchResponse]:
        """Begins to wait, where what was collected is not enough."""
        self._context.session.abandon = self._abandon
        max_wait_s = self._reading.max_wait_ms / 1000
        self._deadline_s = asyncio.get_running_loop().time() + max_wait_s
        self._go_on(collected)
        return self._pending

    def _go_on(self, collected: list[FetchedPartition] | Cold) -> None:
        """Answers, waits for records, or waits for a device."""
        if isinstance(collected, Cold):
            self._spawn(self._read_cold(collected))
        elif self._reading.is_enough:
            self._pending.resolve(self._reading.response(collected))
        else:
            self._park(collected)

    async def _read_cold(self, cold: Cold) -> None:
        """Reads from devices until the request can be answered."""
        reading = self._reading
        reads: dict[WantedPartition, Read] = {}
        collected: list[FetchedPartition] | Cold = cold
        try:
            while isinstance(collected, Cold):
                wanted, log, bytes_max = collected
                try:
                    buffers = await log.read(
                        wanted.fetch_offset, bytes_max, reading.end_for_reader(log)
                    )
                    reads[wanted] = buffers
                    if reading.magic < 2 and buffers:
                        reads[wanted] = await convert(buffers, reading.magic, wanted.fetch_offset)
                except KafkaError as error:
                    reads[wanted] = error
                if self._is_abandoned:
                    return
                collected = reading.collect(reads)
            self._go_on(collected)
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    def _park(self, collected: list[FetchedPartition]) -> None:
        reading = self._reading
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._deadline_s, self._give_up_waiting)
        self._note_sizes(collected)
        scope = reading.scope
        session = scope.session if scope.is_incremental else None
        if session is None:
            for wanted in scope.partitions:
                self._watch(wanted)
            return
        session.on_wake = self._awoken
        looked_at = list(zip(scope.partitions, collected, strict=True))
        scope.partitions.clear()
        for wanted, result in looked_at:
            if reading.is_at_end(wanted, result) and not is_news(wanted, result):
                session.rest(wanted, reading.log_of(wanted))
            else:
                scope.partitions.append(wanted)
                self._watch(wanted)

    def _watch(self, wanted: WantedPartition) -> None:
        log = self._reading.log_of(wanted)
        wake = partial(self._wake, wanted)
        log.watch(wake)
        self._watched.append((log, wake))

    def _awoken(self, wanted: WantedPartition) -> None:
        """A partition of the session rests no more."""
        self._reading.scope.partitions.append(wanted)
        self._sizes[wanted] = 0
        self._wake(wanted)
        if self._timer is not None:
            with suppress(KafkaError):  # it is gone, which looking at it tells
                self._watch(wanted)

    def _note_sizes(self, collected: list[FetchedPartition]) -> None:
        waiting = zip(self._reading.scope.partitions, collected, strict=True)
        self._sizes = {wanted: len(result.records or b"") for wanted, result in waiting}

    def _abandon(self) -> None:
        """The client is gone."""
        self._is_abandoned = True
        self._unpark()

    def _unpark(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for log, wake in self._watched:
            log.unwatch(wake)
        self._watched.clear()
        session = self._reading.scope.session
        if session is not None and session.on_wake == self._awoken:
            session.on_wake = None

    def _wake(self, wanted: WantedPartition) -> None:
        """Something has happened to that partition's log."""
        if self._timer is None:
            return  # who is to be woken was listed before, and the waiting has ended meanwhile
        reading = self._reading
        try:
            reading.size -= self._sizes[wanted]
            try:
                seen = reading.read(wanted)
            except KafkaError:
                collected = reading.collect()
            else:
                if isinstance(seen, Cold):
                    collected = reading.collect()
                else:
                    self._sizes[wanted] = len(seen.records or b"")
                    if not reading.is_enough:
                        return
                    collected = reading.collect(known=(wanted, seen) if seen.records else None)
            if isinstance(collected, Cold) or reading.is_enough:
                self._unpark()
                self._go_on(collected)
            else:
                self._note_sizes(collected)
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    def _give_up_waiting(self) -> None:
        self._reading.is_over = True
        self._unpark()
        try:
            self._go_on(self._reading.collect())
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Tells this client of the unexpected, if it was not answered yet."""
        self._unpark()
        if self._pending.is_settled:
            raise error
        self._pending.fail(error)
