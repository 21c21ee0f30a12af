import pytest

from datacore._generated.errors import ErrorCode
from tests.coordinator.group.driver import TOPIC, Driver


@pytest.mark.parametrize("version", range(7))
def test_a_stable_group_shows_protocol_metadata_and_assignments(version: int) -> None:
    driver = Driver()
    a, _ = driver.stable_group("a", "b")
    group = driver.describe(version=version)
    assert (group.error_code, group.group_state) == (ErrorCode.NONE, "Stable")
    assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
    member = group.members[0]
    assert (member.member_id, member.client_id, member.client_host) == (a, "a", "/127.0.0.1")
    assert member.member_metadata == b"range metadata"
    assert member.member_assignment == f"for {a}".encode()
    assert group.authorized_operations == -(2**31)


def test_a_group_that_rebalances_shows_no_protocol_and_no_metadata() -> None:
    driver = Driver()
    driver.stable_group("a")
    driver.ask_join(version=3, instance=None)
    group = driver.describe()
    assert (group.group_state, group.protocol_data) == ("PreparingRebalance", "")
    assert [member.member_metadata for member in group.members] == [b"", b""]


def test_static_members_show_their_instance_id() -> None:
    driver = Driver()
    driver.ask_join(instance="i1")
    group = driver.describe()
    assert group.group_state == "CompletingRebalance"
    assert group.members[0].group_instance_id == "i1"


@pytest.mark.parametrize("version", range(7))
def test_a_group_that_is_not_there_is_dead(version: int) -> None:
    group = Driver().describe("nowhere", version=version)
    assert group.group_state == "Dead"
    if version >= 6:
        assert group.error_code == ErrorCode.GROUP_ID_NOT_FOUND
        assert group.error_message == "Group nowhere not found."
    else:
        assert group.error_code == ErrorCode.NONE


@pytest.mark.parametrize(
    ("states", "types", "expected"),
    [
        ([], [], ["empty", "joining", "stable"]),
        (["Stable"], [], ["stable"]),
        ([" stable", "EMPTY"], [], ["empty", "stable"]),
        (["CompletingRebalance"], ["Classic"], ["joining"]),
        (["nonsense"], [], []),
        ([], ["consumer"], []),
        ([], ["consumer", "classic"], ["empty", "joining", "stable"]),
        ([], ["nonsense"], []),
    ],
)
def test_groups_are_listed_by_state_and_type(
    states: list[str], types: list[str], expected: list[str]
) -> None:
    driver = Driver()
    driver.commit({TOPIC: 1}, group="empty")
    driver.ask_join(version=3, group="joining")
    member_id = driver.joined(driver.ask_join(version=3, group="stable")).member_id
    driver.ask_sync(member_id, 1, group="stable")
    listed = driver.list_groups(states, types).groups
    assert sorted(group.group_id for group in listed) == expected
    assert {group.group_type for group in listed} <= {"classic"}


@pytest.mark.parametrize("version", range(6))
def test_groups_are_listed_in_every_version(version: int) -> None:
    driver = Driver()
    driver.stable_group("a")
    [group] = driver.list_groups(version=version).groups
    assert (group.group_id, group.protocol_type) == ("g", "consumer")
    assert group.group_state == ("Stable" if version >= 4 else "")
    assert group.group_type == ("classic" if version >= 5 else "")
