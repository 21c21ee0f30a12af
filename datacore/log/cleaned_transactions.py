"""What compaction knows of transactions on its way through a log.

Rules:

- Batches come in the order of the log. Data of an aborted transaction goes at once.
- A marker stays while the log still holds a batch of its transaction: without it a consumer could
  not tell how the transaction ended, or would take what follows for a part of it.
- An aborted transaction of which nothing is left but the marker need not be told to consumers any
  more; that it is forgotten must be durable before its marker goes.

Kafka's counterpart: ``CleanedTransactionMetadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.record.control import ControlType, decode_end_transaction_marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore.log.transactions import AbortedTransaction
    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer


class CleanedTransactions:
    """The transactions that are open where the way through the log has come to."""

    __slots__ = ("_aborted", "_coming", "_committed", "_with_data", "vanished")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        """Begins a way through a log of which these transactions were aborted."""
        self._coming = sorted(aborted, key=lambda each: each.first_offset, reverse=True)
        self._aborted: dict[int, AbortedTransaction] = {}
        """Those under way that will be aborted, by producer id."""
        self._with_data: set[int] = set()
        """Producers among them of whose transaction a batch was met."""
        self._committed: set[int] = set()
        """Producers with another transaction under way of which a batch was met."""
        self.vanished: list[AbortedTransaction] = []
        """Those of which nothing but the marker was met."""

    def is_aborted(self, header: BatchHeader) -> bool:
        """Takes the next batch of data; whether its transaction was aborted."""
        self._begin(header.last_offset)
        if not header.is_transactional:
            return False
        producer_id = header.producer_id
        if producer_id in self._aborted:
            self._with_data.add(producer_id)
            return True
        self._committed.add(producer_id)
        return False

    def is_done_with(self, batch: Buffer, header: BatchHeader) -> bool:
        """Takes the next control batch; whether nothing of its transaction was met.

        Raises:
            RecordError: It is no marker of a transaction.
        """
        self._begin(header.last_offset)
        if header.records_count == 0:
            return True  # its record has gone before
        producer_id = header.producer_id
        marker = decode_end_transaction_marker(batch, header)
        if marker.control_type is ControlType.COMMIT:
            is_met = producer_id in self._committed
            self._committed.discard(producer_id)
            return not is_met
        aborted = self._aborted.pop(producer_id, None)
        if producer_id in self._with_data:
            self._with_data.remove(producer_id)
            return False
        if aborted is not None:
            self.vanished.append(aborted)
        return True

    def has_just_vanished(self, header: BatchHeader) -> bool:
        """Whether the last control batch is the marker of a transaction that is still told of."""
        return bool(self.vanished) and self.vanished[-1].last_offset == header.last_offset

    def _begin(self, last_offset: int) -> None:
        """Begins the transactions whose first batch was at the offset or before it."""
        while self._coming and self._coming[-1].first_offset <= last_offset:
            transaction = self._coming.pop()
            self._aborted[transaction.producer_id] = transaction
