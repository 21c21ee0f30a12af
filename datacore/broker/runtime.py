"""Drives one shard of a coordinator: the impure file beside a pure machine.

It keeps the rules of ``datacore.coordinator.outcome``: one call at a time; records are appended,
then applied; replies leave, and effects begin, when all that the shard has appended so far is
durable; after a failed append the machine is thrown away and made anew by replay.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from datacore._generated.errors import ErrorCode
from datacore.broker.internal_log import append_records, records_of, replay_batches
from datacore.coordinator.context import RequestContext as CoordinatorContext
from datacore.protocol.errors import KafkaError
from datacore.record.control import ControlType, decode_end_transaction_marker
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Coroutine

    from datacore.broker.context import RequestContext
    from datacore.coordinator.outcome import Outcome, Producer, Reply
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.message import Message
    from datacore.record.control import EndTransactionMarker
    from datacore.wire.buffer import Buffer

SOONEST_MS = 1
"""A deadline that has passed is looked at in the loop's next turns, not within the call."""

RELOAD_DELAY_MIN_S = 0.1
RELOAD_DELAY_MAX_S = 30.0
"""Between two attempts to replay a log that cannot be read."""


class Machine(Protocol):
    """What every coordinator's shard can do, whatever it coordinates."""

    def apply(self, key: Buffer, value: Buffer | None, producer_id: int | None = None) -> None:
        """Takes one record of the log in; ``producer_id``: whose open transaction it is of."""

    def apply_marker(self, producer_id: int, *, is_commit: bool) -> None:
        """Takes in how a producer's transaction in this log ended."""

    def load(self, now_ms: int) -> Outcome:
        """Begins to lead."""

    def deadline(self) -> int | None:
        """When ``expire`` is due."""

    def may_be_due_before(self, ms: int) -> bool:
        """Whether ``deadline`` may lie before ``ms``; False is certain."""

    def expire(self, now_ms: int) -> Outcome:
        """Does what is due."""

    def withdraw(self) -> None:
        """The last outcome's records were not appended."""

    def fail_all(self, error_code: ErrorCode) -> Outcome:
        """Answers whatever is parked."""


MachineT = TypeVar("MachineT", bound=Machine)
ResponseT = TypeVar("ResponseT", bound="Message")
"""The machine answers each request with the response of its API."""


@dataclass(slots=True)
class _Held:
    """What waits for one round of group commit."""

    replies: list[Reply] = field(default_factory=list)
    effects: list[object] = field(default_factory=list)


