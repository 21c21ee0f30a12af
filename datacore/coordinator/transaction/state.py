"""What a transaction shard knows, and one call's hold on it.

Durable are ``transactions``: replay alone writes them, and they are all that a new coordinator
starts from. The rest is what a coordinator adds while it leads.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from datacore._generated.end_txn import EndTxnResponse
from datacore.coordinator.outcome import Outcome, ReplyToken
from datacore.coordinator.timers import Timers
from datacore.coordinator.transaction.config import TransactionConfig
from datacore.coordinator.transaction.metadata import (
    TopicPartition,
    TransactionMetadata,
    TransactionState,
)
from datacore.coordinator.transaction.records import transaction_record, transaction_tombstone


@dataclass(frozen=True, slots=True)
class WriteMarkers:
    """An effect: each partition is owed the marker that ends the transaction.

    The driver writes them, waits until they are durable, and then calls ``markers_durable`` and
    ``complete`` with this. It goes on trying until it has succeeded: nobody asks again, but for a
    new coordinator after a restart.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    is_commit: bool
    partitions: tuple[TopicPartition, ...]


class TimerKind(Enum):
    """What may run out."""

    TRANSACTION = auto()
    """The time that a transaction may be open."""
    END = auto()
    """The time that EndTxn waits for its markers."""
    SWEEP = auto()
    """The shard's time between two looks for expired ids."""


class Timer(NamedTuple):
    """Name of a deadline."""

    kind: TimerKind
    transactional_id: str = ""


class ParkedEnd(NamedTuple):
    """An EndTxn that waits for its markers; what it will be told is known."""

    token: ReplyToken
    response: EndTxnResponse


@dataclass(slots=True)
class ShardState:
    """All of one shard.

    Attributes:
        config: Limits and timings.
        transactions: By transactional id.
        last_epochs: The epoch that an id's producer had before the present one, unless the present
            one was given to another producer (KIP-360); Kafka keeps it in memory only, too.
        parked_ends: Who waits for the markers of a transaction.
        timers: Deadlines.
    """

    config: TransactionConfig
    transactions: dict[str, TransactionMetadata] = field(default_factory=dict)
    last_epochs: dict[str, int] = field(default_factory=dict)
    parked_ends: dict[str, ParkedEnd] = field(default_factory=dict)
    timers: Timers[Timer] = field(default_factory=Timers)


@dataclass(slots=True)
class Turn:
    """One call into the shard: the state it may look at, the time, and the outcome it fills."""

    state: ShardState
    now_ms: int
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def config(self) -> TransactionConfig:
        """The shard's limits and timings."""
        return self.state.config

    def store(self, transactional_id: str, metadata: TransactionMetadata) -> None:
        """Writes an id's new state."""
        self.outcome.append(transaction_record(transactional_id, metadata))

    def drop(self, transactional_id: str) -> None:
        """Forgets an id."""
        self.outcome.append(transaction_tombstone(transactional_id))
        self.state.last_epochs.pop(transactional_id, None)

    def owe_markers(self, transactional_id: str, metadata: TransactionMetadata) -> None:
        """Has the markers of a prepared transaction written."""
        self.outcome.effects.append(
            WriteMarkers(
                transactional_id,
                metadata.producer_id,
                metadata.producer_epoch,
                metadata.state is TransactionState.PREPARE_COMMIT,
                tuple(sorted(metadata.partitions)),
            )
        )


def watch_time(state: ShardState, transactional_id: str, metadata: TransactionMetadata) -> None:
    """Lets an open transaction's time run, and no other's."""
    timer = Timer(TimerKind.TRANSACTION, transactional_id)
    if metadata.state is TransactionState.ONGOING:
        state.timers.schedule(timer, metadata.expires_at_ms)
    else:
        state.timers.cancel(timer)
