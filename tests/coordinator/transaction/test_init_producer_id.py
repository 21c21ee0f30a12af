"""InitProducerId with a transactional id: fencing, KIP-360, and what happens at the last epoch."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore.coordinator.transaction.metadata import LAST_USABLE_EPOCH, TransactionState
from tests.coordinator.transaction.driver import ID, P0, Driver

FENCED, CONCURRENT = ErrorCode.PRODUCER_FENCED, ErrorCode.CONCURRENT_TRANSACTIONS


def test_an_id_keeps_its_producer_id_and_gets_the_next_epoch() -> None:
    driver = Driver()
    first = driver.begun()
    assert first[1] == 0
    assert driver.begun() == (first[0], 1)
    assert driver.begun() == (first[0], 2)
    assert driver.begun(transactional_id="y") == (first[0] + 1, 0)


def test_a_newcomer_aborts_what_is_open_and_asks_again() -> None:
    driver = Driver()
    old = driver.begun()
    driver.add(old, P0)
    assert driver.init()[0] is CONCURRENT
    assert driver.init()[0] is CONCURRENT
    (owed,) = driver.owed
    assert (owed.producer_epoch, owed.is_commit, owed.partitions) == (old[1] + 1, False, (P0,))
    driver.write_markers()
    assert driver.begun() == (old[0], old[1] + 2)
    assert driver.add(old, P0) == {FENCED}
    assert any("another producer began" in sentence for sentence in driver.sentences)


def test_a_producer_that_names_itself_goes_on_with_the_next_epoch() -> None:
    driver = Driver()
    producer = driver.begun()
    bumped = driver.begun(producer=producer)
    assert bumped == (producer[0], 1)
    assert driver.begun(producer=producer) == bumped, "asked again, it is told the same"
    assert driver.begun(producer=bumped) == (producer[0], 2)
    assert driver.init(producer=producer)[0] is FENCED
    assert driver.init(producer=(producer[0] + 7, 2))[0] is FENCED
    assert driver.init(producer=producer, version=3)[0] is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_producer_whose_place_was_taken_cannot_go_on() -> None:
    driver = Driver()
    zombie = driver.begun()
    driver.begun()
    driver.begun()
    assert driver.init(producer=zombie)[0] is FENCED


def test_a_producer_whose_transaction_took_too_long_goes_on_when_it_names_itself() -> None:
    driver = Driver()
    slow = driver.begun()
    driver.add(slow, P0)
    driver.advance(60_000)
    assert driver.init(producer=slow)[0] is CONCURRENT, "until the markers are written"
    driver.write_markers()
    assert driver.add(slow, P0) == {FENCED}
    raised = slow[0], slow[1] + 1
    assert driver.begun(producer=slow) == raised
    assert driver.begun(producer=slow) == raised, "asked again, it is told the same"
    assert driver.add(raised, P0) == {ErrorCode.NONE}


def test_a_producer_that_was_aborted_goes_on_only_until_another_has_come() -> None:
    driver = Driver()
    old = driver.begun()
    driver.add(old, P0)
    assert driver.init()[0] is CONCURRENT
    driver.write_markers()
    assert driver.begun() == (old[0], old[1] + 2)
    assert driver.init(producer=old)[0] is FENCED


@pytest.mark.parametrize(
    ("timeout_ms", "producer", "code"),
    [
        (0, (-1, -1), ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (-5, (-1, -1), ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (901, (-1, -1), ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (900, (5, -1), ErrorCode.INVALID_REQUEST),
        (900, (-1, 5), ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_not_valid_is_refused(
    timeout_ms: int, producer: tuple[int, int], code: ErrorCode
) -> None:
    driver = Driver(transaction_max_timeout_ms=900)
    assert driver.init(timeout_ms=timeout_ms, producer=producer) == (code, (-1, -1))
    assert not driver.log


def test_a_shard_has_no_more_ids_than_its_limit() -> None:
    driver = Driver(max_transactional_ids=1)
    driver.begun()
    assert driver.init("y")[0] is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert driver.begun()[1] == 1


def test_behind_the_last_epoch_comes_another_producer_id() -> None:
    driver = Driver()
    producer = driver.at_epoch(LAST_USABLE_EPOCH)
    rotated = driver.begun()
    assert rotated[1] == 0
    assert rotated[0] != producer[0]
    assert driver.metadata().previous_producer_id == producer[0]


def test_a_producer_may_not_have_heard_of_its_new_id() -> None:
    driver = Driver()
    producer = driver.at_epoch(LAST_USABLE_EPOCH)
    rotated = driver.begun(producer=producer)
    assert rotated[1] == 0
    assert driver.begun(producer=producer) == rotated


def test_the_last_epoch_can_be_fenced_and_then_another_producer_id_comes() -> None:
    driver = Driver()
    producer = driver.at_epoch(LAST_USABLE_EPOCH)
    driver.add(producer, P0)
    assert driver.init()[0] is CONCURRENT
    (owed,) = driver.write_markers()
    assert owed.producer_epoch == producer[1] + 1
    assert driver.init(producer=producer)[0] is FENCED, "there is no epoch to go on with"
    rotated = driver.begun()
    assert (rotated[0] != producer[0], rotated[1]) == (True, 0)


def test_without_a_fresh_producer_id_the_client_asks_again() -> None:
    driver = Driver()
    shard, context = driver.shard, driver.context(5, None)
    request = InitProducerIdRequest(transactional_id=ID, transaction_timeout_ms=1_000)
    driver.take(shard.init_producer_id(request, context, None))
    assert driver.answers[driver.last_token].error_code == CONCURRENT
    assert not driver.log


def test_the_epoch_survives_a_restart() -> None:
    driver = Driver()
    producer = driver.begun()
    driver.restart()
    assert driver.begun() == (producer[0], 1)
    assert driver.metadata().state is TransactionState.EMPTY
