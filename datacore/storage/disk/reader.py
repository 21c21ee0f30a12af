"""One read of a log: which bytes are wanted next, and which whole batches they are.

Rules: does no I/O. Whoever drives it asks ``want``, fills a buffer of that size from the segment's
file, warm on the event loop or waiting in a worker thread, and hands it to ``feed``. A read costs
one system call, and a walk over the headers of one index interval at either end; what lies between
is never looked at. Who goes on where a read has ended starts from what that read has noted; others
start from a bisection of the sparse index, and read a little more to find their place in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from datacore.storage.batches import BATCH_EXTENT, BATCH_SIZE_MIN
from datacore.storage.engine import Damaged, StorageError
from datacore.wire.batch_header import BATCH_FRAME, BATCH_FRAME_SIZE, BATCH_HEADER_SIZE

if TYPE_CHECKING:
    from datacore.storage.disk.segment import Segment
    from datacore.storage.disk.segment_list import SegmentList
    from datacore.wire.buffer import Buffer

FIND_READ_SIZE: Final = 16 * 1024
"""What may be read beyond what is wanted, or beyond one index interval, to find where that is."""

Wanted: TypeAlias = "tuple[Segment, int, int]"
"""A segment, the position of the first byte, and how many; none asks for its index and no more."""

_unpack_frame: Final = BATCH_FRAME.unpack_from
_unpack_extent: Final = BATCH_EXTENT.unpack_from


class LogRead:
    """The state of one read.

    Attributes:
        buffers: The whole batches read so far.
    """

    __slots__ = (
        "_before_offset",
        "_end_offset",
        "_end_segment",
        "_end_size",
        "_fallback",
        "_find_until",
        "_interval_bytes",
        "_is_exact",
        "_is_placed",
        "_limit",
        "_offset",
        "_position",
        "_remaining",
        "_segment",
        "_segments",
        "_size_min",
        "buffers",
    )

    def __init__(
        self,
        segments: SegmentList,
        offset: int,
        max_bytes: int,
        before_offset: int,
        interval_bytes: int,
        end: tuple[int, Segment | None, int],
    ) -> None:
        """Begins with the batch that contains ``offset``.

        Args:
            segments: The log's segments.
            offset: Where to begin.
            max_bytes: What to stay within, the first batch apart.
            before_offset: Where batches begin that may not be had any more.
            interval_bytes: Between two index entries.
            end: The log's end offset; and where ``before_offset`` lies, if that is known: in which
                segment, and how many of its bytes come before.
        """
        self._end_offset, self._end_segment, self._end_size = end
        self._segments = segments
        self._offset = offset
        self._remaining = max(max_bytes, 0)
        self._before_offset = before_offset
        self._interval_bytes = interval_bytes
        self.buffers: list[Buffer] = []
        self._segment: Segment | None
        self._is_placed = self._is_exact = False
        # Whether the position is near to where the batch is that contains the offset; and whether
        # the batch at the position is the one to continue with.
        if (hint := segments.hints.find(offset)) is not None:
            self._segment, self._position, self._size_min = hint
            self._is_placed = self._is_exact = True
        else:
            self._segment = segments.at(offset)
            self._position = self._size_min = 0
        self._fallback = -1
        """Where to look if the batch that contains the offset begins before the position."""
        self._find_until = 0
        """Where that batch begins at the latest, by the index; -1: anywhere behind."""

    def want(self) -> Wanted | None:
        """What to read first, and again where that was no more than an index; None: nothing.

        Raises:
            Damaged: The read begins in damage.
        """
        while (segment := self._segment) is not None:
            if segment.offset_index is None:
                return segment, self._position, 0
            if not self._is_placed:
                self._place(segment)
            limit = self._limit = self._limit_of(segment)
            available = limit - self._position
            if available > 0:
                size = max(self._remaining, self._size_min) + BATCH_HEADER_SIZE
                if not self._is_exact:
                    size = self._size_to_find(size)
                return segment, self._position, min(available, size)
            if (
                segment is self._end_segment
                or limit < segment.size
                or (segment.damage and self.buffers)
            ):
                return None
            self._segment = self._segments.behind(segment)
            self._position = self._find_until = 0
            self._is_exact = self._is_exact or bool(self.buffers)
        return None

    def feed(self, view: memoryview) -> Wanted | None:
        """Takes what was wanted, all of it.

        Returns:
            What to read next; None when the read is complete.

        Raises:
            StorageError: The file does not hold what it should.
        """
        segment = self._segment
        assert segment is not None
        start = 0
        if not self._is_exact:
            start = self._find_start(view, segment)
            if start < 0:
                return self.want()
        position = self._position
        available = len(view) - start
        if available < BATCH_FRAME_SIZE:
            raise _damage(segment, position)
        base_offset, length = _unpack_frame(view, start)
        size = length + BATCH_FRAME_SIZE
        if (
            size < BATCH_SIZE_MIN
            or position + size > segment.size
            or base_offset < segment.base_offset
        ):
            raise _damage(segment, position)
        if self.buffers and size > self._remaining:
            return None
        if size > available:
            if self._size_min >= size:
                raise _damage(segment, position)
            self._size_min = size
            return self.want()
        if self._end_segment is None and base_offset >= self._before_offset:
            return None
        budget = max(self._remaining, size)
        if (
            self._end_segment is not None
            and position + available == self._limit
            and available <= budget
        ):
            end = len(view)
        else:
            end = self._find_end(view, start, size, budget, segment)
        self.buffers.append(view[start:end])
        self._position = position = position + end - start
        if position >= segment.size:
            self._remaining -= end - start
            self._size_min = 0
            return self._go_on_behind(segment)
        if segment is self._end_segment and position == self._end_size:
            # There the writer goes on, or what is not durable yet.
            offset = min(self._before_offset, self._end_offset)
            self._segments.hints.add(offset, segment, position)
        return None

    def _limit_of(self, segment: Segment) -> int:
        end_segment = self._end_segment
        if segment is end_segment:
            limit = self._end_size
        elif end_segment is not None:
            limit = segment.size
        else:
            assert segment.offset_index is not None
            relative_offset = self._before_offset - segment.base_offset
            if relative_offset <= 0:
                return 0
            limit = segment.offset_index.position_behind(relative_offset, segment.size)
        if segment.damage:
            limit = min(limit, self._whole_until(segment))
        return min(segment.size, limit)

    def _place(self, segment: Segment) -> None:
        """Asks the index where to begin."""
        assert segment.offset_index is not None
        self._is_placed = True
        relative_offset = self._offset - segment.base_offset
        position, until = segment.offset_index.around(relative_offset)
        self._position, self._find_until = position, until
        if until - position > 2 * self._interval_bytes and until < self._limit_of(segment):
            # Batches that large are indexed each, so it is the one at the next entry.
            self._position, self._fallback = until, position

    def _size_to_find(self, size: int) -> int:
        """How much to read where the position may lie before the batch to begin with."""
        until = self._find_until if self._find_until >= 0 else self._limit
        before = max(until - self._position, 0)
        if self._fallback >= 0:
            return min(size, FIND_READ_SIZE + BATCH_HEADER_SIZE)
        if before > FIND_READ_SIZE:
            return min(size, FIND_READ_SIZE) + self._interval_bytes
        return size + before

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

    def _find_start(self, view: memoryview, segment: Segment) -> int:
        """Walks to the first batch that ends at the offset or behind it.

        Returns:
            Where in the view that begins; -1 where not enough was read, and another place, or more,
            is to be read next.

        Raises:
            StorageError: The file does not hold what it should.
        """
        size = len(view)
        fallback, self._fallback = self._fallback, -1
        if fallback >= 0 and (size < BATCH_SIZE_MIN or _unpack_frame(view)[0] > self._offset):
            self._position = fallback
            return -1
        at = 0
        while at + BATCH_SIZE_MIN <= size:
            base_offset, length, last_offset_delta = _unpack_extent(view, at)
            if base_offset + last_offset_delta >= self._offset:
                self._is_exact = True
                break
            position = self._position + at
            at += length + BATCH_FRAME_SIZE
            is_none = length + BATCH_FRAME_SIZE < BATCH_SIZE_MIN
            if is_none or base_offset < segment.base_offset or self._position + at > segment.size:
                raise _damage(segment, position)
        if not self._is_exact and at == 0:
            raise _damage(segment, self._position)
        self._position += at
        is_all = self._position + size - at == self._limit
        return at if self._is_exact and (is_all or size - at >= self._remaining) else -1

    def _find_end(
        self, view: memoryview, start: int, size: int, budget: int, segment: Segment
    ) -> int:
        """The end of the last batch of ``view`` within ``budget`` and ``before_offset``.

        Notes where the next batch begins and how large it is, for whoever goes on there.

        Args:
            view: What was read.
            start: Where the first batch begins.
            size: The first batch's.
            budget: How much may be had from there on.
            segment: Where it was read from.
        """
        at = start + size
        stop = min(len(view), start + budget)
        before_offset = self._before_offset
        if stop - at > self._interval_bytes:
            assert segment.offset_index is not None
            origin = self._position - start  # where in the file the view begins
            boundary = segment.offset_index.position_within(origin + stop)
            if self._end_segment is None:
                relative_offset = before_offset - segment.base_offset
                boundary = min(boundary, segment.offset_index.position_before(relative_offset))
            at = max(at, boundary - origin)
        least_offset = segment.base_offset
        last_at = len(view) - BATCH_FRAME_SIZE
        while at <= last_at:
            base_offset, length = _unpack_frame(view, at)
            size = length + BATCH_FRAME_SIZE
            if size < BATCH_SIZE_MIN or base_offset < least_offset:
                break  # What no batch can say is told to whoever reads on from there.
            if at + size > stop or base_offset >= before_offset:
                position = self._position + at - start
                if position + size <= segment.size:
                    self._segments.hints.add(base_offset, segment, position, size)
                break
            at += size
        return at

    def _go_on_behind(self, segment: Segment) -> Wanted | None:
        """Notes where the batch behind a segment begins; wants it if there may be room for it."""
        hints = self._segments.hints
        if (following := self._segments.behind(segment)) is None:
            hints.add(self._end_offset, segment, self._position)
            return None
        hints.add(following.base_offset, following, 0)
        return self.want() if self._remaining >= BATCH_SIZE_MIN else None


def _damage(segment: Segment, position: int) -> StorageError:
    return StorageError(f"{segment.path('.log')} is damaged: no batch at position {position}")
