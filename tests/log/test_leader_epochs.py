from __future__ import annotations

import pytest

from datacore.log.leader_epochs import LeaderEpochs


@pytest.fixture
def epochs() -> LeaderEpochs:
    return LeaderEpochs([2, 5, 6], [0, 10, 20])


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (1, (1, 0)),  # before the first known epoch: it ended where that one starts
        (2, (2, 10)),
        (3, (2, 10)),  # unknown, between two: the one before it
        (5, (5, 20)),
        (6, (6, 33)),  # the latest goes on to the end of the log
        (7, (-1, -1)),
        (-1, (-1, -1)),  # no epoch at all
    ],
)
def test_an_epoch_ends_where_the_next_one_starts(
    epochs: LeaderEpochs, asked: int, answer: tuple[int, int]
) -> None:
    assert epochs.end_offset_for(asked, log_end_offset=33) == answer


def test_nothing_is_known_of_an_empty_log() -> None:
    assert LeaderEpochs().end_offset_for(0, log_end_offset=0) == (-1, -1)


def test_an_epoch_is_noted_once_with_its_first_offset() -> None:
    epochs = LeaderEpochs()
    epochs.assign(3, 7)
    epochs.assign(3, 8)
    epochs.assign(2, 9)
    assert (epochs.epochs, epochs.start_offsets) == ([3], [7])


def test_the_epoch_of_an_offset_is_the_last_that_started_at_or_before_it(
    epochs: LeaderEpochs,
) -> None:
    assert [epochs.epoch_of(offset) for offset in (0, 9, 10, 25)] == [2, 2, 5, 6]
    assert LeaderEpochs().epoch_of(4) == -1


def test_truncation_forgets_epochs_that_started_behind_it(epochs: LeaderEpochs) -> None:
    epochs.truncate_after(10)
    assert epochs.latest == 2


@pytest.mark.parametrize(
    ("start", "epochs_left", "starts_left"),
    [
        (0, [2, 5, 6], [0, 10, 20]),
        (9, [2, 5, 6], [9, 10, 20]),
        (10, [5, 6], [10, 20]),
        (33, [6], [33]),
    ],
)
def test_a_log_that_starts_later_forgets_the_epochs_before(
    epochs: LeaderEpochs, start: int, epochs_left: list[int], starts_left: list[int]
) -> None:
    epochs.truncate_before(start)
    assert (epochs.epochs, epochs.start_offsets) == (epochs_left, starts_left)


def test_an_empty_log_may_start_anywhere() -> None:
    epochs = LeaderEpochs()
    epochs.truncate_before(7)
    assert epochs.epochs == []
