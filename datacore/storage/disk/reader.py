"""One read of a log: which bytes are wanted next, and which whole batches they are.

Rules: does no I/O. Whoever drives it asks ``want``, fills a buffer of that size from the segment's
file, warm on the event loop or waiting in a worker thread, and hands it to ``feed``. A read costs
a bisection of the sparse index, one system call, and a walk over the headers of one index interval
at either end; what lies between is never looked at. Hints spare sequential readers the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from datacore.storage.batches import BATCH_EXTENT, BATCH_SIZE_MIN
from datacore.storage.engine import Damaged, StorageError
from datacore.wire.batch_header import BATCH_FRAME, BATCH_FRAME_SIZE, BATCH_HEADER_SIZE

if TYPE_CHECKING:
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.wire.buffer import Buffer

FIND_READ_SIZE: Final = 16 * 1024
"""What may be read beyond one index interval to find where a read starts."""


class Wanted(NamedTuple):
    """A range of bytes of a segment."""

    segment: Segment
    position: int
    size: int


class LogRead:
    """The state of one read."""

    __slots__ = (
        "_at",
        "_before_offset",
        "_end_offset",
        "_hints",
        "_interval_bytes",
        "_is_exact",
        "_is_placed",
        "_offset",
        "_position",
        "_remaining",
        "_segments",
        "_size_min",
        "buffers",
    )

    def __init__(
        self,
        segments: SegmentList,
        *,
        offset: int,
        max_bytes: int,
        before_offset: int,
        end_offset: int,
        interval_bytes: int,
    ) -> None:
        self.buffers: list[Buffer] = []
        self._segments = segments.segments
        self._hints = segments.hints
        hint = self._hints.find(offset)
        self._at = segments.index_of(hint[0].base_offset if hint else offset)
        self._position = hint[1] if hint else 0
        self._is_placed = hint is not None
        """Whether the position is near to where the batch is that contains the offset."""
        self._is_exact = hint is not None
        """Whether the batch at the position is the one to continue with."""
        self._offset = offset
        self._remaining = max(max_bytes, 0)
        self._before_offset = before_offset
        self._end_offset = end_offset
        self._interval_bytes = interval_bytes
        self._size_min = 0

    def want(self) -> Wanted | None:
        """What to read next; None when the read is complete.

        A size of 0 asks for nothing but the segment's index.
        """
        while self._at < len(self._segments):
            segment = self._segments[self._at]
            if segment.offset_index is None:
                return Wanted(segment, self._position, 0)
            if not self._is_placed:
                relative_offset = self._offset - segment.base_offset
                self._position = segment.offset_index.position_before(relative_offset)
                self._is_placed = True
            limit = self._limit(segment)
            if segment.damage:
                limit = min(limit, self._whole_until(segment))
            if self._position < limit:
                size = max(self._remaining + BATCH_HEADER_SIZE, self._size_min)
                if not self._is_exact:
                    # First find the start, unless the rest comes at little cost.
                    size = min(size, FIND_READ_SIZE) + self._interval_bytes
                return Wanted(segment, self._position, min(size, limit - self._position))
            if limit < segment.size or (segment.damage and self.buffers):
                return None
            self._at += 1
            self._position = 0
            self._is_exact = self._is_exact or bool(self.buffers)
        return None

    def feed(self, view: memoryview) -> None:
        """Takes what was wanted, all of it.

        Raises:
            StorageError: The file does not hold what it should.
        """
        segment = self._segments[self._at]
        start = 0
        if not self._is_exact:
            start, self._is_exact = self._find_start(view, segment)
            if not self._is_exact and start == 0:
                raise self._damage(segment, self._position)
            self._position += start
            available = len(view) - start
            is_all = self._position + available == self._limit(segment)
            if not self._is_exact or (available < self._remaining and not is_all):
                return
        size = self._frame_size(view, start, segment, self._position)
        if size > len(view) - start:
            if self.buffers and size > self._remaining:
                self._finish()
            elif self._size_min >= size:
                raise self._damage(segment, self._position)
            else:
                self._size_min = size
            return
        if BATCH_FRAME.unpack_from(view, start)[0] >= self._before_offset:
            self._finish()
            return
        if size > self._remaining and self.buffers:
            self._finish()
            return
        end = self._find_end(view, start, segment, max(size, self._remaining))
        self.buffers.append(view[start:end])
        self._remaining -= end - start
        self._position += end - start
        self._size_min = 0
        self._note_next(view, end, segment)

    def _limit(self, segment: Segment) -> int:
        """A batch boundary behind everything of the segment that may be returned."""
        if self._before_offset >= self._end_offset:
            return segment.size
        assert segment.offset_index is not None
        relative_offset = self._before_offset - segment.base_offset
        if relative_offset <= 0:
            return 0
        return min(
            segment.offset_index.position_behind(relative_offset, segment.size), segment.size
        )

    def _whole_until(self, segment: Segment) -> int:
        """Where the damage begins that the read may not go into; steps over what lies before it.

        Raises:
            Damaged: It begins in damage.
        """
        for damage in segment.damage:
            if damage.next_offset <= self._offset and not self.buffers:
                self._position = max(self._position, damage.end_position)
            elif damage.first_offset <= self._offset and not self.buffers:
                message = (
                    f"{segment.path('.log')} is damaged: it has lost the offsets "
                    f"{damage.first_offset} to {damage.next_offset - 1}"
                )
                raise Damaged(message, damage.next_offset)
            elif damage.position >= self._position:
                return damage.position
        return segment.size

    def _find_start(self, view: memoryview, segment: Segment) -> tuple[int, bool]:
        """Walks to the first batch that ends at the offset or behind it.

        Returns:
            The first byte that has not been walked over, and whether that batch starts there.
        """
        at = 0
        while at + BATCH_SIZE_MIN <= len(view):
            base_offset, _, last_offset_delta = BATCH_EXTENT.unpack_from(view, at)
            size = self._frame_size(view, at, segment, self._position + at)
            if base_offset + last_offset_delta >= self._offset:
                return at, True
            at += size
        return at, False

    def _find_end(self, view: memoryview, start: int, segment: Segment, max_bytes: int) -> int:
        """The end of the last batch of ``view`` within ``max_bytes`` and ``before_offset``."""
        assert segment.offset_index is not None
        position = self._position
        stop = min(len(view), start + max_bytes)
        at = segment.offset_index.position_within(position + stop - start)
        if self._before_offset < self._end_offset:
            relative_offset = self._before_offset - segment.base_offset
            at = min(at, segment.offset_index.position_before(relative_offset))
        at = max(at - position, 0) + start
        while at + BATCH_SIZE_MIN <= stop:
            size = self._frame_size(view, at, segment, position + at - start)
            if at + size > stop or BATCH_FRAME.unpack_from(view, at)[0] >= self._before_offset:
                break
            at += size
        return at

    def _note_next(self, view: memoryview, end: int, segment: Segment) -> None:
        """Notes where the next batch begins, and whether there is room for another one."""
        if self._position < segment.size:
            if end + BATCH_FRAME_SIZE <= len(view):
                base_offset = BATCH_FRAME.unpack_from(view, end)[0]
                self._hints.add(base_offset, segment, self._position)
            self._finish()
        elif self._at + 1 < len(self._segments):
            following = self._segments[self._at + 1]
            self._hints.add(following.base_offset, following, 0)
            if self._remaining < BATCH_SIZE_MIN:
                self._finish()
        else:
            self._hints.add(self._end_offset, segment, self._position)

    def _finish(self) -> None:
        self._at = len(self._segments)

    def _frame_size(self, view: memoryview, at: int, segment: Segment, position: int) -> int:
        if at + BATCH_FRAME_SIZE > len(view):
            raise self._damage(segment, position)
        base_offset, length = BATCH_FRAME.unpack_from(view, at)
        size: int = length + BATCH_FRAME_SIZE
        if (
            size < BATCH_SIZE_MIN
            or position + size > segment.size
            or base_offset < segment.base_offset
        ):
            raise self._damage(segment, position)
        return size

    def _damage(self, segment: Segment, position: int) -> StorageError:
        return StorageError(f"{segment.path('.log')} is damaged: no batch at position {position}")
