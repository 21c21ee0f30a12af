from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.log.retention import UNLIMITED, expired_extents
from datacore.storage.engine import LogExtent

NOW_MS = 10_000


def log(*extents: tuple[int, int]) -> list[LogExtent]:
    """Extents of ten records each, by size and largest timestamp."""
    return [
        LogExtent(at * 10, at * 10 + 10, size_bytes, timestamp_ms)
        for at, (size_bytes, timestamp_ms) in enumerate(extents)
    ]


def expired(
    extents: list[LogExtent],
    *,
    ms: int = UNLIMITED,
    size: int = UNLIMITED,
    high_watermark: int = 1000,
) -> int:
    return expired_extents(
        extents,
        now_ms=NOW_MS,
        retention_ms=ms,
        retention_bytes=size,
        high_watermark=high_watermark,
    )


THREE = log((100, 1000), (100, 2000), (100, 3000))


@pytest.mark.parametrize(
    ("retention_ms", "gone"), [(UNLIMITED, 0), (9000, 0), (8999, 1), (7500, 2), (6999, 3), (0, 3)]
)
def test_an_extent_goes_when_its_youngest_record_is_too_old(retention_ms: int, gone: int) -> None:
    assert expired(THREE, ms=retention_ms) == gone


@pytest.mark.parametrize(
    ("retention_bytes", "gone"),
    [(UNLIMITED, 0), (300, 0), (201, 0), (200, 1), (199, 1), (100, 2), (1, 2), (0, 3)],
)
def test_an_extent_goes_when_enough_is_left_without_it(retention_bytes: int, gone: int) -> None:
    assert expired(THREE, size=retention_bytes) == gone


def test_the_first_that_stays_keeps_those_behind_it() -> None:
    assert expired(log((100, 1000), (100, NOW_MS), (100, 1000)), ms=100) == 1


def test_size_goes_on_where_time_ended() -> None:
    assert expired(log((100, 1000), (100, NOW_MS), (100, NOW_MS)), ms=100, size=100) == 2


def test_time_does_not_begin_again_where_size_went_on() -> None:
    old_behind_young = log((100, NOW_MS), (100, 1000), (100, NOW_MS))
    assert expired(old_behind_young, ms=100, size=200) == 1


def test_nothing_goes_that_no_consumer_may_have_seen() -> None:
    assert expired(THREE, ms=0, high_watermark=29) == 2
    assert expired(THREE, size=0, high_watermark=10) == 1
    assert expired(THREE, ms=0, high_watermark=9) == 0


def test_what_has_no_time_does_not_expire() -> None:
    assert expired(log((100, -1), (100, 1000)), ms=0) == 0


def test_what_is_from_the_future_does_not_expire() -> None:
    assert expired(log((100, NOW_MS + 1)), ms=0) == 0


def test_an_empty_log_has_nothing_to_give() -> None:
    assert expired([], ms=0, size=0) == 0


EXTENTS = st.lists(st.tuples(st.integers(1, 500), st.integers(-1, 20_000))).map(
    lambda extents: log(*extents)
)
LIMITS = st.integers(-1, 12_000)


@given(extents=EXTENTS, ms=LIMITS, size=LIMITS, high_watermark=st.integers(0, 200))
def test_no_more_goes_than_the_policy_says(
    extents: list[LogExtent], ms: int, size: int, high_watermark: int
) -> None:
    gone = expired(extents, ms=ms, size=size, high_watermark=high_watermark)
    left_bytes = sum(extent.size_bytes for extent in extents[gone:])
    for extent in extents[:gone]:
        assert extent.next_offset <= high_watermark
        is_old = ms >= 0 and 0 <= extent.max_timestamp_ms < NOW_MS - ms
        assert is_old or 0 <= size <= left_bytes


@given(extents=EXTENTS, limit=LIMITS)
def test_what_was_taken_is_all_there_is_to_take(extents: list[LogExtent], limit: int) -> None:
    by_time, by_size = expired(extents, ms=limit), expired(extents, size=limit)
    assert expired(extents[by_time:], ms=limit) == 0
    assert expired(extents[by_size:], size=limit) == 0


@given(extents=EXTENTS, limits=st.lists(st.integers(0, 12_000), min_size=2).map(sorted))
def test_who_keeps_longer_keeps_more(extents: list[LogExtent], limits: list[int]) -> None:
    for shorter, longer in pairwise(limits):
        assert expired(extents, ms=shorter) >= expired(extents, ms=longer)
        assert expired(extents, size=shorter) >= expired(extents, size=longer)
