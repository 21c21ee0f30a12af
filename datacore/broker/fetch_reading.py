"""What one Fetch request reads, and the answer that becomes of it.

Rules:

- What is in memory is read inline. When a device must be asked, that one partition is read in the
  background and the rest of the request goes on with the result.
- What an old client reads is converted (``record/legacy.py``): a little of it inline, the rest in a
  thread, as if a device had been asked for it.
- The first batch comes back whole even where it is larger than every limit (KIP-74), so a consumer
  never gets stuck.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
)
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore.broker.down_conversion import (
    CONVERTED_BYTES_MAX,
    Converted,
    converted,
    takes_long_to_convert,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.isolation_level import READ_COMMITTED
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore._generated.fetch import FetchRequest
    from datacore.broker.down_conversion import Read
    from datacore.broker.fetch_sessions import FetchScope, WantedPartition
    from datacore.log.partition_log import PartitionLog
    from datacore.metadata.image import TopicImage

_NOT_FOUND: Final = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})
_NOTHING_READ: Final[Mapping[WantedPartition, Read]] = MappingProxyType({})


class Readable(NamedTuple):
    """What there is to read, and how much of it in one answer at most."""

    logs: Mapping[TopicName, Mapping[int, PartitionLog]]
    topics_by_id: Mapping[TopicId, TopicImage]
    fetch_bytes_max: int


class Cold(NamedTuple):
    """What a request must wait for: a device's answer, or a conversion that takes long."""

    wanted: WantedPartition
    log: PartitionLog
    bytes_max: int


