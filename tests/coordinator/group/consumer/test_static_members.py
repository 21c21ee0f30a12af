import pytest

from datacore._generated.errors import ErrorCode
from tests.coordinator.group.consumer.driver import ConsumerDriver, counts, partitions_of


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("t", 4)
    return driver


def test_a_static_member_that_left_for_a_while_comes_back_to_what_it_had(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a", instance="i1")
    b = driver.consumer("b", instance="i2")
    driver.settle(a, b)
    had, epoch = set(a.owned), driver.consumer_group().epoch
    assert a.leave(-2) == 0
    driver.settle(b)
    assert counts(b) == {"b": 2}
    back = driver.consumer("a2", instance="i1")
    assert back.owned == had
    assert driver.consumer_group().epoch == epoch, "nobody else notices"
    fenced = driver.heartbeat_of("a", epoch, instance="i1")
    assert fenced.error_code == ErrorCode.FENCED_INSTANCE_ID


def test_a_static_member_that_does_not_come_back_is_out_after_its_session(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a", instance="i1")
    b = driver.consumer("b", instance="i2")
    driver.settle(a, b)
    a.leave(-2)
    driver.advance(44_999)
    b.beat()
    driver.advance(1)
    b.beat()
    assert b.owned == partitions_of("t", 4)


def test_an_instance_that_is_there_is_not_given_to_another(driver: ConsumerDriver) -> None:
    driver.consumer("a", instance="i1")
    assert driver.consumer("b", instance="i1").error == ErrorCode.UNRELEASED_INSTANCE_ID
    wrong = driver.heartbeat_of("b", 1, instance="i1")
    assert wrong.error_code == ErrorCode.FENCED_INSTANCE_ID
    leaving = driver.heartbeat_of("b", -1, instance="i1")
    assert leaving.error_code == ErrorCode.FENCED_INSTANCE_ID


def test_a_static_member_may_leave_for_good(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", instance="i1")
    assert a.leave() == 0
    assert not driver.consumer_group().members
    assert not driver.consumer_group().static_member_ids


def test_a_member_that_comes_back_with_other_topics_gets_those(driver: ConsumerDriver) -> None:
    driver.cluster.set_topic("u", 2)
    a = driver.consumer("a", instance="i1")
    a.leave(-2)
    back = driver.consumer("a2", ["u"], instance="i1")
    driver.settle(back)
    assert back.owned == partitions_of("u", 2)


def test_a_static_member_may_come_back_under_the_id_that_it_had(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", instance="i1")
    b = driver.consumer("b", instance="i2")
    driver.settle(a, b)
    had = set(a.owned)
    a.leave(-2)
    assert a.join() == 0
    assert a.owned == had
    driver.cluster.set_topic("t", 6)
    driver.settle(a, b)
    a.leave(-2)
    driver.cluster.set_topic("t", 8)
    assert a.join() == 0
    driver.settle(a, b)
    assert counts(a, b) == {"a": 4, "b": 4}
    assert driver.replayed().state.consumer_groups == driver.shard.state.consumer_groups


def test_a_member_that_went_while_it_should_revoke_has_a_session_to_come_back(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a", instance="i1", rebalance_timeout_ms=1_000)
    b = driver.consumer("b")
    a.is_slow = True
    a.beat()
    a.leave(-2)
    driver.restart()
    driver.advance(44_000)
    assert "a" in driver.consumer_group().members
    b.beat()
    driver.advance(1_000)
    assert "a" not in driver.consumer_group().members


def test_static_members_survive_a_failover_while_they_are_away(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", instance="i1")
    a.leave(-2)
    driver.restart()
    back = driver.consumer("a2", instance="i1")
    assert back.owned == partitions_of("t", 4)


def test_a_member_that_joins_again_as_an_instance_stays_who_it_is(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    b = driver.consumer("b")
    driver.settle(a, b)
    had, epoch = set(a.owned), driver.consumer_group().epoch
    a.instance = "i1"
    assert a.join() == 0
    assert a.epoch == driver.consumer_group().epoch == epoch, "nobody else notices"
    assert a.assigned == had
    assert driver.consumer_group().static_member_ids == {"i1": "a"}
    a.instance = "i2"
    assert a.join() == 0
    assert a.epoch == driver.consumer_group().epoch == epoch
    assert driver.consumer_group().static_member_ids == {"i2": "a"}
