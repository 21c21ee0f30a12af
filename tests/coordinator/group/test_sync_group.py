import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.sync_group import SyncGroupResponse
from tests.coordinator.group.driver import TOPIC, Driver


def joined_pair(driver: Driver) -> tuple[str, str]:
    """Leader and follower of generation 2, before anybody synced."""
    a = driver.joined(driver.ask_join(version=3, client_id="a")).member_id
    b_token = driver.ask_join(version=3, client_id="b")
    driver.ask_join(a)
    return a, driver.joined(b_token).member_id


@pytest.mark.parametrize("version", range(6))
def test_every_member_gets_what_the_leader_gave_it(version: int) -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    b_token = driver.ask_sync(b, 2, version=version)
    assert b_token not in driver.answers
    a_token = driver.ask_sync(a, 2, {a: b"A", b: b"B", "stranger": b"X"}, version=version)
    assert driver.synced(a_token) == b"A"
    assert driver.synced(b_token) == b"B"
    response = driver.answer(a_token, SyncGroupResponse)
    named = ("consumer", "range") if version >= 5 else (None, None)
    assert (response.protocol_type, response.protocol_name) == named


def test_a_follower_that_comes_after_the_leader_is_answered_at_once() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    driver.ask_sync(a, 2, {a: b"A", b: b"B"})
    assert driver.synced(driver.ask_sync(b, 2)) == b"B"
    assert driver.synced(driver.ask_sync(b, 2)) == b"B"


def test_a_member_that_the_leader_forgot_gets_an_empty_assignment() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    driver.ask_sync(a, 2, {a: b"A"})
    assert driver.synced(driver.ask_sync(b, 2)) == b""