class ShardRuntime(Generic[MachineT]):
    """One shard: its machine, its log and its clock.

    Args:
        log: The shard's log.
        new_machine: Makes a machine that knows nothing yet.
        now_ms: The clock.
        spawn: Runs a task.
        logger: Where the machine's sentences go.
        begin: Begins an effect of the machine.
    """

    def __init__(
        self,
        log: PartitionLog,
        new_machine: Callable[[], MachineT],
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
        logger: logging.Logger,
        begin: Callable[[object], None] | None = None,
    ) -> None:
        self.log = log
        self._new_machine = new_machine
        self._now_ms = now_ms
        self._spawn = spawn
        self._logger = logger
        self._begin = begin
        self.machine: MachineT | None = None
        """None while it is being loaded."""
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms = 0
        self._flush: Pending[None] | None = None
        """The latest round of group commit that the shard's records belong to."""
        self._held: dict[Pending[None], _Held] = {}
        """Replies and effects by the round that they wait for."""
        self._is_refused = False
        """The log took no records, the last time that it was given some."""

    async def start(self) -> None:
        """Loads the shard; if its log cannot be read, it alone is not served until it can."""
        try:
            await self.load()
        except KafkaError:
            self._logger.exception("The coordinator's log cannot be replayed.")
            self._spawn(self._load_again())

    async def load(self) -> None:
        """Builds the machine by replay of its log.

        Raises:
            KafkaError: The log cannot be read.
        """
        await self.log.recover()
        machine = self._new_machine()
        async for header, batch in replay_batches(self.log):
            if header.is_control:
                marker = decode_end_transaction_marker(batch, header)
                is_commit = marker.control_type is ControlType.COMMIT
                machine.apply_marker(header.producer_id, is_commit=is_commit)
                continue
            producer_id = header.producer_id if header.is_transactional else None
            for record in records_of(header, batch):
                if record.key is not None:
                    machine.apply(record.key, record.value, producer_id)
        self.machine = machine
        self._perform(machine.load(self._now_ms()))

    def call(
        self,
        handle: Callable[[MachineT, CoordinatorContext], Outcome],
        context: RequestContext,
        *,
        api_version: int | None = None,
    ) -> Pending[ResponseT]:
        """Asks the machine; the answer may be there at once, or much later.

        Args:
            handle: Asks it.
            context: Of the client's request.
            api_version: What is asked, where that is not the client's own request.

        Raises:
            KafkaError: COORDINATOR_LOAD_IN_PROGRESS.
        """
        if self.machine is None:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        answer: Pending[ResponseT] = Pending()
        outcome = handle(
            self.machine,
            CoordinatorContext(
                api_version=context.api_version if api_version is None else api_version,
                token=answer,
                now_ms=self._now_ms(),
                client_id=context.client_id or "",
                client_host=f"/{context.session.client_host}",
            ),
        )
        self._perform(outcome)
        return answer

    def append_marker(
        self, producer: Producer, marker: EndTransactionMarker
    ) -> Pending[None] | None:
        """Ends a producer's transaction in the shard's log.

        Returns:
            None when that is durable now, else what to wait for.

        Raises:
            KafkaError: COORDINATOR_LOAD_IN_PROGRESS; or the log refuses the marker, and nothing
                has changed.
        """
        machine = self.machine
        if machine is None:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        flush = self.log.append_marker(
            producer.producer_id, producer.producer_epoch, marker, self._now_ms()
        ).durable
        is_commit = marker.control_type is ControlType.COMMIT
        machine.apply_marker(producer.producer_id, is_commit=is_commit)
        self._watch(flush)
        return flush

    def perform(self, act: Callable[[MachineT, int], Outcome]) -> None:
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
            self._logger.info(sentence)
        if outcome.records:
            producer = outcome.producer
            try:
                flush = append_records(self.log, outcome.records, self._now_ms(), producer)
            except KafkaError as error:
                self._refuse(machine, outcome, error)
                return
            self._is_refused = False
            try:
                for record in outcome.records:
                    machine.apply(
                        record.key, record.value, None if producer is None else producer.producer_id
                    )
            except Exception:  # whatever it is, this machine does not know any more what it wrote
                self._logger.exception("The coordinator's log takes no records; it is reloaded.")
                self._reload(outcome.replies)
                return
            self._watch(flush)
        self._set_timer(machine)
        if self._flush is not None:
            held = self._held.setdefault(self._flush, _Held())
            held.replies += outcome.replies
            held.effects += outcome.effects
        else:
            # Last: an answer lets its connection's next request in, which may call this shard.
            self._let_go(outcome.replies, outcome.effects)

    def _watch(self, flush: Pending[None] | None) -> None:
        """Holds all that comes from now on until a round of group commit is over."""
        if flush is not None and flush is not self._flush:
            self._flush = flush
            flush.then(self._flushed)

    def _let_go(self, replies: list[Reply], effects: list[object]) -> None:
        self._send(replies)
        for effect in effects:
            assert self._begin is not None, "a machine with effects has a driver for them"
            self._begin(effect)

    def _refuse(self, machine: MachineT, outcome: Outcome, error: KafkaError) -> None:
        """The log took none of an outcome's records: its device is full, say."""
        if not self._is_refused:
            self._logger.error("The coordinator's log takes no records: %s", error)
        self._is_refused = True
        if not outcome.is_only_records or self.log.needs_recovery:
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
        held = self._held.pop(flush, None)
        if held is not None:
            self._let_go(held.replies, held.effects)

    def _reload(self, refused: list[Reply]) -> None:
        """Throws the machine away, whose state may run ahead of its log."""
        machine = self.machine
        assert machine is not None
        self.machine = None
        self._flush = None
        unsafe = [reply for held in self._held.values() for reply in held.replies]
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
                self._logger.exception(
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

    def _set_timer(self, machine: MachineT) -> None:
        # Heartbeats move deadlines away from the one that the timer waits for.
        if self._timer is not None and not machine.may_be_due_before(self._timer_due_ms):
            return
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
