"""Looks at what another process has written before it is served (``damage.py`` says how).

Rules: decided on the event loop's thread, looked at in worker threads, on a pinned segment. What
comes back after a cut is thrown away: the read that wanted it begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from datacore.storage.disk.damage import Bounds, Stretch, is_as_written
from datacore.storage.disk.segment import examine
from datacore.storage.disk.store import LOGGER
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.storage.disk.damage import Damage
    from datacore.storage.disk.files import Files
    from datacore.storage.disk.segment import Examined, Segment
    from datacore.storage.disk.segment_list import SegmentList


class SegmentChecker:
    """Checks the segments of one log."""

    __slots__ = ("_files", "_interval_bytes", "_segments")

    def __init__(self, files: Files, segments: SegmentList, interval_bytes: int) -> None:
        self._files = files
        self._segments = segments
        self._interval_bytes = interval_bytes

    async def check(self, segment: Segment, position: int, end_position: int) -> None:
        """Checks a range of a loaded segment; after that it is checked, or the log was cut.

        Raises:
            StorageError: It cannot be read.
        """
        cuts = self._segments.cuts
        size = segment.unchecked_size
        bounds = Bounds(segment.base_offset, segment.unchecked_end_offset)
        stretch = segment.stretch(position, end_position)
        segment.pin()
        try:
            examined = await anyio.to_thread.run_sync(self._look, segment, stretch, size, bounds)
            if self._segments.cuts != cuts or segment.unchecked_size != size:
                return
            if examined is None:
                segment.note_checked(stretch)
                return
            is_index_new = segment.take_over(examined, size)
            self._segments.note_examined(segment, examined)
            report_damage(segment, examined.damage)
            if is_index_new:
                LOGGER.warning("%s: its indexes were wrong, and are new", segment.path(".log"))
                if segment.is_sealed:
                    await anyio.to_thread.run_sync(examined.write_indexes, self._files, segment)
        except OSError as error:
            message = f"cannot check {segment.path('.log')}: {error}"
            raise StorageError(message) from error
        finally:
            segment.unpin()

    def _look(
        self, segment: Segment, stretch: Stretch, size: int, bounds: Bounds
    ) -> Examined | None:
        """None: the stretch is as it was written. In a worker thread."""
        if is_as_written(self._files, segment.fd, stretch, size, bounds):
            return None
        return examine(self._files, segment.fd, segment, size, bounds, self._interval_bytes)


def report_damage(segment: Segment, damage: Sequence[Damage]) -> None:
    """Says what a segment has lost."""
    for position, end_position, first_offset, next_offset in damage:
        LOGGER.error(
            "%s is damaged: bytes %d to %d are not what was written; the offsets %d to %d are lost",
            segment.path(".log"),
            position,
            end_position,
            first_offset,
            next_offset - 1,
        )
