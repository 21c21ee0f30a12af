"""Drives one shard of the group coordinator: the impure file beside a pure machine.

It keeps the four rules of ``datacore.coordinator.outcome``: one call at a time; records are
appended, then applied; replies leave when all that the shard has appended so far is durable; after
a failed append the machine is thrown away and made anew by replay.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio

from datacore._generated.errors import ErrorCode
from datacore.broker.internal_log import append_records, replay
from datacore.coordinator.context import RequestContext as CoordinatorContext
from datacore.coordinator.group.shard import GroupShard
from datacore.protocol.errors import KafkaError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from datacore.broker.context import RequestContext
    from datacore.coordinator.group.config import GroupConfig
    from datacore.coordinator.group.consumer.topics import ClusterView
    from datacore.coordinator.outcome import Outcome, Reply
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.message import Message

logger = logging.getLogger("datacore.broker.groups")

SOONEST_MS = 1
"""A deadline that has passed is looked at in the loop's next turns, not within the call."""

RELOAD_DELAY_MIN_S = 0.1
RELOAD_DELAY_MAX_S = 30.0
"""Between two attempts to replay a log that cannot be read."""


class ShardRuntime:
    """One shard: its machine, its log and its clock."""

    def __init__(
        self,
        log: PartitionLog,
        config: GroupConfig,
        cluster: ClusterView,
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._log = log
        self._config = config
        self._cluster = cluster
        self._now_ms = now_ms
        self._spawn = spawn
        self.machine: GroupShard | None = None
        """None while it is being loaded."""
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms = 0
        self._flush: Pending[None] | None = None
        """The latest round of group commit that the shard's records belong to."""
        self._held: dict[Pending[None], list[Reply]] = {}
        """Replies by the round that they wait for."""
        self._is_refused = False
        """The log took no records, the last time that it was given some."""

    async def start(self) -> None:
        """Loads the shard; if its log cannot be read, it alone is not served until it can."""
        try:
            await self.load()
        except KafkaError:
            logger.exception("The coordinator's log cannot be replayed.")
            self._spawn(self._load_again())

    async def load(self) -> None:
        """Builds the machine by replay of its log.

        Raises:
            KafkaError: The log cannot be read.
        """
        await self._log.recover()
        machine = GroupShard(self._config, self._cluster)
        async for record in replay(self._log):
            if record.key is not None:
                machine.apply(record.key, record.value)
        self.machine = machine
        self._perform(machine.load(self._now_ms()))

    def call(
        self,
        handle: Callable[[GroupShard, CoordinatorContext], Outcome],
        context: RequestContext,
    ) -> Pending[Message]:
        """Asks the machine; the answer may be there at once, or much later.

        Raises:
            KafkaError: COORDINATOR_LOAD_IN_PROGRESS.
        """
        if self.machine is None:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        answer: Pending[Message] = Pending()
        outcome = handle(
            self.machine,
            CoordinatorContext(
                api_version=context.api_version,
                token=answer,
                now_ms=self._now_ms(),
                client_id=context.client_id or "",
                client_host=f"/{context.session.client_host}",
            ),
        )
        self._perform(outcome)
        return answer

    def perform(self, act: Callable[[GroupShard, int], Outcome]) -> None:
        """Lets the machine do what no request asks for; nothing while it is being loaded."""
        if self.machine is not None:
            self._perform(act(self.machine, self._now_ms()))

    def stop(self) -> None:
        """Answers whatever is parked: another broker, or this one later, goes on."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self.machine is not None:
            self._send(self.machine.fail_all(ErrorCode.NOT_COORDINATOR).replies)
            self.machine = None

    def _perform(self, outcome: Outcome) -> None:
        """Appends, applies, and replies as soon as that is safe."""
        machine = self.machine
        assert machine is not None
        for sentence in outcome.sentences:
            logger.info(sentence)
        if outcome.records:
            try:
                flush = append_records(self._log, outcome.records, self._now_ms())
            except KafkaError as error:
                self._refuse(machine, outcome, error)
                return
            self._is_refused = False
            try:
                for record in outcome.records:
                    machine.apply(record.key, record.value)
            except Exception:  # whatever it is, this machine does not know any more what it wrote
                logger.exception("The coordinator's log takes no records; its groups are reloaded.")
                self._reload(outcome.replies)
                return
            if flush is not None and flush is not self._flush:
                self._flush = flush
                flush.then(self._flushed)
        self._set_timer(machine)
        if self._flush is not None:
            self._held.setdefault(self._flush, []).extend(outcome.replies)
        else:
            # Last: an answer lets its connection's next request in, which may call this shard.
            self._send(outcome.replies)

    def _refuse(self, machine: GroupShard, outcome: Outcome, error: KafkaError) -> None:
        """The log took none of an outcome's records: its device is full, say."""
        if not self._is_refused:
            logger.error("The coordinator's log takes no records: %s", error)
        self._is_refused = True
        if not outcome.is_only_records or self._log.needs_recovery:
            self._reload(outcome.replies)
            return
        machine.withdraw()
        self._set_timer(machine)
        for reply in outcome.replies:
            self._fail(reply)

    def _flushed(self, flush: Pending[None]) -> None:
        if flush.error is not None:
            if self.machine is not None:
                self._reload([])
            return
        if flush is self._flush:
            self._flush = None
        self._send(self._held.pop(flush, []))

    def _reload(self, refused: list[Reply]) -> None:
        """Throws the machine away, whose state may run ahead of its log."""
        machine = self.machine
        assert machine is not None
        self.machine = None
        self._flush = None
        unsafe = [reply for replies in self._held.values() for reply in replies]
        self._held = {}
        parked = machine.fail_all(ErrorCode.NOT_COORDINATOR).replies
        for reply in (*unsafe, *refused):
            self._fail(reply)
        self._send(parked)
        self._spawn(self._load_again())

    async def _load_again(self) -> None:
        """Replays until that succeeds or the shard is given up: nobody else serves its groups."""
        delay_s = RELOAD_DELAY_MIN_S
        while not self._is_stopped:
            try:
                await self.load()
            except Exception:
                logger.exception(
                    "The coordinator's log cannot be replayed; once more in %g s.", delay_s
                )
            else:
                return
            await anyio.sleep(delay_s)
            delay_s = min(delay_s * 2, RELOAD_DELAY_MAX_S)

    @staticmethod
    def _send(replies: list[Reply]) -> None:
        for reply in replies:
            answer = reply.token
            assert isinstance(answer, Pending)
            if not answer.is_settled:
                answer.resolve(reply.message)

    @staticmethod
    def _fail(reply: Reply) -> None:
        """What the reply says never became durable: the client asks again."""
        answer = reply.token
        assert isinstance(answer, Pending)
        if not answer.is_settled:
            answer.fail(KafkaError(ErrorCode.NOT_COORDINATOR))

    # --- time

    def _set_timer(self, machine: GroupShard) -> None:
        due_ms = machine.deadline()
        if due_ms is None or (self._timer is not None and self._timer_due_ms <= due_ms):
            return  # a timer that comes too early looks again
        if self._timer is not None:
            self._timer.cancel()
        delay_ms = max(due_ms - self._now_ms(), SOONEST_MS)
        self._timer_due_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.machine is not None:
            self._perform(self.machine.expire(self._now_ms()))
