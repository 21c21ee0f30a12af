"""Which records of a compacted topic survive. Decisions alone: nothing is read or written here.

Rules, as Kafka's ``Cleaner`` has them:

- Of each key the last record survives, as far as the map of keys reaches (``key_offsets.py``);
  behind that, everything does. Offsets never change, and what survives keeps its place.
- A record without a value is a tombstone. The first round that meets it as its key's last record
  gives its batch a delete horizon, delete.retention.ms from then (KIP-534); a round after that
  removes it. So every consumer that needs less time sees that the key is gone.
- Records without a key go: a topic that is compacted takes none, but may once not have been.
- Data of aborted transactions goes. A marker goes like a tombstone, and not before everything else
  of its transaction.
- The last batch of each producer that is still remembered stays, empty if need be, so that a start
  finds its sequence numbers in the log.
- The last batch of the round stays, empty if need be, so that no reader falls into a hole. Here
  each range that is rewritten ends with a batch that ends there; where none does any more, with one
  that says nothing but that.
- A batch that cannot be decoded stays as it is: who cannot read it must not remove it.

Both ways through a log are generators that yield None between a few records, so that whoever runs
them can rest (``pace.py``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from datacore.record.batch import iterate_headers
from datacore.record.errors import RecordError
from datacore.record.rewrite import (
    RawRecord,
    batch_of_some,
    empty_batch,
    iterate_raw_records,
    offsets_only,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datacore.log.cleaned_transactions import CleanedTransactions
    from datacore.log.key_offsets import KeyOffsets
    from datacore.log.producers import ProducerState
    from datacore.record.batch import BatchHeader
    from datacore.wire.buffer import Buffer

logger = logging.getLogger("datacore.log")

RECORDS_AT_ONCE: Final = 100
"""After so many records whoever runs a generator may rest: some 0.2 ms."""


def index_keys(
    buffers: Iterable[Buffer],
    first_offset: int,
    keys: KeyOffsets,
    transactions: CleanedTransactions,
) -> Iterator[bool | None]:
    """Puts the keys of whole batches into the map; yields True when it is full.

    What is indexed counts batch by batch, so a batch that was begun when the map became full is
    left to the next round, unless it is the first of this one: every round gets ahead.
    """
    count = 0
    for batch, header in _batches(buffers):
        is_first = keys.latest_offset < first_offset
        try:
            if header.is_control:
                transactions.is_done_with(batch, header)
            elif not transactions.is_aborted(header):
                base_offset = header.base_offset
                for record in iterate_raw_records(batch, header):
                    offset = base_offset + record.offset_delta
                    if record.key is not None and offset >= first_offset:
                        if keys.is_full and not is_first:
                            yield True
                            return
                        keys.put(record.key, offset)
                    count += 1
                    if count % RECORDS_AT_ONCE == 0:
                        yield None
        except RecordError as error:
            logger.warning("The batch at %d stays as it is: %s", header.base_offset, error)
        keys.latest_offset = max(keys.latest_offset, header.last_offset)
        yield None


class Survivors:
    """One round's way through a log: batches in, what survives of them out."""

    __slots__ = (
        "_delete_horizon_ms",
        "_end_offset",
        "_keys",
        "_last",
        "_now_ms",
        "_producers",
        "_transactions",
        "records_kept",
        "records_seen",
    )

    def __init__(
        self,
        keys: KeyOffsets,
        transactions: CleanedTransactions,
        producers: Mapping[int, ProducerState],
        *,
        end_offset: int,
        now_ms: int,
        delete_retention_ms: int,
    ) -> None:
        """Begins a way.

        Args:
            keys: What ``index_keys`` found.
            transactions: Those of the whole way.
            producers: The producers that are remembered, as they are at any time.
            end_offset: Where the round ends.
            now_ms: The time.
            delete_retention_ms: How long tombstones and markers stay.
        """
        self._keys = keys
        self._transactions = transactions
        self._producers = producers
        self._end_offset = end_offset
        self._now_ms = now_ms
        self._delete_horizon_ms = now_ms + delete_retention_ms
        self._last: BatchHeader | None = None
        self.records_seen = 0
        self.records_kept = 0

    def of(self, buffers: Iterable[Buffer]) -> Iterator[Buffer | None]:
        """What survives of whole batches, batch by batch."""
        for batch, header in _batches(buffers):
            self._last = header
            try:
                yield from self._of_batch(batch, header)
            except RecordError:  # ``index_keys`` has said so
                yield batch

    def end_range(self, next_offset: int, written_offset: int) -> bytearray | None:
        """What to put behind the last batch of a range that does not end where the range does."""
        if written_offset == next_offset:
            return None
        leader_epoch = self._last.leader_epoch if self._last else 0
        max_timestamp_ms = self._last.max_timestamp if self._last else -1
        return offsets_only(leader_epoch, next_offset - 1, max_timestamp_ms)

    def _of_batch(self, batch: memoryview, header: BatchHeader) -> Iterator[Buffer | None]:
        horizon_ms = header.base_timestamp if header.has_delete_horizon else None
        if header.is_control:
            is_done_with = self._transactions.is_done_with(batch, header)
            is_discarded = (
                is_done_with
                and horizon_ms is not None
                and horizon_ms <= self._now_ms
                and not self._transactions.has_just_vanished(header)
            )
            needs_horizon = is_done_with
        else:
            is_discarded = self._transactions.is_aborted(header)
            needs_horizon = False
        self.records_seen += header.records_count
        kept: list[RawRecord] = []
        if not is_discarded:
            for number, record in enumerate(iterate_raw_records(batch, header), 1):
                if header.is_control or self._stays(record, header.base_offset, horizon_ms):
                    kept.append(record)
                    needs_horizon = needs_horizon or not record.has_value
                if number % RECORDS_AT_ONCE == 0:
                    yield None
        self.records_kept += len(kept)
        needs_horizon = needs_horizon and horizon_ms is None
        if kept and len(kept) == header.records_count and not needs_horizon:
            yield batch
        elif kept:
            delete_horizon_ms = self._delete_horizon_ms if needs_horizon else None
            yield batch_of_some(header, kept, delete_horizon_ms=delete_horizon_ms)
        elif header.next_offset == self._end_offset or self._is_last_of_producer(header):
            yield empty_batch(header)
        else:
            yield None

    def _stays(self, record: RawRecord, base_offset: int, horizon_ms: int | None) -> bool:
        keys = self._keys
        offset = base_offset + record.offset_delta
        if offset > keys.latest_offset:
            return True
        if record.key is None or offset < keys.get(record.key):
            return False
        return record.has_value or horizon_ms is None or self._now_ms < horizon_ms

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        state = self._producers.get(header.producer_id)
        if state is None:
            return False
        if state.batches:
            return state.batches[-1].last_offset == header.last_offset
        return header.is_control and header.producer_epoch == state.epoch


def _batches(buffers: Iterable[Buffer]) -> Iterator[tuple[memoryview, BatchHeader]]:
    for buffer in buffers:
        view = memoryview(buffer)
        for at, header in iterate_headers(view):
            yield view[at : at + header.size], header
