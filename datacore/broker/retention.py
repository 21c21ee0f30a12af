"""Retention at work: once in an interval every log gives up what its topic no longer keeps.

Rules: one log after the other, and of each a few extents at a time, so that nobody on the event
loop waits for more than that. A log that fails is logged and tried again an interval later.

Kafka's counterpart: ``LogManager.cleanupLogs``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from datacore.log.deletion import delete_expired
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.broker.partitions import Partitions

logger = logging.getLogger("datacore.broker")


class Retention:
    """The background task that deletes what is old."""

    def __init__(self, partitions: Partitions, interval_ms: int, now_ms: Callable[[], int]) -> None:
        self._partitions = partitions
        self._interval_s = interval_ms / 1000
        self._now_ms = now_ms

    async def run(self) -> None:
        """Passes over all logs, an interval after the one before, until cancelled."""
        while True:
            await anyio.sleep(self._interval_s)
            await self.run_once()

    async def run_once(self) -> None:
        """One pass over all logs."""
        by_topic = self._partitions.by_topic
        everything = [
            (topic, index, log) for topic, logs in by_topic.items() for index, log in logs.items()
        ]
        for topic, index, log in everything:
            await checkpoint()
            if by_topic.get(topic, {}).get(index) is not log:
                continue  # deleted meanwhile
            start_offset = log.log_start_offset
            try:
                await delete_expired(log, self._now_ms())
            except KafkaError as error:
                if by_topic.get(topic, {}).get(index) is log:
                    logger.warning("Retention of %s-%d has failed: %s", topic, index, error)
            if log.log_start_offset > start_offset:
                logger.info(
                    "%s-%d: retention moved the start from %d to %d",
                    topic,
                    index,
                    start_offset,
                    log.log_start_offset,
                )
