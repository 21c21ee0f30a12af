"""All transactions of one partition of __transaction_state, as one replicated state machine.

Life of a shard: ``apply`` every record of the log; ``load`` it; then requests, and ``expire``
whenever ``deadline`` is reached; at the end ``fail_all``. What the runtime owes to an outcome is
in outcome.py; the one effect is ``WriteMarkers``, which says what is owed to it.

- ``apply`` is the only writer of durable state, in replay and live alike. A request decides by
  reading, emits records, and sees them in the state when the runtime has applied them.
- Nothing here waits, and nothing knows the time but from its caller.
- A request of several transactions (AddPartitionsToTxn 4) comes as one each; the others come with
  this shard's ids alone. The caller splits them and joins the answers.

Kafka's counterparts are ``TransactionCoordinator`` and ``TransactionStateManager``.
"""

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest
from datacore._generated.add_partitions_to_txn import AddPartitionsToTxnRequest
from datacore._generated.describe_transactions import DescribeTransactionsRequest
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.list_transactions import ListTransactionsRequest
from datacore.coordinator.context import RequestContext
from datacore.coordinator.outcome import Outcome
from datacore.coordinator.shard import Shard
from datacore.coordinator.transaction import (
    add_partitions_to_txn,
    describe_transactions,
    end_txn,
    expiry,
    init_producer_id,
)
from datacore.coordinator.transaction.config import TransactionConfig
from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.coordinator.transaction.records import decode
from datacore.coordinator.transaction.state import (
    ShardState,
    TimerKind,
    Turn,
    WriteMarkers,
    watch_time,
)
from datacore.wire.buffer import Buffer


class TransactionShard(Shard[Turn]):
    """Transactions of one partition of __transaction_state.

    Attributes:
        state: What the shard knows; for reading.
    """

    def __init__(self, config: TransactionConfig) -> None:
        super().__init__()
        self.state = ShardState(config)

    # Life.

    def apply(self, key: Buffer, value: Buffer | None, producer_id: int | None = None) -> None:
        """Takes one record of the log into the durable state.

        Raises:
            DecodeError: The record's type is known and the record does not parse.
        """
        del producer_id  # these records are of no transaction themselves
        self._applies_one()
        stored = decode(key, value)
        if stored is None:
            self.skipped_records += 1
        elif stored.metadata is None:
            self.state.transactions.pop(stored.transactional_id, None)
        else:
            self.state.transactions[stored.transactional_id] = stored.metadata
            if self._is_live:
                watch_time(self.state, stored.transactional_id, stored.metadata)

    def apply_marker(self, producer_id: int, *, is_commit: bool) -> None:
        """Nothing: no transaction has records in this log."""

    def load(self, now_ms: int) -> Outcome:
        """Begins to lead: the log is applied to its end. What was prepared is finished."""
        turn = self._begin_to_lead(now_ms)
        for transactional_id, metadata in self.state.transactions.items():
            watch_time(self.state, transactional_id, metadata)
            if metadata.state.is_prepared:
                turn.owe_markers(transactional_id, metadata)
        expiry.start_sweeping(turn)
        return self._end(turn)

    def deadline(self) -> int | None:
        """When ``expire`` is due, in ms of the caller's clock; None before ``load``."""
        return self.state.timers.deadline()

    def may_be_due_before(self, ms: int) -> bool:
        """Whether ``deadline`` may lie before ``ms``: a quick look after each call."""
        return self.state.timers.may_be_due_before(ms)

    def expire(self, now_ms: int) -> Outcome:
        """Does what is due."""
        turn = self._begin(now_ms)
        while (timer := self.state.timers.pop_due(now_ms)) is not None:
            match timer.kind:
                case TimerKind.TRANSACTION:
                    expiry.abort_timed_out(turn, timer.transactional_id)
                case TimerKind.END:
                    end_txn.answer_parked_end(turn, timer.transactional_id)
                case TimerKind.SWEEP:
                    expiry.sweep(turn)
        return self._end(turn)

    def fail_all(self, error_code: ErrorCode) -> Outcome:
        """Answers every parked request with an error: the shard is given up, whatever its state."""
        turn = self._give_up()
        for parked in self.state.parked_ends.values():
            turn.outcome.reply(parked.token, EndTxnResponse(error_code=error_code))
        self.state.parked_ends.clear()
        return turn.outcome

    # Requests.

    def init_producer_id(
        self,
        request: InitProducerIdRequest,
        context: RequestContext,
        fresh_producer_id: int | None,
    ) -> Outcome:
        """InitProducerId 0-5; with a producer id that nobody has, where one may be needed."""
        turn = self._begin(context.now_ms)
        init_producer_id.init_producer_id(turn, request, context, fresh_producer_id)
        return self._end(turn)

    def init_needs_producer_id(self, request: InitProducerIdRequest) -> bool:
        """Whether ``init_producer_id`` should come with a fresh producer id."""
        return init_producer_id.needs_producer_id(self.state, request)

    def add_partitions_to_txn(
        self, request: AddPartitionsToTxnRequest, context: RequestContext
    ) -> Outcome:
        """AddPartitionsToTxn 0-5."""
        return self._handle(add_partitions_to_txn.add_partitions_to_txn, request, context)

    def add_offsets_to_txn(
        self,
        request: AddOffsetsToTxnRequest,
        context: RequestContext,
        offsets_partition: TopicPartition,
    ) -> Outcome:
        """AddOffsetsToTxn 0-4; ``offsets_partition`` is where the group's offsets are."""
        turn = self._begin(context.now_ms)
        add_partitions_to_txn.add_offsets_to_txn(turn, request, context, offsets_partition)
        return self._end(turn)

    def end_txn(
        self, request: EndTxnRequest, context: RequestContext, fresh_producer_id: int | None
    ) -> Outcome:
        """EndTxn 0-5; with a producer id that nobody has, where one may be needed."""
        turn = self._begin(context.now_ms)
        end_txn.end_txn(turn, request, context, fresh_producer_id)
        return self._end(turn)

    def end_needs_producer_id(self, request: EndTxnRequest, api_version: int) -> bool:
        """Whether ``end_txn`` should come with a fresh producer id."""
        return end_txn.needs_producer_id(self.state, request, api_version)

    def describe_transactions(
        self, request: DescribeTransactionsRequest, context: RequestContext
    ) -> Outcome:
        """DescribeTransactions 0."""
        return self._handle(describe_transactions.describe_transactions, request, context)

    def list_transactions(
        self, request: ListTransactionsRequest, context: RequestContext
    ) -> Outcome:
        """ListTransactions 0-2."""
        return self._handle(describe_transactions.list_transactions, request, context)

    # What follows from the effect.

    def markers_durable(self, owed: WriteMarkers, now_ms: int) -> Outcome:
        """All markers of a transaction are durable: whoever waits for that is answered."""
        turn = self._begin(now_ms)
        end_txn.markers_durable(turn, owed)
        return self._end(turn)

    def complete(self, owed: WriteMarkers, now_ms: int) -> Outcome:
        """Notes the same in the log; a call of its own, so that nobody waits for that record."""
        turn = self._begin(now_ms)
        end_txn.complete(turn, owed)
        return self._end(turn)

    # How a call goes.

    def _turn(self, now_ms: int) -> Turn:
        return Turn(self.state, now_ms)
