"""A transactional id's producer and transaction: what it is, not who may change it.

The states, and what moves a transaction between them::

    Empty, CompleteCommit, CompleteAbort ---- InitProducerId ------------> Empty
    Empty, CompleteCommit, CompleteAbort ---- a partition is added ------> Ongoing
    Ongoing ---- EndTxn commits -----------------------------------------> PrepareCommit
    Ongoing ---- EndTxn aborts, the time is up, or a new producer
                 with the id begins -------------------------------------> PrepareAbort
    Empty, CompleteCommit, CompleteAbort ---- EndTxn 5 aborts nothing ---> PrepareAbort
    PrepareCommit ---- every partition has its marker -------------------> CompleteCommit
    PrepareAbort ---- every partition has its marker --------------------> CompleteAbort
    Empty, CompleteCommit, CompleteAbort ---- the id expires ------------> (gone)

Dead and PrepareEpochFence exist for Kafka's records and answers only: there they stand for an id
that is being removed and for an epoch that is being raised, both of which are one step here.

Whatever a Prepare state says will happen, also after a restart. Kafka's counterparts are
``TransactionMetadata`` and ``TransactionState``; KIP-98, KIP-360, KIP-890.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from datacore.protocol.names import TopicName

NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
NO_TIMESTAMP: Final = -1

PRODUCER_EPOCH_MAX: Final = 2**15 - 1
LAST_USABLE_EPOCH: Final = PRODUCER_EPOCH_MAX - 1
"""A producer never gets the largest epoch: so there is always one to fence it with."""

VERSION_WITHOUT_EPOCH_BUMP: Final = 0
VERSION_WITH_EPOCH_BUMP: Final = 2
"""Transactions v2 of KIP-890: each end of a transaction raises the producer's epoch."""


class TransactionState(IntEnum):
    """States by the numbers that records have."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def label(self) -> str:
        """The name that DescribeTransactions and ListTransactions use."""
        return _LABELS[self]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open, and nothing owed to any partition."""
        return self in _SETTLED

    @property
    def is_prepared(self) -> bool:
        """Whether markers are owed to the partitions."""
        return self in _PREPARED


_LABELS: Final = {
    state: "".join(word.capitalize() for word in state.name.split("_"))
    for state in TransactionState
}
STATES_BY_LABEL: Final = {label: state for state, label in _LABELS.items()}

_SETTLED: Final = frozenset(
    {
        TransactionState.EMPTY,
        TransactionState.COMPLETE_COMMIT,
        TransactionState.COMPLETE_ABORT,
    }
)
_PREPARED: Final = frozenset({TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT})


class TopicPartition(NamedTuple):
    """A partition, as transactions name it."""

    topic: TopicName
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionMetadata:
    """All that is durable of one transactional id.

    Attributes:
        producer_id: Of the producer that has the id now.
        producer_epoch: Its epoch; in a Prepare state the one that the markers carry.
        timeout_ms: How long a transaction may be open.
        state: See the table above.
        previous_producer_id: The one whose epochs were used up; -1: this one is the first, or the
            last change was another one.
        next_producer_id: The one that takes over when the transaction is complete, because the
            epochs of this one are used up; -1: none.
        partitions: Of the open transaction.
        start_ms: When the transaction was begun; -1 before the first.
        last_update_ms: When any of this changed.
        client_version: Of the transactions' protocol: 0, or 2 where each end raises the epoch.
    """

    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: TransactionState
    last_update_ms: int
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    partitions: frozenset[TopicPartition] = frozenset()
    start_ms: int = NO_TIMESTAMP
    client_version: int = VERSION_WITHOUT_EPOCH_BUMP

    @property
    def is_epoch_exhausted(self) -> bool:
        """Whether the producer can get no further epoch."""
        return self.producer_epoch >= LAST_USABLE_EPOCH

    @property
    def expires_at_ms(self) -> int:
        """When an Ongoing transaction is aborted."""
        return self.start_ms + self.timeout_ms


def by_topic(partitions: Iterable[TopicPartition]) -> dict[TopicName, list[int]]:
    """The same partitions as records and answers have them, in order."""
    found: dict[TopicName, list[int]] = {}
    for topic, partition in sorted(partitions):
        found.setdefault(topic, []).append(partition)
    return found
