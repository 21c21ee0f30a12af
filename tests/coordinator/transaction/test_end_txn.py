"""EndTxn, in both protocols, and what happens to a transaction that nobody ends."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore.coordinator.transaction.metadata import LAST_USABLE_EPOCH, TransactionState
from tests.coordinator.transaction.driver import OFFSETS, P0, P1, Driver, end_answer

OK, FENCED = ErrorCode.NONE, ErrorCode.PRODUCER_FENCED
CONCURRENT, INVALID = ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_TXN_STATE
NOBODY = (-1, -1)


def opened(driver: Driver) -> tuple[int, int]:
    producer = driver.begun()
    assert driver.add(producer, P0, P1) == {OK}
    return producer


@pytest.mark.parametrize("committed", [True, False])
def test_markers_are_owed_when_the_fate_is_durable_and_not_before(*, committed: bool) -> None:
    driver = Driver()
    producer = opened(driver)
    driver.holds = True
    token = driver.ask_end(producer, committed=committed)
    assert not driver.owed
    driver.flush()
    (owed,) = driver.owed
    assert (owed.is_commit, owed.partitions) == (committed, (P0, P1))
    assert (owed.producer_id, owed.producer_epoch) == (producer[0], producer[1] + 1)
    assert token not in driver.answers, "the answer waits for the markers"
    driver.markers_written(owed)
    assert end_answer(driver.answers[token]) == (OK, (producer[0], producer[1] + 1))
    state = TransactionState.COMPLETE_COMMIT if committed else TransactionState.COMPLETE_ABORT
    assert driver.metadata().state is state
    assert driver.metadata().partitions == frozenset()


def test_an_old_producer_keeps_its_epoch_over_its_transactions() -> None:
    driver = Driver()
    producer = opened(driver)
    for committed in (True, False):
        assert driver.end(producer, committed=committed, version=4) == (OK, NOBODY)
        assert driver.end(producer, committed=committed, version=4) == (OK, NOBODY), "again"
        assert driver.end(producer, committed=not committed, version=4)[0] is INVALID
        assert driver.add(producer, P0) == {OK}
    assert driver.metadata().producer_epoch == producer[1]


def test_the_end_of_an_old_producers_transaction_can_wait() -> None:
    driver = Driver()
    producer = opened(driver)
    driver.ask_end(producer, committed=True, version=3)
    assert driver.end_now(producer, committed=True, version=3) is CONCURRENT
    assert driver.end_now(producer, committed=False, version=3) is INVALID
    assert driver.add(producer, P0) == {CONCURRENT}
    assert driver.add(producer, P0, version=4, verify_only=True) == {CONCURRENT}
    assert driver.init()[0] is CONCURRENT


def test_a_new_producer_asks_again_with_the_epoch_that_it_knows() -> None:
    driver = Driver()
    producer = opened(driver)
    _, bumped = driver.end(producer, committed=True)
    assert driver.end(producer, committed=True) == (OK, bumped)
    assert driver.end(producer, committed=False)[0] is INVALID
    assert driver.end(bumped, committed=True)[0] is INVALID
    assert driver.end((bumped[0], bumped[1] + 1), committed=True)[0] is FENCED


def test_a_new_producer_may_abort_what_it_has_not_begun() -> None:
    driver = Driver()
    producer = driver.begun()
    assert driver.end(producer, committed=True)[0] is INVALID
    for _ in range(3):
        error_code, bumped = driver.end(producer, committed=False)
        assert (error_code, bumped) == (OK, (producer[0], producer[1] + 1))
        assert driver.end(producer, committed=False) == (OK, bumped)
        producer = bumped


def test_an_old_producer_may_not_end_what_it_has_not_begun() -> None:
    driver = Driver()
    producer = driver.begun()
    for committed in (True, False):
        assert driver.end(producer, committed=committed, version=4)[0] is INVALID


def test_nobody_ends_what_is_not_theirs() -> None:
    driver = Driver()
    producer = opened(driver)
    for version in (1, 4, 5):
        fenced = FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
        for epoch in (-1, 1):
            other = (producer[0], producer[1] + epoch)
            assert driver.end(other, committed=True, version=version)[0] is fenced
        stranger, mapping = (99, 0), ErrorCode.INVALID_PRODUCER_ID_MAPPING
        assert driver.end(stranger, committed=True, version=version)[0] is mapping
        unknown = driver.end(producer, committed=True, version=version, transactional_id="y")
        assert unknown[0] is mapping
        nameless = driver.end(producer, committed=True, version=version, transactional_id="")
        assert nameless[0] is ErrorCode.INVALID_REQUEST
    assert driver.metadata().state is TransactionState.ONGOING


def test_behind_the_last_epoch_comes_another_producer_id() -> None:
    driver = Driver()
    _, producer = driver.end(driver.at_epoch(LAST_USABLE_EPOCH - 1), committed=False)
    assert producer[1] == LAST_USABLE_EPOCH
    driver.add(producer, P0)
    token = driver.ask_end(producer, committed=True)
    (owed,) = driver.owed
    assert (owed.producer_id, owed.producer_epoch) == (producer[0], LAST_USABLE_EPOCH + 1)
    driver.crash()
    assert token not in driver.answers
    driver.write_markers()
    error_code, rotated = driver.end(producer, committed=True)
    assert (error_code, rotated[1]) == (OK, 0)
    assert rotated[0] != producer[0]
    assert driver.add(rotated, P0, version=5) == {OK}
    assert driver.add(producer, P0, version=5) == {ErrorCode.INVALID_PRODUCER_ID_MAPPING}


def test_offsets_get_their_marker_too() -> None:
    driver = Driver()
    producer = driver.begun()
    assert driver.add_offsets(producer) is OK
    assert driver.add_offsets((producer[0], 5), version=1) is ErrorCode.INVALID_PRODUCER_EPOCH
    driver.ask_end(producer, committed=True)
    assert driver.owed[0].partitions == (OFFSETS,)


def test_an_end_whose_markers_do_not_get_through_is_answered_all_the_same() -> None:
    driver = Driver(end_wait_ms=500)
    producer = opened(driver)
    token = driver.ask_end(producer, committed=True)
    driver.advance(499)
    assert token not in driver.answers
    driver.advance(1)
    assert end_answer(driver.answers[token]) == (OK, (producer[0], 1))
    driver.write_markers()
    assert driver.metadata().state is TransactionState.COMPLETE_COMMIT


@pytest.mark.parametrize("committed", [True, False])
def test_a_restart_finishes_what_was_prepared(*, committed: bool) -> None:
    driver = Driver()
    producer = opened(driver)
    token = driver.ask_end(producer, committed=committed)
    (owed,) = driver.owed
    driver.restart()
    assert driver.answers[token].error_code == ErrorCode.NOT_COORDINATOR
    assert driver.owed == [owed]
    driver.write_markers()
    assert driver.end(producer, committed=committed) == (OK, (producer[0], 1))
    driver.restart()
    assert driver.owed == []


def test_markers_of_a_transaction_that_is_complete_change_nothing() -> None:
    driver = Driver()
    producer = opened(driver)
    driver.ask_end(producer, committed=True)
    (owed,) = driver.write_markers()
    records = len(driver.log)
    driver.owed.append(owed)
    driver.markers_written(owed)
    assert len(driver.log) == records


def test_a_transaction_whose_time_is_over_is_aborted_and_its_producer_fenced() -> None:
    driver = Driver()
    producer = driver.begun(timeout_ms=5_000)
    driver.advance(100_000)
    driver.add(producer, P0)
    driver.advance(4_999)
    assert driver.metadata().state is TransactionState.ONGOING
    driver.advance(1)
    (owed,) = driver.write_markers()
    assert not owed.is_commit
    assert driver.end(producer, committed=True, version=4)[0] is FENCED
    assert driver.metadata().state is TransactionState.COMPLETE_ABORT
    assert any("timeout of 5000 ms" in sentence for sentence in driver.sentences)


def test_time_runs_on_over_a_restart() -> None:
    driver = Driver()
    driver.add(driver.begun(timeout_ms=5_000), P0)
    driver.advance(3_000)
    driver.restart()
    driver.advance(2_000)
    assert driver.metadata().state is TransactionState.PREPARE_ABORT


def test_an_id_that_nobody_uses_is_forgotten() -> None:
    driver = Driver(
        transactional_id_expiration_ms=10_000,
        transaction_remove_expired_transaction_cleanup_interval_ms=1_000,
        transaction_max_timeout_ms=60_000_000,
    )
    used, idle = driver.begun(timeout_ms=50_000_000), driver.begun(transactional_id="idle")
    driver.add(used, P0)
    driver.advance(9_000)
    assert driver.describe("idle").producer_id == idle[0]
    driver.advance(2_000)
    assert driver.describe("idle").error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    driver.advance(100_000)
    assert driver.describe().transaction_state == "Ongoing"
    assert driver.replayed().state.transactions == driver.shard.state.transactions
