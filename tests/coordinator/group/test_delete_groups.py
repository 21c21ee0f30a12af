from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from tests.coordinator.group.driver import TOPIC, Driver


def test_an_empty_group_is_deleted_with_its_offsets() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    driver.commit({TOPIC: 1}, member_id=member_id, generation=1)
    driver.leave_one(member_id)
    assert driver.delete("g") == [ErrorCode.NONE]
    assert not driver.has_group()
    assert driver.fetch(None) == {}
    assert not driver.replayed().state.images
    assert "group 'g' was deleted with 1 offsets" in driver.sentences


def test_a_group_that_only_commits_is_deleted() -> None:
    driver = Driver()
    driver.commit({TOPIC: 1, ("t", 1): 2})
    assert driver.delete("g") == [ErrorCode.NONE]
    assert not driver.has_group()


def test_a_group_with_members_stays() -> None:
    driver = Driver()
    driver.stable_group("a")
    assert driver.delete("g") == [ErrorCode.NON_EMPTY_GROUP]
    assert driver.has_group()


def test_each_group_is_answered_for_itself_also_twice() -> None:
    driver = Driver()
    driver.commit({TOPIC: 1})
    assert driver.delete("nowhere", "g", "g") == [ErrorCode.GROUP_ID_NOT_FOUND, 0, 0]
    assert driver.delete("g") == [ErrorCode.GROUP_ID_NOT_FOUND]


def test_a_pending_member_of_a_deleted_group_starts_anew() -> None:
    driver = Driver()
    pending = driver.answer(driver.ask_join(), JoinGroupResponse).member_id
    assert driver.delete("g") == [ErrorCode.NONE]
    driver.advance(100_000)
    assert driver.error_of(driver.ask_join(pending)) == ErrorCode.UNKNOWN_MEMBER_ID
