"""What a partition remembers of idempotent producers (KIP-98, KIP-360).

Rules, as Kafka's ``ProducerStateManager`` has them:

- The last five batches of each producer are remembered; sending one of them again succeeds with
  the offsets that it got the first time.
- Within an epoch sequences are consecutive and wrap from 2^31 - 1 to 0. A new epoch starts at 0.
- The first batch of an unknown producer may start anywhere: its state may have expired here.
- A producer that has been silent for ``producer.id.expiration.ms`` is forgotten.
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
            KafkaError: INVALID_PRODUCER_EPOCH or OUT_OF_ORDER_SEQUENCE_NUMBER.
        """
        state = self.by_id.get(header.producer_id)
        if state is None:
            return None
        if header.producer_epoch != state.epoch:
            if header.producer_epoch < state.epoch:
                raise KafkaError(
                    ErrorCode.INVALID_PRODUCER_EPOCH,
                    f"Producer {header.producer_id} has epoch {state.epoch} here, "
                    f"the batch has {header.producer_epoch}.",
                )
            if header.base_sequence != 0:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"A new epoch starts at sequence 0, the batch has {header.base_sequence}.",
                )
            return None
        last_sequence = header.last_sequence
        for batch in state.batches:
            if (
                batch.first_sequence == header.base_sequence
                and batch.last_sequence == last_sequence
            ):
                return batch
        if state.batches:
            previous = state.batches[-1].last_sequence
            expected = 0 if previous == _SEQUENCE_MAX else previous + 1
            if header.base_sequence != expected:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"Producer {header.producer_id} should go on at sequence {expected}, "
                    f"the batch has {header.base_sequence}.",
                )
        return None

    def remember(
        self, header: BatchHeader, base_offset: int, now_ms: int, log_append_time_ms: int
    ) -> None:
        """Notes an appended batch; also how a scan of the log rebuilds this state."""
        batch = ProducedBatch(
            header.base_sequence,
            header.last_sequence,
            base_offset,
            base_offset + header.last_offset_delta,
            log_append_time_ms,
        )
        state = self.by_id.get(header.producer_id)
        if state is None or header.producer_epoch > state.epoch:
            self.by_id[header.producer_id] = ProducerState(header.producer_epoch, now_ms, [batch])
            return
        state.last_seen_ms = now_ms
        state.batches.append(batch)
        if len(state.batches) > REMEMBERED_BATCHES:
            del state.batches[0]

    def expire(self, before_ms: int) -> None:
        """Forgets the producers that were last seen before ``before_ms``."""
        silent = [pid for pid, state in self.by_id.items() if state.last_seen_ms < before_ms]
        for producer_id in silent:
            del self.by_id[producer_id]
