"""Fetch: reading many partitions at once, and waiting for records (long poll).

Rules:

- What is in memory is read and answered inline. When a device must be asked, that one partition is
  read in the background and the rest of the request goes on with the result.
- What an old client reads is converted (``record/legacy.py``): a little of it inline, the rest in a
  thread, as if a device had been asked for it.
- A request waits until ``min_bytes`` are there, ``max_wait_ms`` are over, or something is wrong.
  While it waits it is a callback on its partitions' logs and one timer; no task.
- The first batch comes back whole even where it is larger than every limit (KIP-74), so a consumer
  never gets stuck.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

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
    convert,
    converted,
    takes_long_to_convert,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.isolation_level import (
    ISOLATION_LEVELS,
    READ_COMMITTED,
    unknown_isolation_level,
)
from datacore.protocol.names import TopicId, TopicName
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from datacore._generated.fetch import FetchRequest
    from datacore.broker.context import RequestContext
    from datacore.broker.down_conversion import Read
    from datacore.broker.fetch_sessions import FetchScope, FetchSessions, WantedPartition
    from datacore.log.partition_log import PartitionLog
    from datacore.metadata.image import TopicImage

_NOT_FOUND = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})


class Fetching:
    """Answers Fetch requests."""

    def __init__(
        self,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
        topics_by_id: Mapping[TopicId, TopicImage],
        sessions: FetchSessions,
        fetch_bytes_max: int,
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self.logs = logs
        self.topics_by_id = topics_by_id
        self.fetch_bytes_max = fetch_bytes_max
        self.spawn = spawn
        self._sessions = sessions

    def fetch(
        self, context: RequestContext, request: FetchRequest
    ) -> FetchResponse | Pending[FetchResponse]:
        """Reads what a request asks for, now or when there is enough of it.

        Raises:
            KafkaError: The fetch session is unknown or out of step, or the isolation level is none.
        """
        scope = self._sessions.resolve(request, context.api_version)
        return _Fetch(self, context, request, scope).start()


class _Fetch:
    """One request on its way."""

    __slots__ = (
        "_before_lso",
        "_bytes_max",
        "_bytes_min",
        "_context",
        "_deadline_s",
        "_fetching",
        "_has_error",
        "_is_abandoned",
        "_is_over",
        "_magic",
        "_pending",
        "_request",
        "_scope",
        "_size",
        "_sizes",
        "_timer",
        "_version",
        "_watched",
    )

    def __init__(
        self,
        fetching: Fetching,
        context: RequestContext,
        request: FetchRequest,
        scope: FetchScope,
    ) -> None:
        version = context.api_version
        self._fetching = fetching
        self._context = context
        self._request = request
        self._scope = scope
        self._version = version
        self._magic = 2 if version >= 4 else 1 if version >= 2 else 0
        self._before_lso = request.isolation_level == READ_COMMITTED
        bytes_max = fetching.fetch_bytes_max
        if self._magic < 2:
            bytes_max = min(bytes_max, CONVERTED_BYTES_MAX)
        self._bytes_max = max(min(request.max_bytes, bytes_max), 0)
        # As Kafka does: more than it may carry, an answer need not wait for.
        self._bytes_min = min(request.min_bytes, self._bytes_max)
        self._pending: Pending[FetchResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watched: list[tuple[PartitionLog, Callable[[], None]]] = []
        self._size = 0
        self._sizes: dict[WantedPartition, int] = {}
        """Bytes of each partition in the scope, of a request that waits."""
        self._has_error = False
        self._deadline_s = 0.0
        self._is_over = False
        """``max_wait_ms`` have passed: whatever there is is enough."""
        self._is_abandoned = False

    def start(self) -> FetchResponse | Pending[FetchResponse]:
        """Answers at once, or parks."""
        level = self._request.isolation_level
        # Kafka does not look at it where there is nothing to read.
        if level not in ISOLATION_LEVELS and any(map(self._exists, self._scope.partitions)):
            raise unknown_isolation_level(level)
        collected = self._collect({})
        if not isinstance(collected, _Cold) and self._is_enough():
            return self._response(collected)
        self._pending = Pending()
        self._context.session.abandon = self._abandon
        self._deadline_s = asyncio.get_running_loop().time() + self._request.max_wait_ms / 1000
        self._go_on(collected)
        return self._pending

    def _go_on(self, collected: list[FetchedPartition] | _Cold) -> None:
        """Answers, waits for records, or waits for a device."""
        if isinstance(collected, _Cold):
            self._fetching.spawn(self._read_cold(collected))
        elif self._is_enough():
            self._finish(collected)
        else:
            self._park(collected)

    # --- reading

    def _is_enough(self) -> bool:
        request = self._request
        return (
            self._size >= self._bytes_min
            or request.max_wait_ms <= 0
            or self._is_over
            or self._has_error
            or self._scope.is_empty
        )

    def _collect(self, cold_reads: dict[WantedPartition, Read]) -> list[FetchedPartition] | _Cold:
        """One result for each partition wanted; or what must be read from a device first.

        ``cold_reads`` holds what was read so.
        """
        self._size = 0
        self._has_error = False
        results = []
        for wanted in self._scope.partitions:
            result = FetchedPartition(partition_index=wanted.index, records=b"")
            try:
                cold = self._read(wanted, result, cold_reads.get(wanted))
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
            else:
                if cold is not None:
                    return _Cold(wanted, cold, self._limit(wanted), cold_reads)
            results.append(result)
        return results

    def _end_for_reader(self, log: PartitionLog) -> int:
        return log.last_stable_offset if self._before_lso else log.high_watermark

    def _limit(self, wanted: WantedPartition) -> int:
        return max(min(wanted.max_bytes, self._bytes_max - self._size), 0)

    def _read(
        self,
        wanted: WantedPartition,
        result: FetchedPartition,
        read: Read | None,
    ) -> PartitionLog | None:
        """Fills in one partition's result.

        Returns:
            The log, when a device must be asked, or much is to be converted.
        """
        log = self._log(wanted)
        before = self._end_for_reader(log)
        result.high_watermark = log.high_watermark
        result.last_stable_offset = log.last_stable_offset
        result.log_start_offset = log.log_start_offset
        result.aborted_transactions = [] if self._before_lso else None
        offset = wanted.fetch_offset
        if wanted.last_fetched_epoch >= 0 and self._diverges(log, wanted, result):
            result.aborted_transactions = None
            return None
        if offset == before:
            return None
        limit = self._limit(wanted)
        if limit <= 0 and self._size > 0:
            return None
        if isinstance(read, KafkaError):
            raise read
        buffers = read.buffers if isinstance(read, Converted) else read
        if buffers is None:
            buffers = log.read_warm(offset, limit, before)
            if buffers is None:
                return log
        if not buffers:
            return None
        records = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        if len(records) > limit and self._size > 0:
            # Only where a batch is there that does not fit, Kafka says null.
            result.aborted_transactions = None
            return None
        if self._before_lso:
            result.aborted_transactions = [
                AbortedTransaction(
                    producer_id=aborted.producer_id, first_offset=aborted.first_offset
                )
                for aborted in log.aborted_transactions(offset, buffers)
            ]
        if isinstance(read, Converted):
            records = read.records
        elif self._magic < 2:
            if takes_long_to_convert(records):
                return log
            records = converted(records, self._magic, offset)
        self._size += len(records)
        result.records = records
        return None

    def _exists(self, wanted: WantedPartition) -> bool:
        try:
            self._log(wanted)
        except KafkaError as error:
            return error.code not in _NOT_FOUND
        return True

    def _log(self, wanted: WantedPartition) -> PartitionLog:
        fetching = self._fetching
        name = TopicName(wanted.topic)
        if self._version >= 13:
            topic = fetching.topics_by_id.get(TopicId(wanted.topic_id))
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
            name = topic.name
        try:
            log = fetching.logs[name][wanted.index]
        except KeyError:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) from None
        # Whatever is below zero is none here; in all other requests only -1 is.
        log.check_leader_epoch(max(wanted.current_leader_epoch, -1))
        return log

    @staticmethod
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

    async def _read_cold(self, cold: _Cold) -> None:
        """Reads from devices until the request can be answered."""
        collected: list[FetchedPartition] | _Cold = cold
        try:
            while isinstance(collected, _Cold):
                reads = collected.reads
                try:
                    buffers = await collected.log.read(
                        collected.wanted.fetch_offset,
                        collected.bytes_max,
                        self._end_for_reader(collected.log),
                    )
                    reads[collected.wanted] = buffers
                    if self._magic < 2 and buffers:
                        reads[collected.wanted] = await convert(
                            buffers, self._magic, collected.wanted.fetch_offset
                        )
                except KafkaError as error:
                    reads[collected.wanted] = error
                if self._is_abandoned:
                    return
                collected = self._collect(reads)
            self._go_on(collected)
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    # --- waiting

    def _park(self, collected: list[FetchedPartition]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._deadline_s, self._give_up_waiting)
        self._note_sizes(collected)
        scope = self._scope
        session = scope.session if scope.is_incremental else None
        if session is None:
            for wanted in scope.partitions:
                self._watch(wanted)
            return
        session.on_wake = self._awoken
        looked_at = list(zip(scope.partitions, collected, strict=True))
        scope.partitions.clear()
        for wanted, result in looked_at:
            if self._is_at_end(wanted, result) and not self._is_news(wanted, result):
                session.rest(wanted, self._log(wanted))
            else:
                scope.partitions.append(wanted)
                self._watch(wanted)

    def _watch(self, wanted: WantedPartition) -> None:
        log = self._log(wanted)
        wake = partial(self._wake, wanted)
        log.watch(wake)
        self._watched.append((log, wake))

    def _awoken(self, wanted: WantedPartition) -> None:
        """A partition of the session rests no more."""
        self._scope.partitions.append(wanted)
        self._sizes[wanted] = 0
        with suppress(KafkaError):  # it is gone, which looking at it tells
            self._watch(wanted)
        self._wake(wanted)

    def _note_sizes(self, collected: list[FetchedPartition]) -> None:
        waiting = zip(self._scope.partitions, collected, strict=True)
        self._sizes = {wanted: len(result.records or b"") for wanted, result in waiting}

    def _abandon(self) -> None:
        """The client is gone."""
        self._is_abandoned = True
        self._unpark()

    def _unpark(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for log, wake in self._watched:
            log.unwatch(wake)
        self._watched.clear()
        session = self._scope.session
        if session is not None and session.on_wake == self._awoken:
            session.on_wake = None

    def _wake(self, wanted: WantedPartition) -> None:
        """Something has happened to that partition's log."""
        try:
            if not self._may_be_enough(wanted):
                return
            collected = self._collect({})
            if isinstance(collected, _Cold) or self._is_enough():
                self._unpark()
                self._go_on(collected)
            else:
                self._note_sizes(collected)
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    def _may_be_enough(self, wanted: WantedPartition) -> bool:
        """Looks at that one partition again, so that an append costs the same however many wait."""
        self._size -= self._sizes[wanted]
        result = FetchedPartition(partition_index=wanted.index, records=b"")
        try:
            cold = self._read(wanted, result, None)
        except KafkaError:
            return True
        self._sizes[wanted] = len(result.records or b"")
        return cold is not None or self._is_enough()

    def _give_up_waiting(self) -> None:
        self._is_over = True
        self._unpark()
        try:
            self._go_on(self._collect({}))
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)

    # --- answering

    def _fail(self, error: Exception) -> None:
        """Tells this client of the unexpected, and it alone.

        Whoever runs a parked request is somebody else: the producer whose records woke it, the
        round of group commit, the broker's task group.
        """
        assert self._pending is not None
        self._unpark()
        if self._pending.is_settled:
            raise error
        self._pending.fail(error)

    def _finish(self, collected: list[FetchedPartition]) -> None:
        assert self._pending is not None
        self._pending.resolve(self._response(collected))

    def _response(self, collected: list[FetchedPartition]) -> FetchResponse:
        scope = self._scope
        session = scope.session
        topics: list[FetchableTopicResponse] = []
        topic: FetchableTopicResponse | None = None
        for wanted, result in zip(scope.partitions, collected, strict=True):
            if not scope.is_incremental or self._is_news(wanted, result):
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
                elif self._is_at_end(wanted, result):
                    session.rest(wanted, self._log(wanted))
        return FetchResponse(session_id=scope.session_id, responses=topics)

    @staticmethod
    def _is_news(wanted: WantedPartition, result: FetchedPartition) -> bool:
        """Whether a session's client must hear of this partition."""
        return (
            bool(result.records)
            or result.error_code != 0
            or result.high_watermark != wanted.told_high_watermark
            or result.log_start_offset != wanted.told_log_start_offset
            or result.diverging_epoch.epoch >= 0
        )

    def _is_at_end(self, wanted: WantedPartition, result: FetchedPartition) -> bool:
        """Whether there is nothing for the reader until the log moves."""
        end = result.last_stable_offset if self._before_lso else result.high_watermark
        return (
            result.error_code == 0
            and wanted.fetch_offset == end
            and result.diverging_epoch.epoch < 0
        )


class _Cold:
    """A read that a device must answer before a request can go on."""

    __slots__ = ("bytes_max", "log", "reads", "wanted")

    def __init__(
        self,
        wanted: WantedPartition,
        log: PartitionLog,
        bytes_max: int,
        reads: dict[WantedPartition, Read],
    ) -> None:
        self.wanted = wanted
        self.log = log
        self.bytes_max = bytes_max
        self.reads = reads
