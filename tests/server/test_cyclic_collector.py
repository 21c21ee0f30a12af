"""The cyclic collector of a process that serves."""

import gc
from collections.abc import Iterator

import pytest

from datacore.server.cyclic_collector import spare_lasting_objects


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_lasts_is_passed_over_and_what_comes_later_is_collected() -> None:
    before = gc.get_freeze_count()
    spare_lasting_objects()
    assert gc.get_freeze_count() > before
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() > 0


def test_a_thousand_parked_requests_set_no_collection_off() -> None:
    spare_lasting_objects()
    collections = gc.get_stats()[0]["collections"]
    parked: list[list[list[object]]] = [[[] for _ in range(8)] for _ in range(1000)]
    assert gc.get_stats()[0]["collections"] <= collections + 1
    assert parked
