"""A partition: what its log means, over any engine.

Rules:

- ``append`` is synchronous: it checks, assigns offsets in place and hands the bytes to the engine.
  The log end offset moves at once; the high watermark follows what the engine calls durable.
  Nothing is acknowledged with acks=all, and no consumer sees anything, before that.
- Batches stay opaque. Of a produced batch only the header and the CRC are read.
- When the engine fails, the log is what its durable end says; producer state is rebuilt from it
  before the next append.

Kafka's counterpart is ``UnifiedLog`` with ``ProducerStateManager``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from datacore._generated.errors import ErrorCode
from datacore.log.error_codes import kafka_error, told_as_kafka_errors
from datacore.log.kept_summary import KeptSummary
from datacore.log.leader_epochs import UNDEFINED_EPOCH
from datacore.log.summary import UNKNOWN, Summary
from datacore.log.timestamps import restore_max_timestamp, timestamp_refusal
from datacore.log.validation import checked_header, checked_records
from datacore.protocol.errors import KafkaError
from datacore.record.batch import (
    LOG_APPEND_TIME_BIT,
    BatchHeader,
    assign,
    clear_log_append_time,
    end_offset_of,
    parse_header,
    set_log_append_time,
)
from datacore.record.control import (
    EndTransactionMarker,
    encode_end_transaction_marker,
)
from datacore.record.errors import InvalidTimestamp
from datacore.record.records import NO_TIMESTAMP
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from datacore.log.config import LogConfig
    from datacore.log.leader_epochs import LeaderEpochs
    from datacore.log.producers import Producers
    from datacore.log.transactions import AbortedTransaction
    from datacore.storage.engine import EngineLog, LogExtent
    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer

logger = logging.getLogger("datacore.log")


class Appended(msgspec.Struct, gc=False):
    """Where a batch came to stand, and when it is safe."""

    base_offset: int
    log_append_time_ms: int
    durable: Pending[None] | None
    """None: it is durable."""


class PartitionLog:
    """One partition's log. Open it with ``PartitionLog.open``."""

    __slots__ = (
        "_engine_log",
        "_flush",
        "_kept",
        "_looks_into_records",
        "_rebuild_needed",
        "_summary",
        "_watchers",
        "config",
        "high_watermark",
        "leader_epoch",
        "when_grown",
    )

    def __init__(self, engine_log: EngineLog, config: LogConfig, leader_epoch: int) -> None:
        self._engine_log = engine_log
        self._flush: Pending[None] | None = None
        self._rebuild_needed = False
        self._summary = Summary()
        self._kept = KeptSummary(engine_log)
        self._watchers: dict[Callable[[], None], None] = {}
        self.when_grown: Callable[[PartitionLog], None] | None = None
        """Called when so much was appended that ``save_snapshot`` is due."""
        self.config = config
        self._looks_into_records = config.looks_into_records
        self.high_watermark = engine_log.durable_end_offset
        self.leader_epoch = leader_epoch

    @classmethod
    async def open(
        cls, engine_log: EngineLog, config: LogConfig, leader_epoch: int
    ) -> PartitionLog:
        """Takes over an open engine log and learns what its batches say of producers and epochs."""
        log = cls(engine_log, config, leader_epoch)
        log.reconfigure(config)
        await log._rebuild()
        return log

    # --- offsets

    @property
    def log_start_offset(self) -> int:
        """The first offset that can be fetched."""
        return self._engine_log.start_offset

    @property
    def log_end_offset(self) -> int:
        """The offset that the next record gets."""
        return self._engine_log.end_offset

    @property
    def last_stable_offset(self) -> int:
        """Where read_committed ends: before it every transaction is decided."""
        first_unstable_offset = self._summary.transactions.first_unstable_offset
        if first_unstable_offset is None:
            return self.high_watermark
        # DeleteRecords may have taken the beginning of a transaction that is still open.
        return min(max(first_unstable_offset, self.log_start_offset), self.high_watermark)

    @property
    def leader_epochs(self) -> LeaderEpochs:
        """Which epoch wrote which offsets."""
        return self._summary.leader_epochs

    @property
    def producers(self) -> Producers:
        """The idempotent and transactional producers that wrote here lately."""
        return self._summary.producers

    @property
    def size_bytes(self) -> int:
        """Bytes of all batches that can be read."""
        return self._engine_log.size_bytes

    def reconfigure(self, config: LogConfig) -> None:
        """Obeys another config from the next append on."""
        self.config = config
        self._looks_into_records = config.looks_into_records
        if config.segments is not None:
            self._engine_log.limit_segments(config.segments)

    def check_leader_epoch(self, epoch: int) -> None:
        """Refuses a client whose metadata is of another epoch (KIP-320); -1 is not checked.

        Raises:
            KafkaError: FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH.
        """
        if epoch in (UNDEFINED_EPOCH, self.leader_epoch):
            return
        if epoch < self.leader_epoch:
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH)
        raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    # --- producing

    def append(
        self,
        records: memoryview,
        now_ms: int,
        *,
        oldest_timestamp_ms: int | None = None,
    ) -> Appended:
        """Appends what a producer sent: one batch of magic 2, whose header is patched in place.

        That the request of a transactional batch names its transactional id, the caller has seen;
        and that the partition belongs to the transaction, it has asked the coordinator. Who has
        looked at the records already (``preparation.py``) tells their smallest timestamp.

        Raises:
            KafkaError: The batch was refused; nothing was appended.
        """
        if self._rebuild_needed:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The log is recovering.")
        config = self.config
        header = checked_header(records, config)
        if oldest_timestamp_ms is None:
            oldest_timestamp_ms = header.base_timestamp
            if self._looks_into_records:
                oldest_timestamp_ms = checked_records(records, header, config)
        if header.producer_id >= 0:
            repeated = self._summary.producers.check(header)
            if repeated is not None:
                flush = self._flush if repeated.last_offset >= self.high_watermark else None
                return Appended(repeated.base_offset, repeated.log_append_time_ms, flush)
        log_append_time_ms = UNKNOWN
        has_log_append_time = header.attributes & LOG_APPEND_TIME_BIT
        if config.log_append_time:
            if has_log_append_time:
                raise kafka_error(InvalidTimestamp("A producer may not set LogAppendTime."))
            set_log_append_time(records, now_ms)
            header.max_timestamp = log_append_time_ms = now_ms
        else:
            if header.max_timestamp < header.base_timestamp:
                restore_max_timestamp(records, header)
            latest_ms = now_ms + config.timestamp_after_max_ms
            earliest_ms = now_ms - config.timestamp_before_max_ms
            is_too_old = NO_TIMESTAMP != oldest_timestamp_ms < earliest_ms
            if header.max_timestamp > latest_ms or is_too_old:
                raise timestamp_refusal(records, header, earliest_ms, latest_ms)
            if has_log_append_time:
                clear_log_append_time(records)
        return self._append(records, header, now_ms, log_append_time_ms)

    def append_own(self, batch: bytearray, now_ms: int) -> Appended:
        """Appends a batch that the broker itself made for one of its internal topics.

        Raises:
            KafkaError: The engine failed; nothing was appended.
        """
        if self._rebuild_needed:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The log is recovering.")
        return self._append(memoryview(batch), parse_header(batch), now_ms, UNKNOWN)

    def append_marker(
        self,
        producer_id: int,
        producer_epoch: int,
        marker: EndTransactionMarker,
        now_ms: int,
    ) -> Appended:
        """Ends a producer's transaction in this partition, for its coordinator.

        Args:
            producer_id: Whose transaction it is.
            producer_epoch: The producer's epoch from now on.
            marker: How it ends, and the epoch of the coordinator that says so.
            now_ms: The time.

        Raises:
            KafkaError: INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED: another came
                later. KAFKA_STORAGE_ERROR: the engine failed. Nothing was appended.
        """
        if self._rebuild_needed:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The log is recovering.")
        self.producers.check_marker(producer_id, producer_epoch, marker.coordinator_epoch)
        batch = encode_end_transaction_marker(
            marker, producer_id=producer_id, producer_epoch=producer_epoch, timestamp_ms=now_ms
        )
        return self._append(memoryview(batch), parse_header(batch), now_ms, UNKNOWN, marker)

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Whether a batch of the producer's open transaction stands here already."""
        state = self._summary.producers.by_id.get(producer_id)
        return (
            state is not None
            and state.transaction_first_offset >= 0
            and state.epoch == producer_epoch
        )

    def _append(
        self,
        batch: memoryview,
        header: BatchHeader,
        now_ms: int,
        log_append_time_ms: int,
        marker: EndTransactionMarker | None = None,
    ) -> Appended:
        engine_log = self._engine_log
        base_offset = engine_log.end_offset
        assign(batch, base_offset, self.leader_epoch)
        try:
            flush = engine_log.append(
                batch,
                base_offset=base_offset,
                next_offset=base_offset + header.last_offset_delta + 1,
                max_timestamp_ms=header.max_timestamp,
            )
        except StorageError as error:
            raise kafka_error(error) from error
        self._summary.appended(header, base_offset, self.leader_epoch, now_ms, log_append_time_ms)
        kept = self._kept
        kept.appended_bytes += header.size
        if kept.appended_bytes > kept.due_bytes:
            self._grown()
        if marker is not None:
            self._summary.ended(header, base_offset, now_ms, marker)
        if flush is None:
            self._advance()
        elif flush is not self._flush:
            self._flush = flush
            flush.then(self._flushed)
        return Appended(base_offset, log_append_time_ms, flush)

    def _grown(self) -> None:
        self._kept.note_asked()
        if self.when_grown is not None:
            self.when_grown(self)

    def _flushed(self, flush: Pending[None]) -> None:
        if flush is self._flush:
            self._flush = None
        if flush.error is not None:
            self._rebuild_needed = True
        self._advance()

    def _advance(self) -> None:
        """Moves the high watermark to the durable end and wakes who waits for records."""
        durable_end_offset = self._engine_log.durable_end_offset
        self._summary.transactions.advance(durable_end_offset)
        if durable_end_offset > self.high_watermark:
            self.high_watermark = durable_end_offset
            if self._watchers:
                self.wake_watchers()

    # --- fetching

    def watch(self, wake: Callable[[], None]) -> None:
        """Calls ``wake()`` whenever the high watermark or the start moves, until ``unwatch``."""
        self._watchers[wake] = None

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Ends ``watch``; unknown is fine."""
        self._watchers.pop(wake, None)

    def wake_watchers(self) -> None:
        """Makes everybody who waits for this partition look again."""
        for wake in list(self._watchers):
            wake()

    def read_warm(self, offset: int, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """Whole batches from the one that contains ``offset``; None when a device must be asked.

        Raises:
            KafkaError: OFFSET_OUT_OF_RANGE or KAFKA_STORAGE_ERROR.
        """
        try:
            return self._engine_log.read_warm(
                offset, max_bytes=max_bytes, before_offset=before_offset
            )
        except StorageError as error:
            raise kafka_error(error) from error

    async def read(self, offset: int, max_bytes: int, before_offset: int) -> list[Buffer]:
        """``read_warm``, waiting for the device where need be.

        Raises:
            KafkaError: OFFSET_OUT_OF_RANGE or KAFKA_STORAGE_ERROR.
        """
        try:
            return await self._engine_log.read(
                offset, max_bytes=max_bytes, before_offset=before_offset
            )
        except StorageError as error:
            raise kafka_error(error) from error

    def aborted_transactions(
        self, offset: int, buffers: Sequence[Buffer]
    ) -> list[AbortedTransaction]:
        """The aborted transactions that ``buffers``, read from ``offset`` on, have a part of."""
        transactions = self._summary.transactions
        if not buffers or not transactions.has_aborted_from(offset):
            return []
        return transactions.aborted_between(offset, end_offset_of(buffers[-1]))

    # --- looking up

    async def scan_start_for(self, timestamp_ms: int) -> int:
        """An offset from which a scan meets the first batch with that timestamp or a later one.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR.
        """
        with told_as_kafka_errors():
            offset = await self._engine_log.find_timestamp(timestamp_ms)
        return max(offset, self.log_start_offset)

    async def offset_of_largest_timestamp(self) -> int:
        """Base offset of the first batch with the largest timestamp of all; -1 in an empty log.

        The batch may not be durable yet: then this waits, as the largest timestamp of what is
        below the high watermark is not known.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR, that batch was lost.
        """
        offset = self._summary.max_timestamp_offset
        if self._flush is not None and offset >= self.high_watermark:
            with told_as_kafka_errors():
                await self._flush
        return offset

    # --- deleting and compacting what is old

    async def extents(self) -> Sequence[LogExtent]:
        """The log, cut where whole pieces of it can go or be replaced.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR.
        """
        with told_as_kafka_errors():
            return await self._engine_log.extents()

    async def move_start(self, offset: int) -> None:
        """Moves the start, durably (``deletion.py`` has many extents go in steps).

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR.
        """
        with told_as_kafka_errors():
            await self._engine_log.truncate_before(offset)
        self._summary.truncate_before(self.log_start_offset)
        self.wake_watchers()

    @property
    def cleaned_offset(self) -> int:
        """Compaction has left one record for each key before it."""
        return self._summary.cleaned_offset

    def aborted_between(self, offset: int, end_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions with records or a marker in a range; perhaps some more."""
        return self._summary.transactions.aborted_between(offset, end_offset)

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        """Puts other batches in the place of those of whole extents (``EngineLog.replace``).

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR; nothing was replaced.
        """
        with told_as_kafka_errors():
            await self._engine_log.replace(base_offset, next_offset, batches)

    async def note_cleaned(
        self,
        offset: int,
        vanished: Iterable[AbortedTransaction],
        largest_timestamp: tuple[int, int] | None,
    ) -> None:
        """Notes durably what compaction has left.

        Args:
            offset: How far there is one record for each key.
            vanished: The transactions of which nothing is left.
            largest_timestamp: The largest of all, and the base offset of its batch; None where
                that is what it was.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR, as for ``save_cleaned``.
        """
        self._summary.note_cleaned(offset, vanished, largest_timestamp)
        self._kept.note_outdated()
        await self.save_cleaned()

    async def save_cleaned(self) -> None:
        """Makes what was noted durable, if it is not; before that no other round may begin.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR, it is not.
        """
        if self._kept.is_outdated:
            with told_as_kafka_errors():
                await self.save_snapshot()
            if self._kept.is_outdated:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The log is recovering.")

    @property
    def largest_timestamp(self) -> tuple[int, int]:
        """The largest timestamp, and the base offset of the first batch that has it."""
        return self._summary.max_timestamp_ms, self._summary.max_timestamp_offset

    # --- life

    @property
    def needs_recovery(self) -> bool:
        """Whether the engine has failed, so that appends are refused until ``recover``."""
        return self._rebuild_needed

    async def recover(self) -> None:
        """After an engine failure: learns anew what is durable, so that appends go on.

        Raises:
            KafkaError: The engine still fails.
        """
        if self._rebuild_needed:
            with told_as_kafka_errors():
                await self._rebuild()
            self._rebuild_needed = False

    async def close(self) -> None:
        """Makes everything durable and lets go of the log, ready for a quick restart.

        What the engine cannot do any more is logged: the next start reads back what is there.
        """
        try:
            await self.save_snapshot()
        except StorageError as error:
            logger.warning("A log is closed without its summary: %s", error)
        try:
            await self._engine_log.close()
        except StorageError as error:
            logger.warning("A log is closed without what was not durable: %s", error)

    @property
    def unsummed_bytes(self) -> int:
        """How much a start after a crash would have to read back."""
        return self._kept.unsummed_bytes

    async def save_snapshot(self) -> None:
        """Lets the next start go on from here, where there is news since the last time.

        Raises:
            StorageError: The engine could not keep it.
        """
        if not self._rebuild_needed:
            await self._kept.save(self._summary)

    async def _rebuild(self) -> None:
        """Learns from the batches, and begins an epoch as a leader of Kafka's does: before any."""
        self._summary = await self._kept.load()
        self.leader_epochs.assign(self.leader_epoch, self._engine_log.end_offset)
