import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.leave_group import MemberIdentity
from tests.coordinator.group.driver import Driver


def identity(member_id: str = "", instance: str | None = None) -> MemberIdentity:
    return MemberIdentity(member_id=member_id, group_instance_id=instance)


@pytest.mark.parametrize("version", range(6))
def test_the_last_member_that_leaves_empties_the_group(version: int) -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    response = driver.leave(identity(member_id), version=version)
    assert response.error_code == ErrorCode.NONE
    assert [member.error_code for member in response.members] == ([0] if version >= 3 else [])
    assert driver.group().state.value == "Empty"
    assert driver.group().generation == 2


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("group", ["g", "nowhere"])
def test_a_stranger_cannot_leave(version: int, group: str) -> None:
    driver = Driver()
    driver.stable_group("a")
    response = driver.leave(identity("stranger"), version=version, group=group)
    if version >= 3:
        assert response.error_code == ErrorCode.NONE
        assert response.members[0].member_id == "stranger"
        assert response.members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    else:
        assert response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", range(6))
def test_nobody_leaves_a_group_without_a_name(version: int) -> None:
    response = Driver().leave(identity("m"), version=version, group="")
    assert response.error_code == ErrorCode.INVALID_GROUP_ID


def test_a_leader_that_leaves_hands_over() -> None:
    driver = Driver()
    a, b, c = driver.stable_group("a", "b", "c")
    assert driver.leave_one(a) == ErrorCode.NONE
    assert driver.heartbeat(b, 3) == ErrorCode.REBALANCE_IN_PROGRESS
    tokens = driver.ask_join(c), driver.ask_join(b)
    leaders = {driver.joined(token).leader for token in tokens}
    assert leaders == {b}


def test_several_members_leave_at_once_each_with_its_own_error() -> None:
    driver = Driver()
    a = driver.joined(driver.ask_join(instance="i1")).member_id
    b_token = driver.ask_join(instance="i2")
    driver.ask_join(a, instance="i1")
    b = driver.joined(b_token).member_id
    response = driver.leave(
        identity("", "i1"), identity(b, "i1"), identity("", "i3"), identity("x"), identity(b, "i2")
    )
    assert [(m.member_id, m.group_instance_id, m.error_code) for m in response.members] == [
        ("", "i1", ErrorCode.NONE),
        (b, "i1", ErrorCode.UNKNOWN_MEMBER_ID),
        ("", "i3", ErrorCode.UNKNOWN_MEMBER_ID),
        ("x", None, ErrorCode.UNKNOWN_MEMBER_ID),
        (b, "i2", ErrorCode.NONE),
    ]
    assert driver.group().state.value == "Empty"


def test_another_members_instance_is_fenced() -> None:
    driver = Driver()
    driver.ask_join(instance="i1")
    response = driver.leave(identity("somebody", "i1"))
    assert response.members[0].error_code == ErrorCode.FENCED_INSTANCE_ID


def test_what_a_leaving_member_waits_for_is_answered() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    waiting_join = driver.ask_join(a)
    driver.leave_one(a)
    assert driver.error_of(waiting_join) == ErrorCode.UNKNOWN_MEMBER_ID
    driver.ask_join(b)
    c_token = driver.ask_join(version=3)
    driver.ask_join(b)
    c = driver.joined(c_token).member_id
    waiting_sync = driver.ask_sync(c, driver.group().generation)
    driver.leave_one(c)
    assert driver.error_of(waiting_sync) == ErrorCode.UNKNOWN_MEMBER_ID


def test_the_one_that_the_barrier_waited_for_may_leave() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    token = driver.ask_join(a)
    assert driver.leave_one(b) == ErrorCode.NONE
    assert driver.joined(token).generation_id == 3


def test_a_pending_member_leaves_without_a_rebalance() -> None:
    driver = Driver()
    driver.stable_group("a")
    pending = driver.answer(driver.ask_join(), JoinGroupResponse).member_id
    assert driver.leave_one(pending) == ErrorCode.NONE
    assert driver.group().state.value == "Stable"
    assert driver.leave_one(pending) == ErrorCode.UNKNOWN_MEMBER_ID


def test_the_log_says_who_left_and_why() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    driver.leave(MemberIdentity(member_id=member_id, reason="closed"))
    assert f"member {member_id!r} is out of group 'g': it left (closed)" in driver.sentences
