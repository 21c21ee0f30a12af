"""What all batches of a log say together: kept beside it, so that a start need not ask them.

A summary is learned batch by batch, as they are appended or read back, and is stored with the log
up to some offset; a start reads what lies behind. Kafka's counterparts are the files of producer
snapshots, of aborted transactions and of leader epochs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from datacore.log.leader_epochs import LeaderEpochs
from datacore.log.producers import Producers, ProducerState
from datacore.log.transactions import StoredTransactions, Transactions
from datacore.record.control import ControlType, decode_end_transaction_marker
from datacore.record.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore.log.transactions import AbortedTransaction
    from datacore.record.batch import BatchHeader
    from datacore.record.control import EndTransactionMarker

logger = logging.getLogger("datacore.log")

UNKNOWN: Final = -1


class _Stored(msgspec.Struct, array_like=True):
    producers: dict[int, ProducerState]
    epochs: list[int]
    epoch_start_offsets: list[int]
    max_timestamp_ms: int
    max_timestamp_offset: int
    transactions: StoredTransactions = msgspec.field(default_factory=StoredTransactions)
    cleaned_offset: int = 0


class Summary:
    """Producers, transactions, leader epochs and the largest timestamp of one log."""

    __slots__ = (
        "cleaned_offset",
        "leader_epochs",
        "max_timestamp_ms",
        "max_timestamp_offset",
        "producers",
        "transactions",
    )

    def __init__(self) -> None:
        self.producers = Producers()
        self.transactions = Transactions()
        self.leader_epochs = LeaderEpochs()
        self.max_timestamp_ms = UNKNOWN
        self.max_timestamp_offset = UNKNOWN
        """Base offset of the first batch with the largest timestamp."""
        self.cleaned_offset = 0
        """Compaction has left one record for each key before it."""

    def truncate_before(self, offset: int) -> None:
        """The log starts there now."""
        self.leader_epochs.truncate_before(offset)
        self.transactions.truncate_before(offset)

    def note_cleaned(
        self,
        offset: int,
        vanished: Iterable[AbortedTransaction],
        largest_timestamp: tuple[int, int] | None,
    ) -> None:
        """Notes what compaction has left (``PartitionLog.note_cleaned``)."""
        self.cleaned_offset = offset
        self.transactions.forget(vanished)
        if largest_timestamp is not None:
            self.max_timestamp_ms, self.max_timestamp_offset = largest_timestamp

    @classmethod
    def decode(cls, data: bytes) -> Summary:
        """What ``encode`` made.

        Raises:
            msgspec.DecodeError: It is none, or one of another version.
        """
        stored = msgspec.msgpack.decode(data, type=_Stored)
        summary = cls()
        summary.producers = Producers(stored.producers)
        summary.transactions = Transactions(stored.transactions)
        for first_offset, producer_id in sorted(
            (state.transaction_first_offset, producer_id)
            for producer_id, state in stored.producers.items()
            if state.transaction_first_offset >= 0
        ):
            summary.transactions.begin(producer_id, first_offset)
        summary.leader_epochs = LeaderEpochs(stored.epochs, stored.epoch_start_offsets)
        summary.max_timestamp_ms = stored.max_timestamp_ms
        summary.max_timestamp_offset = stored.max_timestamp_offset
        summary.cleaned_offset = stored.cleaned_offset
        return summary

    def encode(self) -> bytes:
        """The summary as it stands beside the log."""
        return msgspec.msgpack.encode(
            _Stored(
                self.producers.by_id,
                self.leader_epochs.epochs,
                self.leader_epochs.start_offsets,
                self.max_timestamp_ms,
                self.max_timestamp_offset,
                self.transactions.stored(),
                self.cleaned_offset,
            )
        )

    def read_back(self, batch: memoryview, header: BatchHeader) -> None:
        """Learns from a stored batch what was learned when it was appended."""
        if header.is_control and header.records_count > 0:  # else compaction took the marker
            try:
                marker = decode_end_transaction_marker(batch, header)
            except RecordError as error:
                logger.warning(
                    "The control batch at %d is no marker: %s", header.base_offset, error
                )
            else:
                self.ended(header, header.base_offset, header.max_timestamp, marker)
        append_time_ms = header.max_timestamp if header.has_log_append_time else UNKNOWN
        self.appended(
            header, header.base_offset, header.leader_epoch, header.max_timestamp, append_time_ms
        )

    def appended(
        self,
        header: BatchHeader,
        base_offset: int,
        leader_epoch: int,
        seen_ms: int,
        log_append_time_ms: int,
    ) -> None:
        """Learns from a batch that came to stand at ``base_offset``."""
        producer_id = header.producer_id
        if producer_id >= 0 and not header.is_control:
            begins = self.producers.remember(header, base_offset, seen_ms, log_append_time_ms)
            if begins:
                self.transactions.begin(producer_id, base_offset)
        if header.max_timestamp > self.max_timestamp_ms:
            self.max_timestamp_ms = header.max_timestamp
            self.max_timestamp_offset = base_offset
        if leader_epoch > self.leader_epochs.latest:
            self.leader_epochs.assign(leader_epoch, base_offset)

    def ended(
        self, header: BatchHeader, marker_offset: int, seen_ms: int, marker: EndTransactionMarker
    ) -> None:
        """Learns from the marker of a transaction."""
        producer_id = header.producer_id
        self.producers.end_transaction(
            producer_id, header.producer_epoch, marker.coordinator_epoch, seen_ms
        )
        is_aborted = marker.control_type is ControlType.ABORT
        self.transactions.end(producer_id, marker_offset, is_aborted=is_aborted)
