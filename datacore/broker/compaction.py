"""Compaction at work: one log after the other, the dirtiest first, for as long as there is one.

Rules:

- A round over one log is ``datacore.log.cleaner``; this chooses the log, gives the memory, and
  waits log.cleaner.backoff.ms when no log needs it. The internal topics are logs like others.
- A log that fails is logged and left alone for twenty waits: its device will not mend at once.
- The map of keys is one for all logs, and empty between rounds.

Kafka's counterparts: ``LogCleaner`` and ``LogCleanerManager``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from anyio.lowlevel import checkpoint

from datacore.log.cleaner import clean, look
from datacore.log.key_offsets import KeyOffsets
from datacore.log.pace import Pace
from datacore.metadata.configs import broker_int, broker_value
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datacore.broker.partitions import Partitions
    from datacore.log.cleanable import Cleanable
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.names import TopicName

logger = logging.getLogger("datacore.broker")

FAILED_WAITS: Final = 20


class _Candidate(NamedTuple):
    topic: TopicName
    partition: int
    log: PartitionLog


class Compaction:
    """The background task that compacts logs."""

    def __init__(
        self,
        partitions: Partitions,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
    ) -> None:
        self._partitions = partitions
        self._broker_values = broker_values
        self._keys = KeyOffsets(0)
        self._now_ms = now_ms
        self._failed: dict[PartitionLog, int] = {}
        """How many waits each of them is left alone for."""

    async def run(self) -> None:
        """Compacts what needs it until cancelled."""
        values = self._broker_values
        while broker_value("log.cleaner.enable", values) == "true":
            while await self.run_once():
                await checkpoint()
            await anyio.sleep(broker_int("log.cleaner.backoff.ms", values) / 1000)
            self._failed = {log: left - 1 for log, left in self._failed.items() if left > 1}

    async def run_once(self) -> bool:
        """A round over the dirtiest log; False when no log needs one."""
        dirtiest: tuple[_Candidate, Cleanable] | None = None
        for candidate in list(self._candidates()):
            await checkpoint()
            if not self._is_current(candidate):
                continue  # deleted meanwhile
            try:
                part = await look(candidate.log, self._now_ms())
            except KafkaError as error:
                self._note_failed(candidate, error)
                continue
            if part is not None and (
                dirtiest is None or part.dirty_ratio > dirtiest[1].dirty_ratio
            ):
                dirtiest = candidate, part
        if dirtiest is None:
            return False
        await self._clean(*dirtiest)
        return True

    def _candidates(self) -> Iterator[_Candidate]:
        for topic, logs in self._partitions.by_topic.items():
            for partition, log in logs.items():
                if log.config.compacted and log not in self._failed:
                    yield _Candidate(topic, partition, log)

    def _is_current(self, candidate: _Candidate) -> bool:
        topic, partition, log = candidate
        return self._partitions.by_topic.get(topic, {}).get(partition) is log

    async def _clean(self, candidate: _Candidate, part: Cleanable) -> None:
        values = self._broker_values
        self._keys.limit(
            broker_int("log.cleaner.dedupe.buffer.size", values),
            float(broker_value("log.cleaner.io.buffer.load.factor", values)),
        )
        pace = Pace(float(broker_value("log.cleaner.io.max.bytes.per.second", values)))
        try:
            cleaning = await clean(candidate.log, part, self._keys, pace, self._now_ms())
        except KafkaError as error:
            self._note_failed(candidate, error)
        except Exception:
            # One log that brings out a fault of ours must not leave all others to grow.
            logger.exception("Compaction of %s-%d has failed", candidate.topic, candidate.partition)
            self._failed[candidate.log] = FAILED_WAITS
        else:
            logger.info(
                "%s-%d: compacted up to offset %d, %d of %d records kept, %d bytes became %d",
                candidate.topic,
                candidate.partition,
                cleaning.cleaned_offset,
                cleaning.records_kept,
                cleaning.records_seen,
                cleaning.bytes_before,
                cleaning.bytes_after,
            )
        await pace.finish(self._keys.clear())

    def _note_failed(self, candidate: _Candidate, error: KafkaError) -> None:
        self._failed[candidate.log] = FAILED_WAITS
        if self._is_current(candidate):
            logger.warning(
                "Compaction of %s-%d has failed: %s", candidate.topic, candidate.partition, error
            )
