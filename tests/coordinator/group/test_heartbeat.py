import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from tests.coordinator.group.driver import Driver


@pytest.mark.parametrize("version", range(5))
def test_a_member_of_the_generation_lives(version: int) -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    assert driver.heartbeat(member_id, 1, version=version) == ErrorCode.NONE


@pytest.mark.parametrize(
    ("wrong", "error_code"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group": "nowhere"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"instance": "i"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": -1}, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_a_heartbeat_that_does_not_belong_is_refused(
    wrong: dict[str, object], error_code: ErrorCode
) -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    asked: dict[str, object] = {"member_id": member_id, "generation": 1, **wrong}
    assert driver.heartbeat(**asked) == error_code  # type: ignore[arg-type]  # a table of keywords


def test_a_member_may_heartbeat_before_the_leader_has_assigned() -> None:
    driver = Driver()
    member_id = driver.joined(driver.ask_join(version=3)).member_id
    assert driver.heartbeat(member_id, 1) == ErrorCode.NONE


def test_heartbeats_keep_a_member_for_as_long_as_they_come() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    for _ in range(20):
        driver.advance(9_999)
        assert driver.heartbeat(member_id, 1) == ErrorCode.NONE
    driver.advance(10_000)
    assert driver.heartbeat(member_id, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert (
        f"member {member_id!r} is out of group 'g': no heartbeat for 10000 ms" in driver.sentences
    )


def test_a_member_that_waits_in_join_needs_no_heartbeat() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    token = driver.ask_join(a)
    for _ in range(9):
        driver.advance(3_000)
        assert driver.heartbeat(b, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert token not in driver.answers
    driver.advance(3_000)
    assert [member.member_id for member in driver.joined(token).members] == [a]


def test_a_member_that_waits_in_sync_needs_no_heartbeat() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    driver.ask_join(a)
    driver.ask_join(b)
    waiting = driver.ask_sync(b, 3)
    for _ in range(9):
        driver.advance(3_000)
        assert driver.heartbeat(a, 3) == ErrorCode.NONE
    driver.ask_sync(a, 3, {b: b"B"})
    assert driver.synced(waiting) == b"B"
    driver.advance(9_999)
    assert driver.heartbeat(b, 3) == ErrorCode.NONE


def test_a_new_member_is_not_kept_waiting_for_ever() -> None:
    driver = Driver(new_member_join_timeout_ms=5_000)
    [a] = driver.stable_group("a")
    token = driver.ask_join(version=3)
    driver.advance(5_000)
    answer = driver.answer(token, JoinGroupResponse)
    assert answer.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert answer.member_id == ""
    assert driver.joined(driver.ask_join(a)).generation_id == 2


def test_members_of_a_replayed_group_have_a_session_to_show_up_in() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    driver.advance(9_000)
    driver.restart()
    driver.advance(9_000)
    assert driver.heartbeat(a, 2) == ErrorCode.NONE
    driver.advance(1_000)
    assert driver.heartbeat(b, 2) == ErrorCode.UNKNOWN_MEMBER_ID
