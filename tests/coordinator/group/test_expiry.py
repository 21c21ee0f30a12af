import struct

import pytest

from datacore._generated.join_group import JoinGroupResponse
from datacore.coordinator.group import expiry
from datacore.protocol.names import TopicName
from tests.coordinator.group.driver import TOPIC, Driver

MINUTE_MS = 60_000


def driver_with_retention(minutes: int = 60) -> Driver:
    return Driver(offsets_retention_minutes=minutes, offsets_retention_check_interval_ms=MINUTE_MS)


def keep_alive(driver: Driver, member_id: str, minutes: int) -> None:
    for _ in range(minutes * 10):
        driver.advance(MINUTE_MS // 10)
        driver.heartbeat(member_id, driver.group().generation)


def subscription(topic: str) -> dict[str, bytes]:
    return {"range": struct.pack(">hih", 0, 1, len(topic)) + topic.encode() + b"\xff\xff\xff\xff"}


def test_offsets_of_a_client_without_a_group_expire_after_their_commit() -> None:
    driver = driver_with_retention()
    driver.commit({TOPIC: 1})
    driver.advance(30 * MINUTE_MS)
    driver.commit({("t", 1): 1})
    driver.advance(31 * MINUTE_MS)
    assert set(driver.fetch(None)) == {("t", 1)}
    driver.advance(31 * MINUTE_MS)
    assert not driver.has_group()
    assert "group 'g' is gone: it has no members and no offsets" in driver.sentences


def test_offsets_of_a_group_expire_after_it_became_empty() -> None:
    driver = driver_with_retention()
    [member_id] = driver.stable_group("a")
    driver.commit({TOPIC: 1}, member_id=member_id, generation=1)
    keep_alive(driver, member_id, 90)
    driver.leave_one(member_id)
    driver.advance(59 * MINUTE_MS)
    assert set(driver.fetch(None)) == {TOPIC}
    driver.advance(2 * MINUTE_MS)
    assert driver.fetch(None) == {}
    assert not driver.has_group()


def test_the_time_a_group_became_empty_survives_a_restart() -> None:
    driver = driver_with_retention()
    [member_id] = driver.stable_group("a")
    driver.commit({TOPIC: 1}, member_id=member_id, generation=1)
    driver.leave_one(member_id)
    driver.advance(59 * MINUTE_MS)
    driver.restart()
    driver.advance(2 * MINUTE_MS)
    assert not driver.has_group()


def test_a_stable_group_keeps_offsets_of_topics_that_it_reads() -> None:
    driver = driver_with_retention()
    token = driver.ask_join(version=3, protocols=subscription("t"))
    member_id = driver.joined(token).member_id
    driver.ask_sync(member_id, 1)
    driver.commit({("t", 0): 1, ("left", 0): 2}, member_id=member_id, generation=1)
    keep_alive(driver, member_id, 62)
    assert set(driver.fetch(None)) == {("t", 0)}


def test_a_group_whose_subscriptions_are_unknown_keeps_its_offsets() -> None:
    driver = driver_with_retention()
    [member_id] = driver.stable_group("a")
    driver.commit({TOPIC: 1}, member_id=member_id, generation=1)
    keep_alive(driver, member_id, 62)
    assert set(driver.fetch(None)) == {TOPIC}


def test_a_group_that_is_no_consumer_keeps_its_offsets_while_it_has_members() -> None:
    driver = driver_with_retention()
    member_id = driver.joined(driver.ask_join(version=3, protocol_type="connect")).member_id
    driver.ask_sync(member_id, 1, protocol_type="connect")
    driver.commit({TOPIC: 1}, member_id=member_id, generation=1)
    keep_alive(driver, member_id, 62)
    assert set(driver.fetch(None)) == {TOPIC}
    driver.leave_one(member_id)
    driver.advance(62 * MINUTE_MS)
    assert not driver.has_group()


def test_a_retention_of_the_clients_own_comes_first() -> None:
    driver = driver_with_retention()
    driver.commit({TOPIC: 1}, version=4, retention_time_ms=5 * MINUTE_MS)
    driver.commit({("t", 1): 1}, version=4, retention_time_ms=500 * MINUTE_MS)
    driver.advance(6 * MINUTE_MS)
    assert set(driver.fetch(None)) == {("t", 1)}
    driver.restart()
    driver.advance(400 * MINUTE_MS)
    assert set(driver.fetch(None)) == {("t", 1)}


def test_a_group_with_a_pending_member_is_kept() -> None:
    driver = driver_with_retention()
    token = driver.ask_join(session_timeout_ms=10 * MINUTE_MS)
    driver.advance(9 * MINUTE_MS)
    member_id = driver.answer(token, JoinGroupResponse).member_id
    assert driver.joined(driver.ask_join(member_id)).generation_id == 1


def test_an_empty_group_without_offsets_goes_with_the_next_look() -> None:
    driver = driver_with_retention()
    [member_id] = driver.stable_group("a")
    driver.leave_one(member_id)
    driver.advance(MINUTE_MS)
    assert not driver.has_group()
    driver.restart()
    assert not driver.has_group()


def test_one_look_drops_a_limited_number_and_the_next_one_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "SWEEP_MAX_RECORDS", 3)
    driver = driver_with_retention(minutes=1)
    driver.commit({("t", partition): 1 for partition in range(7)})
    logged = len(driver.log)
    driver.advance(MINUTE_MS)
    assert len(driver.log) == logged + 3
    driver.advance(10 * expiry.SWEEP_AGAIN_MS)
    assert not driver.has_group()


def test_offsets_of_deleted_partitions_are_dropped() -> None:
    driver = Driver()
    driver.commit({("t", 0): 1, ("t", 1): 2, ("u", 0): 3})
    driver.commit({("t", 0): 1}, group="other")
    driver.take(driver.shard.partitions_deleted([(TopicName("t"), 0)], driver.now_ms))
    assert set(driver.fetch(None)) == {("t", 1), ("u", 0)}
    assert driver.has_group("other")
    driver.pass_the_next_look()
    assert driver.has_group()
    assert not driver.has_group("other")
