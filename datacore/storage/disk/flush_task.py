"""What one log gives to one round of group commit.

Rules: filled on the event loop's thread; the flusher's thread reads it and keeps its errors in it;
read again on the event loop's thread. Files to sync are pinned, those to write are opened by path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.checkpoint import Checkpoint
    from datacore.storage.disk.durable_ends import DurableEnd
    from datacore.storage.disk.files import Files
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.state import StateFile
    from datacore.storage.pending import Pending


@dataclass(frozen=True, slots=True)
class Mark:
    """An end of a log, and all that is needed to go back to it."""

    offset: int
    segment: Segment | None = None
    size: int = 0
    max_timestamp_ms: int = -1
    max_timestamp_offset: int = 0


class FlushedLog(Protocol):
    """Whose share it is; told on the loop what came of it (``LogCommit``)."""

    def note_flushed(self, task: LogFlush) -> None:
        """The round has ended."""

    def answer_flushed(self, task: LogFlush) -> None:
        """All logs of the round know that it has ended."""

    def note_checkpoint(self, checkpoint: Checkpoint) -> None:
        """The checkpoint is written, or could not be."""


@dataclass(slots=True)
class LogFlush:
    """One log's share of one round."""

    commit: FlushedLog
    files: Files
    state: StateFile
    pending: Pending[None] | None
    mark: Mark
    unsynced: list[tuple[Segment, int]]
    """Segments written since the last round, pinned, and the position they were written from."""
    folders: list[Path]
    """Where files were made since the last round."""
    checkpoint: Checkpoint | None
    durable_end: DurableEnd
    error: OSError | None = None

    @property
    def has_checkpoint(self) -> bool:
        """See ``FlushTask``."""
        return self.checkpoint is not None

    def start_writeback(self) -> None:
        """See ``FlushTask``."""
        try:
            for segment, position in self.unsynced:
                self.files.start_writeback(segment.fd, position)
        except OSError:
            return  # advice alone: what is wrong with the device, sync will say

    def sync(self) -> None:
        """See ``FlushTask``."""
        try:
            for segment, _ in self.unsynced:
                self.files.fdatasync(segment.fd)
            if self.folders:
                self.state.sync()
                for folder in self.folders:
                    self.files.sync_folder(folder)
        except OSError as error:
            self.error = error
        else:
            self.durable_end.note(self.mark.offset)

    def write_checkpoint(self) -> None:
        """See ``FlushTask``."""
        assert self.checkpoint is not None
        if self.error is None:
            self.checkpoint.write(self.files, self.state)
        else:
            self.checkpoint.error = self.error

    def note(self) -> None:
        """See ``FlushTask``."""
        for segment, _ in self.unsynced:
            segment.unpin()
        self.commit.note_flushed(self)

    def answer(self) -> None:
        """See ``FlushTask``."""
        self.commit.answer_flushed(self)

    def note_checkpoint(self) -> None:
        """See ``FlushTask``."""
        assert self.checkpoint is not None
        self.commit.note_checkpoint(self.checkpoint)