@pytest.mark.parametrize(
    ("wrong", "error_code"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group": "nowhere"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation": 1}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": 3}, ErrorCode.ILLEGAL_GENERATION),
        ({"instance": "i"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocol": "sticky"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol": None}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": None}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_a_sync_that_does_not_belong_is_refused(
    wrong: dict[str, object], error_code: ErrorCode
) -> None:
    driver = Driver()
    _, b = joined_pair(driver)
    asked: dict[str, object] = {"member_id": b, "generation": 2, **wrong}
    assert driver.error_of(driver.ask_sync(**asked)) == error_code  # type: ignore[arg-type]  # a table of keywords


def test_an_empty_group_has_nobody_to_sync() -> None:
    driver = Driver()
    driver.commit({TOPIC: 1})
    assert driver.error_of(driver.ask_sync("m", 0)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rebalance_sends_waiting_members_back_to_join() -> None:
    driver = Driver()
    _, b = joined_pair(driver)
    waiting = driver.ask_sync(b, 2)
    driver.ask_join(version=3)
    assert driver.error_of(waiting) == ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.error_of(driver.ask_sync(b, 2)) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_member_that_is_sent_back_to_join_has_a_new_session_to_do_so() -> None:
    driver = Driver()
    leader = driver.joined(driver.ask_join(instance="i1")).member_id
    token = driver.ask_join(instance="i2")
    driver.ask_join(leader, instance="i1")
    follower = driver.joined(token).member_id
    driver.ask_sync(follower, 2, instance="i2")
    driver.advance(8_000)
    driver.heartbeat(leader, 2, instance="i1")
    driver.advance(8_000)
    driver.ask_join(leader, instance="i1", protocols={"range": b"new"})
    driver.advance(9_999)
    assert follower in driver.group().members
    driver.advance(1)
    assert follower not in driver.group().members


def test_a_member_that_waited_for_its_leader_has_a_new_session() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    b_token = driver.ask_sync(b, 2)
    for _ in range(2):
        driver.advance(8_000)
        driver.heartbeat(a, 2)
    driver.ask_sync(a, 2, {a: b"A", b: b"B"})
    assert driver.synced(b_token) == b"B"
    driver.advance(8_000)
    driver.heartbeat(a, 2)
    driver.advance(1_999)
    assert b in driver.group().members
    driver.advance(1)
    assert b not in driver.group().members


def test_a_second_sync_of_a_waiting_member_takes_the_place_of_the_first() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    first, second = driver.ask_sync(b, 2), driver.ask_sync(b, 2)
    assert driver.error_of(first) == ErrorCode.REBALANCE_IN_PROGRESS
    driver.ask_sync(a, 2, {b: b"B"})
    assert driver.synced(second) == b"B"


def test_who_does_not_sync_within_the_rebalance_timeout_is_out() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    waiting = driver.ask_sync(b, 2)
    for _ in range(10):
        driver.advance(3_000)
        driver.heartbeat(a, 2)
    assert driver.error_of(waiting) == ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.error_of(driver.ask_sync(a, 2)) == ErrorCode.UNKNOWN_MEMBER_ID
    again = driver.joined(driver.ask_join(b))
    assert again.leader == b
    assert again.generation_id == 3


def test_a_follower_that_does_not_sync_after_its_leader_is_out_too() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    driver.ask_sync(a, 2, {a: b"A", b: b"B"})
    for _ in range(10):
        driver.advance(3_000)
        driver.heartbeat(a, 2)
        driver.heartbeat(b, 2)
    assert driver.heartbeat(b, 2) == ErrorCode.UNKNOWN_MEMBER_ID
    assert driver.heartbeat(a, 2) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_rebalance_timeout_of_0_fails_at_once() -> None:
    driver = Driver()
    member_id = driver.joined(driver.ask_join(version=3, rebalance_timeout_ms=0)).member_id
    driver.advance(0)
    assert driver.error_of(driver.ask_sync(member_id, 1)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert driver.group().state.value == "Empty"


def test_assignments_too_large_for_a_record_are_refused_and_the_group_starts_over() -> None:
    driver = Driver(group_metadata_record_max_bytes=1_000)
    a, b = joined_pair(driver)
    waiting = driver.ask_sync(b, 2)
    leading = driver.ask_sync(a, 2, {a: bytes(900), b: bytes(900)})
    for token in (waiting, leading):
        assert driver.error_of(token) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert driver.group().state.value == "PreparingRebalance"
    assert not driver.log


def test_the_log_says_how_long_the_rebalance_took_and_why_it_was() -> None:
    driver = Driver()
    a, b = joined_pair(driver)
    driver.advance(1_500)
    driver.ask_sync(a, 2, {a: b"", b: b""})
    assert driver.sentences[-1] == (
        "group 'g' is stable in generation 2 with 2 members and protocol 'range',"
        f" 1500 ms after: member {a!r} is new"
    )


def stable_pair(driver: Driver) -> tuple[str, str]:
    a, b = joined_pair(driver)
    driver.ask_sync(b, 2)
    driver.ask_sync(a, 2, {a: b"A", b: b"B"})
    return a, b


def test_the_log_says_in_one_sentence_who_left_why_and_how_long_the_rebalance_took() -> None:
    driver = Driver()
    a, b = stable_pair(driver)
    driver.advance(6_000)
    driver.heartbeat(a, 2)
    driver.advance(4_000)
    driver.ask_join(a)
    driver.advance(250)
    driver.ask_sync(a, 3, {a: b"A"})
    assert driver.sentences[-1] == (
        "group 'g' is stable in generation 3 with 1 members and protocol 'range',"
        f" 250 ms after: member {b!r} is out: no heartbeat for 10000 ms"
    )


def test_the_log_names_those_that_a_rebalance_waited_for_in_vain() -> None:
    driver = Driver()
    a, b = stable_pair(driver)
    driver.ask_join(a, protocols={"range": b"something new"})
    for _ in range(10):
        driver.advance(3_000)
        driver.heartbeat(b, 2)
    driver.ask_sync(a, 3, {a: b"A"})
    assert driver.sentences[-1] == (
        "group 'g' is stable in generation 3 with 1 members and protocol 'range', 30000 ms after:"
        f" the leader joins again: member {a!r};"
        f" member {b!r} is out: no JoinGroup for 30000 ms of rebalance"
    )
