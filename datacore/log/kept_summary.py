"""Where a log's summary is kept between two processes: with the engine, up to some offset.

Rules:

- It is written when a log is closed, after compaction, and whenever ``UNSUMMED_BYTES_MAX`` were
  appended since: a start after a crash reads back that much and little more. Kafka writes its
  snapshots of producers when a log rolls; a segment may be many times as large.
- Saving never holds up an append: what is encoded at once is a few numbers for each producer, and
  the engine writes it in the background.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from datacore.log.summary import Summary
from datacore.record.batch import iterate_headers
from datacore.storage.engine import Damaged

if TYPE_CHECKING:
    from datacore.storage.engine import EngineLog

logger = logging.getLogger("datacore.log")

SCAN_BYTES: Final = 1 << 20
"""How much of a log is read at once when it is scanned."""

UNSUMMED_BYTES_MAX: Final = 64 << 20
"""A log with more behind its last summary gets a new one."""


class KeptSummary:
    """The summary that the engine keeps of one log.

    Attributes:
        appended_bytes: All that was read back or appended since the log was opened.
        due_bytes: When there are more, it is time to save.
    """

    __slots__ = (
        "_engine_log",
        "_notes",
        "_offset",
        "_saved_notes",
        "_summed_bytes",
        "appended_bytes",
        "due_bytes",
    )

    def __init__(self, engine_log: EngineLog) -> None:
        self._engine_log = engine_log
        self._offset = 0
        """Up to where the engine keeps a summary."""
        self._notes = self._saved_notes = 0
        self._summed_bytes = 0
        """Of the appended bytes, what the kept summary covers."""
        self.appended_bytes = 0
        self.due_bytes = UNSUMMED_BYTES_MAX

    @property
    def unsummed_bytes(self) -> int:
        """How much a start after a crash would have to read back."""
        return self.appended_bytes - self._summed_bytes

    @property
    def is_outdated(self) -> bool:
        """Whether something was noted in the summary that is in no batch, and it was not saved."""
        return self._notes != self._saved_notes

    def note_outdated(self) -> None:
        """Something was noted in the summary that is in no batch."""
        self._notes += 1

    def note_asked(self) -> None:
        """Somebody was asked to save."""
        self.due_bytes += UNSUMMED_BYTES_MAX

    async def save(self, summary: Summary) -> None:
        """Lets the next start go on from here, where there is news since the last time.

        Raises:
            StorageError: The engine could not keep it.
        """
        engine_log = self._engine_log
        end_offset = engine_log.end_offset
        if end_offset == self._offset and not self.is_outdated:
            return
        notes, summed_bytes = self._notes, self.appended_bytes
        self.due_bytes = summed_bytes + UNSUMMED_BYTES_MAX  # what fails is tried again then
        await engine_log.save_snapshot(end_offset, summary.encode())
        self._offset, self._saved_notes, self._summed_bytes = end_offset, notes, summed_bytes

    async def load(self) -> Summary:
        """The summary of all that the log holds, read back where the kept one does not reach.

        Raises:
            StorageError: The engine cannot say.
        """
        engine_log = self._engine_log
        offset = engine_log.start_offset
        summary = Summary()
        kept = await engine_log.load_snapshot()
        if kept is not None and offset <= kept[0] <= engine_log.end_offset:
            try:
                summary = Summary.decode(kept[1])
            except msgspec.DecodeError as error:
                logger.warning("A summary of another version is not used: %s", error)
            else:
                offset = self._offset = kept[0]
        self._summed_bytes = self.appended_bytes
        while offset < engine_log.end_offset:
            try:
                buffers = await engine_log.read(
                    offset, max_bytes=SCAN_BYTES, before_offset=engine_log.end_offset
                )
            except Damaged as damaged:  # the engine has told what is lost
                offset = damaged.next_offset
                continue
            for buffer in buffers:
                view = memoryview(buffer)
                for at, header in iterate_headers(view):
                    offset = header.next_offset
                    self.appended_bytes += header.size
                    summary.read_back(view[at : at + header.size], header)
        summary.transactions.advance(engine_log.durable_end_offset)
        return summary