class FetchReading:
    """One request's partitions: what they bring by now."""

    __slots__ = (
        "_before_lso",
        "_bytes_max",
        "_bytes_min",
        "_has_error",
        "_readable",
        "_version",
        "is_over",
        "magic",
        "max_wait_ms",
        "scope",
        "size",
    )

    def __init__(
        self, readable: Readable, version: int, request: FetchRequest, scope: FetchScope
    ) -> None:
        bytes_max = min(request.max_bytes, readable.fetch_bytes_max)
        self.magic = 2
        """The format of records that the client knows."""
        if version < 4:
            self.magic = 1 if version >= 2 else 0
            bytes_max = min(bytes_max, CONVERTED_BYTES_MAX)
        self._readable = readable
        self._version = version
        self._before_lso = request.isolation_level == READ_COMMITTED
        self._bytes_max = max(bytes_max, 0)
        # As Kafka does: more than it may carry, an answer need not wait for.
        self._bytes_min = min(request.min_bytes, self._bytes_max)
        self.max_wait_ms = request.max_wait_ms
        self.scope = scope
        self.size = 0
        """Bytes of all records that the answer would bring by now."""
        self.is_over = False
        """``max_wait_ms`` have passed: whatever there is is enough."""
        self._has_error = False

    # --- reading

    @property
    def is_enough(self) -> bool:
        """Whether what is there by now is the answer, and nothing is waited for."""
        return (
            self.size >= self._bytes_min
            or self.max_wait_ms <= 0
            or self.is_over
            or self._has_error
            or self.scope.is_empty
        )

    def collect(
        self,
        cold_reads: Mapping[WantedPartition, Read] = _NOTHING_READ,
        known: tuple[WantedPartition, FetchedPartition] | None = None,
    ) -> list[FetchedPartition] | Cold:
        """One result for each partition wanted; or what must be read from a device first.

        Args:
            cold_reads: What was read so.
            known: A partition that was looked at just now, and what it brings.
        """
        self.size = 0
        self._has_error = False
        results = []
        for wanted in self.scope.partitions:
            if known is not None and known[0] is wanted and self._takes(known[1], wanted):
                results.append(known[1])
                continue
            try:
                result = self.read(wanted, cold_reads.get(wanted))
            except KafkaError as error:
                self._has_error = True
                result = FetchedPartition(
                    partition_index=wanted.index,
                    error_code=error.code,
                    high_watermark=-1,
                    # Kafka's logs refuse with null, and its look-up of a partition with none.
                    aborted_transactions=[] if error.code in _NOT_FOUND else None,
                    records=b"",
                )
            if isinstance(result, Cold):
                return result
            results.append(result)
        return results

    def read(self, wanted: WantedPartition, read: Read | None = None) -> FetchedPartition | Cold:
        """What one partition brings, beside what was read of others.

        Args:
            wanted: The partition.
            read: What a device has said of it, where it was asked.

        Raises:
            KafkaError: What the client is told instead.
        """
        log = self.log_of(wanted)
        result = FetchedPartition(
            partition_index=wanted.index,
            high_watermark=log.high_watermark,
            last_stable_offset=log.last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=[] if self._before_lso else None,
            records=b"",
        )
        offset = wanted.fetch_offset
        if wanted.last_fetched_epoch >= 0 and _diverges(log, wanted, result):
            result.aborted_transactions = None
            return result
        before = result.last_stable_offset if self._before_lso else result.high_watermark
        limit = max(min(wanted.max_bytes, self._bytes_max - self.size), 0)
        if offset == before or (limit == 0 and self.size > 0):
            return result
        if read is None:
            buffers = log.read_warm(offset, limit, before)
            if buffers is None:
                return Cold(wanted, log, limit)
        elif isinstance(read, KafkaError):
            raise read
        else:
            buffers = read.buffers if isinstance(read, Converted) else read
        if not buffers:
            return result
        records = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        if len(records) > limit and self.size > 0:
            # Only where a batch is there that does not fit, Kafka says null.
            result.aborted_transactions = None
            return result
        if self._before_lso:
            result.aborted_transactions = [
                AbortedTransaction(
                    producer_id=aborted.producer_id, first_offset=aborted.first_offset
                )
                for aborted in log.aborted_transactions(offset, buffers)
            ]
        if isinstance(read, Converted):
            records = read.records
        elif self.magic < 2:
            if takes_long_to_convert(records):
                return Cold(wanted, log, limit)
            records = converted(records, self.magic, offset)
        self.size += len(records)
        result.records = records
        return result

    def has_partitions(self) -> bool:
        """Whether any of the partitions wanted exists."""
        return any(map(self._exists, self.scope.partitions))

    def _exists(self, wanted: WantedPartition) -> bool:
        try:
            self.log_of(wanted)
        except KafkaError as error:
            return error.code not in _NOT_FOUND
        return True

    def end_for_reader(self, log: PartitionLog) -> int:
        """Where that log ends for the client."""
        return log.last_stable_offset if self._before_lso else log.high_watermark

    def log_of(self, wanted: WantedPartition) -> PartitionLog:
        """The log that is wanted.

        Raises:
            KafkaError: There is no such partition, or the client knows another epoch of it.
        """
        readable = self._readable
        name = TopicName(wanted.topic)
        if self._version >= 13:
            topic = readable.topics_by_id.get(TopicId(wanted.topic_id))
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
            name = topic.name
        try:
            log = readable.logs[name][wanted.index]
        except KeyError:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) from None
        # Whatever is below zero is none here; in all other requests only -1 is.
        if wanted.current_leader_epoch >= 0:
            log.check_leader_epoch(wanted.current_leader_epoch)
        return log

    def _takes(self, result: FetchedPartition, wanted: WantedPartition) -> bool:
        """Counts what a partition brings, if there is room for it at its place."""
        size = len(result.records or b"")
        if self.size and size > min(wanted.max_bytes, self._bytes_max - self.size):
            return False
        self.size += size
        return True

    # --- answering

    def response(self, collected: list[FetchedPartition]) -> FetchResponse:
        """The answer; a session takes note of what its client is told."""
        scope = self.scope
        session = scope.session
        topics: list[FetchableTopicResponse] = []
        topic: FetchableTopicResponse | None = None
        for wanted, result in zip(scope.partitions, collected, strict=True):
            if not scope.is_incremental or is_news(wanted, result):
                if (
                    topic is None
                    or topic.topic != wanted.topic
                    or topic.topic_id != wanted.topic_id
                ):
                    topic = FetchableTopicResponse(topic=wanted.topic, topic_id=wanted.topic_id)
                    topics.append(topic)
                topic.partitions.append(result)
            if session is not None:
                wanted.told_high_watermark = result.high_watermark
                wanted.told_log_start_offset = result.log_start_offset
                if result.records:
                    session.note_served(wanted)
                elif self.is_at_end(wanted, result):
                    session.rest(wanted, self.log_of(wanted))
        return FetchResponse(session_id=scope.session_id, responses=topics)

    def is_at_end(self, wanted: WantedPartition, result: FetchedPartition) -> bool:
        """Whether there is nothing for the reader until the log moves."""
        end = result.last_stable_offset if self._before_lso else result.high_watermark
        return (
            result.error_code == 0
            and wanted.fetch_offset == end
            and result.diverging_epoch.epoch < 0
        )


def is_news(wanted: WantedPartition, result: FetchedPartition) -> bool:
    """Whether a session's client must hear of this partition."""
    return (
        bool(result.records)
        or result.error_code != 0
        or result.high_watermark != wanted.told_high_watermark
        or result.log_start_offset != wanted.told_log_start_offset
        or result.diverging_epoch.epoch >= 0
    )


def _diverges(log: PartitionLog, wanted: WantedPartition, result: FetchedPartition) -> bool:
    """Whether the reader's history is not the log's (KIP-595)."""
    epoch, end_offset = log.leader_epochs.end_offset_for(
        wanted.last_fetched_epoch, log.log_end_offset
    )
    if epoch < 0 or end_offset < 0:
        # Of the future: nothing says where the two parted.
        raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
    if epoch == wanted.last_fetched_epoch and wanted.fetch_offset <= end_offset:
        return False
    result.diverging_epoch = EpochEndOffset(epoch=epoch, end_offset=end_offset)
    return True
