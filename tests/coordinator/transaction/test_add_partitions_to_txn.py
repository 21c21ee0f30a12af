"""AddPartitionsToTxn, and what operators see of transactions."""

from datacore._generated.errors import ErrorCode
from datacore.coordinator.transaction.metadata import TransactionState
from tests.coordinator.transaction.driver import P0, P1, Driver

OK, FENCED = ErrorCode.NONE, ErrorCode.PRODUCER_FENCED


def test_the_first_partition_opens_the_transaction() -> None:
    driver = Driver()
    producer = driver.begun()
    driver.advance(5_000)
    assert driver.add(producer, P0) == {OK}
    assert driver.metadata().start_ms == driver.now_ms
    driver.advance(1_000)
    assert driver.add(producer, P1, P0) == {OK}
    assert driver.metadata().start_ms == driver.now_ms - 1_000
    assert driver.metadata().partitions == {P0, P1}


def test_what_is_part_of_it_already_writes_nothing() -> None:
    driver = Driver()
    producer = driver.begun()
    driver.add(producer, P0, P1)
    records = len(driver.log)
    assert driver.add(producer, P0) == {OK}
    assert len(driver.log) == records


def test_strangers_add_nothing() -> None:
    driver = Driver()
    producer = driver.begun()
    fenced, mapping = ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_PRODUCER_ID_MAPPING
    for epoch in (-1, 1):
        other = (producer[0], producer[1] + epoch)
        assert driver.add(other, P0, version=1) == {fenced}
        assert driver.add(other, P0, version=2) == {FENCED}
        assert driver.add(other, P0, version=5, verify_only=True) == {FENCED}
    assert driver.add((99, 0), P0) == {mapping}
    assert driver.add(producer, P0, transactional_id="y") == {mapping}
    assert driver.add(producer, P0, transactional_id="") == {ErrorCode.INVALID_REQUEST}
    assert driver.metadata().state is TransactionState.EMPTY


def test_a_partition_is_verified_only_when_it_was_added() -> None:
    driver = Driver()
    producer = driver.begun()
    driver.add(producer, P0)
    assert driver.add(producer, P0, version=4, verify_only=True) == {OK}
    both = driver.add(producer, P0, P1, version=5, verify_only=True)
    assert both == {OK, ErrorCode.TRANSACTION_ABORTABLE}
    assert driver.metadata().partitions == {P0}
    driver.end(producer, committed=True, version=3)
    gone = driver.add(producer, P0, version=5, verify_only=True)
    assert gone == {ErrorCode.TRANSACTION_ABORTABLE}


def test_a_transaction_of_too_many_partitions_is_refused_and_goes_on() -> None:
    driver = Driver(transaction_record_max_bytes=60)
    producer = driver.begun()
    assert driver.add(producer, P0) == {OK}
    many = [P0._replace(partition=index) for index in range(20)]
    assert driver.add(producer, *many) == {ErrorCode.UNKNOWN_SERVER_ERROR}
    assert driver.metadata().partitions == {P0}
    assert driver.end(producer, committed=True)[0] is OK


def test_operators_see_what_is_open() -> None:
    driver = Driver()
    producer = driver.begun()
    driver.begun(transactional_id="y")
    driver.add(producer, P1, P0)
    described = driver.describe()
    assert (described.transaction_state, described.producer_epoch) == ("Ongoing", 0)
    assert [(t.topic, t.partitions) for t in described.topics] == [("t", [0, 1])]
    assert driver.describe("z").error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    assert driver.describe("").error_code == ErrorCode.INVALID_REQUEST

    def listed(**filters: object) -> list[str]:
        response = driver.list_transactions(**filters)  # type: ignore[arg-type]  # of that call
        return [each.transactional_id for each in response.transaction_states]

    assert listed() == ["x", "y"]
    assert listed(states=["Ongoing"]) == ["x"]
    assert listed(states=["Empty", "Nonsense"]) == ["y"]
    assert driver.list_transactions(states=["Nonsense"]).unknown_state_filters == ["Nonsense"]
    assert listed(producer_ids=[producer[0]]) == ["x"]
    driver.advance(1_000)
    assert listed(states=["Ongoing"], duration_ms=999) == ["x"]
    assert listed(states=["Ongoing"], duration_ms=1_000) == []
    assert listed(pattern="[xz]") == ["x"]
    assert listed(pattern="") == ["x", "y"]
    bad = driver.list_transactions(pattern="(")
    assert bad.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
    too_long = driver.list_transactions(pattern="x" * 10_001)
    assert too_long.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
