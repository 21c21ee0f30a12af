"""What a log has written and not yet made durable, and how rounds of group commit change that.

Rules:

- Lives on the event loop's thread. A round takes all that was written before it began; ``durable``
  marks the end that the last round that succeeded has synced.
- Checkpoints travel with rounds: when a log has grown by ``checkpoint_bytes``, when it goes on in
  a new segment, and when it is closed.
- A failed round leaves nothing to sync: the log goes back to ``durable`` (``DiskLog``), and those
  who wait for the round behind it fail with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.disk.checkpoint import take_checkpoint
from datacore.storage.disk.flush_task import LogFlush, Mark
from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import StorageError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacore.storage.disk.checkpoint import Checkpoint
    from datacore.storage.disk.durable_ends import DurableEnd
    from datacore.storage.disk.recovery import OpenedFolder
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.storage.disk.store import Store


class LogCommit:
    """One log's part in group commit."""

    __slots__ = (
        "_checkpoint",
        "_checkpoint_bytes",
        "_checkpoint_is_due",
        "_dirty",
        "_durable_end",
        "_files",
        "_flusher",
        "_folder",
        "_is_last",
        "_is_waiting",
        "_next_round",
        "_on_durable",
        "_on_failed",
        "_segments",
        "_state",
        "_unchecked_bytes",
        "_unsealed",
        "_unsynced_folders",
        "durable",
        "end_offset",
    )

    def __init__(
        self,
        store: Store,
        opened: OpenedFolder,
        segments: SegmentList,
        durable_end: DurableEnd,
        *,
        on_durable: Callable[[int], None],
        on_failed: Callable[[Mark], None],
    ) -> None:
        """Begins with everything durable.

        Args:
            store: What the engine's logs share.
            opened: The log as it was found.
            segments: The log's segments, shared with it.
            durable_end: Where it is noted how far the log is durable.
            on_durable: Told an offset before which everything is durable now.
            on_failed: Told what is still durable, after a round that failed.
        """
        self._files = store.files
        self._flusher = store.flusher
        self._durable_end = durable_end
        self._checkpoint_bytes = store.config.checkpoint_bytes
        self._folder = opened.folder
        self._state = opened.state
        self._segments = segments
        self._on_durable = on_durable
        self._on_failed = on_failed
        self.end_offset = opened.end_offset
        self.durable = self._mark()
        self._dirty: list[tuple[Segment, int]] = []
        """Segments written since the last round began, and from which position."""
        self._unsealed: list[Segment] = []
        """Segments that are full and whose index files are not complete."""
        self._unsynced_folders: list[Path] = []
        if opened.is_new:
            self._unsynced_folders = [opened.folder, opened.folder.parent]
        elif not opened.state.is_synced:
            self._unsynced_folders = [opened.folder]
        self._next_round: Pending[None] | None = None
        """Settled by the round that has not begun yet."""
        self._is_waiting = False
        """The flusher will ask for that round."""
        self._checkpoint: Checkpoint | None = None
        """Being written."""
        self._checkpoint_is_due = False
        self._unchecked_bytes = 0
        """Appended since the last checkpoint."""
        self._is_last = False
        """The log is being closed."""

    # --- what the log writes

    def note_dirty(self, segment: Segment, position: int) -> None:
        """A segment was written to, from that position on, that no round has yet taken."""
        segment.is_dirty = True
        self._dirty.append((segment, position))

    def note_rolled(self, old: Segment | None) -> None:
        """The log goes on in a new file behind ``old``."""
        if self._folder not in self._unsynced_folders:
            self._unsynced_folders.append(self._folder)
        if old is not None:
            old.index_timestamp()
            self._unsealed.append(old)
            self._checkpoint_is_due = True
            self._ask_for_round()

    def note_appended(self, next_offset: int, size: int) -> None:
        """The log has grown, and nobody waits for that to be durable."""
        self.end_offset = next_offset
        self._unchecked_bytes += size
        if self._unchecked_bytes > self._checkpoint_bytes:
            self._ask_for_round()

    def commit(self, next_offset: int, size: int) -> Pending[None]:
        """The log has grown; what settles when that is durable."""
        self.end_offset = next_offset
        self._unchecked_bytes += size
        pending = self._next_round
        if pending is None:
            pending = self._next_round = Pending()
            self._ask_for_round()
        return pending

    def sync_soon(self) -> None:
        """Has what is not durable synced, though nobody waits for it."""
        if self._next_round is None and self._dirty:
            self._next_round = Pending()
            self._ask_for_round()

    def note_moved(self, end_offset: int) -> None:
        """The log was cut, and ends there with everything durable."""
        self.end_offset = end_offset
        self.note_dropped()
        self.durable = self._mark()

    def note_dropped(self) -> None:
        """Segments were taken out of the log."""
        self._unsealed = [segment for segment in self._unsealed if not segment.is_gone]
        if self.durable.segment is not None and self.durable.segment.is_gone:
            self.durable = Mark(self.durable.offset)

    async def close(self) -> None:
        """Makes everything durable for the last time, with a checkpoint that waits for no device.

        Raises:
            StorageError: What was not durable is lost.
        """
        self._is_last = True
        await self.flush()

    async def flush(self) -> None:
        """Makes everything durable, with a checkpoint behind it; then no round is under way.

        Raises:
            StorageError: What was not durable is lost.
        """
        pending = self._next_round = self._next_round or Pending()
        if self._unchecked_bytes or self._unsealed:
            self._checkpoint_is_due = True
        self._ask_for_round()
        try:
            await pending
        finally:
            while self._checkpoint is not None:
                await self._checkpoint.done

    def _ask_for_round(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._flusher.add(self)

    # --- what the flusher does

    def begin_round(self) -> LogFlush | None:
        """See ``FlushSource``."""
        self._is_waiting = False
        checkpoint = self._begin_checkpoint()
        if self._next_round is None and checkpoint is None:
            return None
        task = LogFlush(
            self,
            self._files,
            self._state,
            self._next_round,
            self._mark(),
            self._dirty,
            self._unsynced_folders,
            checkpoint,
            self._durable_end,
        )
        for segment, _ in self._dirty:
            segment.is_dirty = False
            segment.pin()
        self._dirty = []
        self._unsynced_folders = []
        self._next_round = None
        return task

    def note_flushed(self, task: LogFlush) -> None:
        """A round has ended: moves the durable end, or has the log go back to it."""
        if task.error is None:
            mark = task.mark
            is_gone = mark.segment is not None and mark.segment.is_gone
            self.durable = Mark(mark.offset) if is_gone else mark
            self._on_durable(mark.offset)
            return
        LOGGER.error("%s: cannot sync: %s", self._folder, task.error)
        self._unsynced_folders = [*task.folders, *self._unsynced_folders]
        self._on_failed(self.durable)

    def answer_flushed(self, task: LogFlush) -> None:
        """Calls those who wait for the round."""
        if task.pending is None:
            return
        if task.error is None:
            task.pending.resolve(None)
        else:
            task.pending.fail(self._flush_error())

    def note_checkpoint(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is written, or will be tried again."""
        self._checkpoint = None
        if checkpoint.error is None:
            for segment in checkpoint.sealed:
                segment.is_sealed = True
            self._unsealed = [segment for segment in self._unsealed if not segment.is_sealed]
        else:
            LOGGER.warning("%s: cannot write a checkpoint: %s", self._folder, checkpoint.error)
            for segment in self._segments.segments:
                segment.forget_written_indexes()
        checkpoint.done.resolve(None)

    def drop_undurable(self) -> None:
        """Forgets what was written behind ``durable``, and fails those who wait for it."""
        for segment, _ in self._dirty:
            segment.is_dirty = False
        self._dirty = []
        pending = self._next_round
        self._next_round = None
        if pending is not None:
            pending.fail(self._flush_error())

    def _begin_checkpoint(self) -> Checkpoint | None:
        """What a checkpoint would write now, when one is due."""
        is_due = self._checkpoint_is_due or self._unchecked_bytes > self._checkpoint_bytes
        active = self._segments.active
        if not is_due or self._checkpoint is not None or active is None:
            return None
        self._checkpoint_is_due = False
        self._unchecked_bytes = 0
        self._checkpoint = take_checkpoint(
            self._unsealed, active, self.end_offset, sync=not self._is_last
        )
        return self._checkpoint

    def _mark(self) -> Mark:
        segment = self._segments.active
        if segment is None:
            return Mark(self.end_offset)
        return Mark(
            self.end_offset,
            segment,
            segment.size,
            segment.max_timestamp_ms,
            segment.max_timestamp_offset,
        )

    def _flush_error(self) -> StorageError:
        return StorageError(f"cannot make {self._folder.name} durable: its device failed to sync")
