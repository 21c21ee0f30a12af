"""When a log is synced whose appends wait for no device (``disk.sync = false``).

Rules, as Kafka's ``UnifiedLog.append`` and ``LogManager.flushDirtyLogs`` have them:

- flush.messages: the append that makes so many records unsynced waits for the round that syncs
  them. Those after it do not.
- flush.ms: a round takes in each record that long after its append, at the latest. Kafka looks for
  such logs once in log.flush.scheduler.interval.ms, which is never unless it is set.
- A round that fails is told in a log line, and fails the append that waits for it; the log keeps
  what the kernel has.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from datacore.storage.engine import NEVER, FileHandling

if TYPE_CHECKING:
    from datacore.storage.disk.commit import LogCommit
    from datacore.storage.pending import Pending


class FlushInterval:
    """One log's."""

    __slots__ = ("_commit", "_due_offset", "_messages", "_ms", "_timer")

    def __init__(self, commit: LogCommit) -> None:
        self._commit = commit
        self._messages = NEVER
        self._ms = NEVER
        self._due_offset = NEVER
        """An append that ends here, or behind it, waits."""
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, files: FileHandling) -> None:
        """Obeys at once."""
        self._messages = files.flush_messages
        self._due_offset = self._commit.durable.offset + self._messages
        if files.flush_ms != self._ms:
            self._ms = files.flush_ms
            self.stop()
            if self._commit.end_offset > self._commit.durable.offset:
                self._start()

    def note_appended(self, next_offset: int, size: int) -> Pending[None] | None:
        """The log has grown; what to wait for, if anything."""
        if self._timer is None and self._ms < NEVER:
            self._start()
        if next_offset >= self._due_offset:
            self._due_offset = next_offset + self._messages
            return self._commit.commit(next_offset, size)
        self._commit.note_appended(next_offset, size)
        return None

    def note_durable(self, offset: int) -> None:
        """Everything before the offset is synced."""
        self._due_offset = max(self._due_offset, offset + self._messages)

    def stop(self) -> None:
        """Nothing is due by time any more, until the next append."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._ms < NEVER:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._ms / 1000, self._sync)

    def _sync(self) -> None:
        self._timer = None
        self._commit.sync_soon()
