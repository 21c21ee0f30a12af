"""What a partition remembers of idempotent producers (KIP-98, KIP-360).

Rules, as Kafka's ``ProducerStateManager`` has them:

- The last five batches of each producer are remembered; sending one of them again succeeds with
  the offsets that it got the first time.
- Within an epoch sequences are consecutive and wrap from 2^31 - 1 to 0. A new epoch starts at 0.
- The first batch of an unknown producer may start anywhere: its state may have expired here.
- Within an open transaction a producer writes transactional batches only; the marker that ends it
  comes from a transaction coordinator, whose epoch never goes back, and may bring the producer's
  next epoch with it (KIP-890).
- A producer that has been silent for ``producer.id.expiration.ms`` is forgotten, unless it has a
  transaction open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore.record.batch import BatchHeader

REMEMBERED_BATCHES: Final = 5
_SEQUENCE_MAX: Final = 2**31 - 1
NONE: Final = -1


class ProducedBatch(msgspec.Struct, array_like=True, gc=False):
    """One remembered batch."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    log_append_time_ms: int


class ProducerState(msgspec.Struct, array_like=True):
    """What is known of one producer id."""

    epoch: int
    last_seen_ms: int
    batches: list[ProducedBatch]
    """The last ones of this epoch; none when only a marker is known of it."""
    coordinator_epoch: int = NONE
    """Of the transaction coordinator that wrote the last marker."""
    transaction_first_offset: int = NONE
    """Where the open transaction begins."""


class Producers:
    """The producers of one partition, by id."""

    __slots__ = ("by_id",)

    def __init__(self, by_id: dict[int, ProducerState] | None = None) -> None:
        self.by_id: dict[int, ProducerState] = by_id if by_id is not None else {}

    def check(self, header: BatchHeader) -> ProducedBatch | None:
        """Decides whether a batch comes in order.

        Returns:
            The remembered batch that this one repeats; None when it is new and in order.

        Raises:
            KafkaError: INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, or INVALID_TXN_STATE
                for a batch that belongs to no transaction while one is open.
        """
        state = self.by_id.get(header.producer_id)
        if state is None:
            return None
        if header.producer_epoch != state.epoch:
            check_epoch(state, header.producer_id, header.producer_epoch)
            if header.base_sequence != 0:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"A new epoch starts at sequence 0, the batch has {header.base_sequence}.",
                )
        else:
            last_sequence = header.last_sequence
            for batch in state.batches:
                if (
                    batch.first_sequence == header.base_sequence
                    and batch.last_sequence == last_sequence
                ):
                    return batch
            previous = state.batches[-1].last_sequence if state.batches else NONE
            expected = 0 if previous == _SEQUENCE_MAX else previous + 1
            if header.base_sequence != expected:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"Producer {header.producer_id} should go on at sequence {expected}, "
                    f"the batch has {header.base_sequence}.",
                )
        if state.transaction_first_offset >= 0 and not header.is_transactional:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Producer {header.producer_id} has a transaction open, "
                "to which the batch does not belong.",
            )
        return None

    def check_marker(self, producer_id: int, producer_epoch: int, coordinator_epoch: int) -> None:
        """Decides whether a marker may end the producer's transaction.

        Raises:
            KafkaError: INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED.
        """
        state = self.by_id.get(producer_id)
        if state is None:
            return
        check_epoch(state, producer_id, producer_epoch)
        if coordinator_epoch < state.coordinator_epoch:
            raise KafkaError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"A coordinator of epoch {state.coordinator_epoch} was here, "
                f"the marker's has {coordinator_epoch}.",
            )

    def remember(
        self, header: BatchHeader, base_offset: int, now_ms: int, log_append_time_ms: int
    ) -> bool:
        """Notes an appended batch; also how a scan of the log rebuilds this state.

        A batch without a sequence is the broker's own, written for a transactional producer.

        Returns:
            Whether a transaction begins with it.
        """
        state = self._in_epoch(header.producer_id, header.producer_epoch, now_ms)
        if header.base_sequence >= 0:
            state.batches.append(
                ProducedBatch(
                    header.base_sequence,
                    header.last_sequence,
                    base_offset,
                    base_offset + header.last_offset_delta,
                    log_append_time_ms,
                )
            )
            if len(state.batches) > REMEMBERED_BATCHES:
                del state.batches[0]
        if header.is_transactional and state.transaction_first_offset < 0:
            state.transaction_first_offset = base_offset
            return True
        return False

    def end_transaction(
        self, producer_id: int, producer_epoch: int, coordinator_epoch: int, now_ms: int
    ) -> None:
        """Notes a marker, which may end nothing here."""
        state = self._in_epoch(producer_id, producer_epoch, now_ms)
        state.coordinator_epoch = max(state.coordinator_epoch, coordinator_epoch)
        state.transaction_first_offset = NONE

    def _in_epoch(self, producer_id: int, producer_epoch: int, now_ms: int) -> ProducerState:
        """The producer's state, without what an earlier epoch has left but its transaction."""
        state = self.by_id.get(producer_id)
        if state is None:
            state = self.by_id[producer_id] = ProducerState(producer_epoch, now_ms, [])
        elif producer_epoch > state.epoch:
            state.epoch = producer_epoch
            state.batches = []
        state.last_seen_ms = now_ms
        return state

    def expire(self, before_ms: int) -> None:
        """Forgets the producers that were last seen before ``before_ms``."""
        silent = [
            producer_id
            for producer_id, state in self.by_id.items()
            if state.last_seen_ms < before_ms and state.transaction_first_offset < 0
        ]
        for producer_id in silent:
            del self.by_id[producer_id]


def check_epoch(state: ProducerState, producer_id: int, producer_epoch: int) -> None:
    """Refuses an epoch that a later one has fenced.

    Raises:
        KafkaError: INVALID_PRODUCER_EPOCH.
    """
    if producer_epoch < state.epoch:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"Producer {producer_id} has epoch {state.epoch} here, not {producer_epoch}.",
        )
