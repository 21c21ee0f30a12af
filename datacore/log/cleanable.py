"""What of a log may be compacted, and whether it is time. Pure functions.

Rules, as Kafka's ``LogCleanerManager`` has them:

- What lies before the cleaned offset is clean: one record for each key. What lies behind is dirty,
  and can be cleaned up to the last extent, which appends go to, up to the last stable offset, and
  up to the first extent with a record younger than min.compaction.lag.ms.
- It is time when the dirty part is more than min.cleanable.dirty.ratio of both together, or when
  something in it is older than max.compaction.lag.ms.
- A round rewrites everything from the start of the log to the end of what it could index. Small
  extents that lie together become one, no larger than segment.bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.storage.engine import LogExtent

_OFFSETS_MAX: Final = 2**31 - 1
"""Offsets of one extent, so that a relative one takes 32 bits."""


class Cleanable(NamedTuple):
    """The clean and the cleanable part of a log."""

    first_dirty_offset: int
    end_offset: int
    """Where the cleanable part ends."""
    clean_bytes: int
    dirty_bytes: int
    """Of the cleanable part."""

    @property
    def dirty_ratio(self) -> float:
        """How much of what could be rewritten is dirty."""
        total_bytes = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total_bytes if total_bytes else 0.0


def cleanable_part(
    extents: Sequence[LogExtent],
    *,
    cleaned_offset: int,
    last_stable_offset: int,
    now_ms: int,
    min_compaction_lag_ms: int,
) -> Cleanable:
    """What a round could clean now; nothing where ``dirty_bytes`` is 0."""
    start_offset = extents[0].base_offset if extents else 0
    first_dirty_offset = max(cleaned_offset, start_offset)
    end_offset = start_offset
    clean_bytes = dirty_bytes = 0
    for extent in extents[:-1]:
        if extent.next_offset > last_stable_offset:
            break
        is_dirty = extent.next_offset > first_dirty_offset
        is_young = extent.max_timestamp_ms > now_ms - min_compaction_lag_ms
        if is_dirty and min_compaction_lag_ms > 0 and is_young:
            break
        end_offset = extent.next_offset
        if is_dirty:
            dirty_bytes += extent.size_bytes
        else:
            clean_bytes += extent.size_bytes
    return Cleanable(first_dirty_offset, max(end_offset, start_offset), clean_bytes, dirty_bytes)


def extents_by_range(
    extents: Sequence[LogExtent], end_offset: int, size_bytes_max: int
) -> Iterator[tuple[int, int]]:
    """The ranges of offsets that a round rewrites, each as one.

    Args:
        extents: The log.
        end_offset: Where the round ends; the extent that holds the offset before it is the last.
        size_bytes_max: What a range may hold, unless a single extent holds more.
    """
    base_offset = next_offset = -1
    size_bytes = 0
    for extent in extents[:-1]:
        if extent.base_offset >= end_offset:
            break
        fits = (
            size_bytes + extent.size_bytes <= size_bytes_max
            and extent.next_offset - base_offset <= _OFFSETS_MAX
        )
        if base_offset >= 0 and not fits:
            yield base_offset, next_offset
            base_offset = -1
        if base_offset < 0:
            base_offset, size_bytes = extent.base_offset, 0
        next_offset = extent.next_offset
        size_bytes += extent.size_bytes
    if base_offset >= 0:
        yield base_offset, next_offset
