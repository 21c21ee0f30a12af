import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.leave_group import MemberIdentity
from tests.coordinator.group.driver import RANGE, TOPIC, Driver

TWO = {"range": b"r", "sticky": b"s"}


@pytest.mark.parametrize("version", range(10))
def test_a_first_member_joins_in_every_version(version: int) -> None:
    driver = Driver()
    token = driver.ask_join(version=version)
    if version >= 4:
        refused = driver.answer(token, JoinGroupResponse)
        assert refused.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert refused.protocol_name == (None if version >= 7 else "")
        token = driver.ask_join(refused.member_id, version=version)
    response = driver.joined(token)
    assert response.member_id.startswith("client-")
    assert response.leader == response.member_id
    assert response.generation_id == 1
    assert response.protocol_name == "range"
    assert response.protocol_type == ("consumer" if version >= 7 else None)
    assert [member.metadata for member in response.members] == [b"range metadata"]


@pytest.mark.parametrize("version", [5, 9])
def test_a_static_member_needs_no_second_round(version: int) -> None:
    driver = Driver()
    response = driver.joined(driver.ask_join(version=version, instance="i1"))
    assert response.member_id.startswith("i1-")
    assert response.members[0].group_instance_id == "i1"


@pytest.mark.parametrize(
    ("wrong", "error_code"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_timeout_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocols": {}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"instance": "i" * 32_767}, ErrorCode.INVALID_REQUEST),
        ({"client_id": "c" * 32_767}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_join_that_cannot_be_is_refused_and_makes_no_group(
    wrong: dict[str, object], error_code: ErrorCode
) -> None:
    driver = Driver()
    asked: dict[str, object] = {"group": "g", **wrong}
    assert driver.error_of(driver.ask_join(**asked)) == error_code  # type: ignore[arg-type]  # a table of keywords
    assert not driver.shard.state.groups
    assert not driver.log


@pytest.mark.parametrize(
    ("other", "error_code"),
    [
        ({"protocols": {"sticky": b""}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "x", "instance": "unknown"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_member_that_does_not_fit_a_stable_group_leaves_it_alone(
    other: dict[str, object], error_code: ErrorCode
) -> None:
    driver = Driver()
    driver.stable_group("a")
    assert driver.error_of(driver.ask_join(**other)) == error_code  # type: ignore[arg-type]  # a table of keywords
    assert driver.group().state.value == "Stable"


def test_join_is_a_barrier_that_waits_for_every_member() -> None:
    driver = Driver()
    [a] = driver.stable_group("a")
    b_token = driver.ask_join(version=3, client_id="b")
    assert b_token not in driver.answers
    assert driver.heartbeat(a, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    a_token = driver.ask_join(a)
    to_a, to_b = driver.joined(a_token), driver.joined(b_token)
    assert to_a.generation_id == to_b.generation_id == 2
    assert to_a.leader == to_b.leader == a
    assert {member.member_id for member in to_a.members} == {a, to_b.member_id}
    assert to_b.members == []


@pytest.mark.parametrize(
    ("likes", "chosen"),
    [
        ([["x", "y"], ["x", "y"], ["y", "x"]], "x"),
        ([["x", "y"], ["y", "x"], ["y", "x"]], "y"),
        ([["x", "y", "z"], ["z", "y"], ["z", "y"]], "z"),
        ([["x", "y"], ["y"], ["x", "y"]], "y"),
        ([["x", "y"], ["y", "x"]], "x"),
    ],
)
def test_the_protocol_is_chosen_by_vote_among_those_that_all_support(
    likes: list[list[str]], chosen: str
) -> None:
    driver = Driver(group_initial_rebalance_delay_ms=100)
    tokens = [
        driver.ask_join(version=3, protocols={name: name.encode() for name in names})
        for names in likes
    ]
    driver.advance(1_000)
    responses = [driver.joined(token) for token in tokens]
    assert {response.protocol_name for response in responses} == {chosen}
    assert [member.metadata for member in responses[0].members] == [chosen.encode()] * len(likes)


def test_the_initial_delay_gathers_members_and_is_prolonged_by_each_new_one() -> None:
    driver = Driver(group_initial_rebalance_delay_ms=3_000)
    first = driver.ask_join(version=3)
    driver.advance(2_000)
    second = driver.ask_join(version=3)
    driver.advance(2_000)
    assert not driver.answers
    driver.advance(2_000)
    assert driver.joined(first).generation_id == driver.joined(second).generation_id == 1
    assert len(driver.joined(first).members) == 2


def test_the_initial_delay_ends_with_the_rebalance_timeout() -> None:
    driver = Driver(group_initial_rebalance_delay_ms=3_000)
    first = driver.ask_join(version=3, rebalance_timeout_ms=7_000)
    for _ in range(6):
        driver.advance(1_000)
        driver.ask_join(version=3, rebalance_timeout_ms=7_000)
    assert first not in driver.answers
    driver.advance(1_000)
    assert len(driver.joined(first).members) == 7


def test_all_members_that_left_during_the_initial_delay_leave_an_empty_group() -> None:
    driver = Driver(group_initial_rebalance_delay_ms=3_000)
    token = driver.ask_join(version=5, instance="i")
    member_id = next(iter(driver.group().members))
    assert driver.leave_one(member_id) == ErrorCode.NONE
    assert driver.error_of(token) == ErrorCode.UNKNOWN_MEMBER_ID
    driver.advance(3_000)
    assert driver.group().state.value == "Empty"


def test_a_member_that_missed_its_answer_gets_it_again() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    leader_again = driver.joined(driver.ask_join(member_id))
    assert leader_again.generation_id == 2
    once_more = driver.joined(driver.ask_join(member_id))
    assert once_more.generation_id == 2
    assert once_more.members == leader_again.members


def test_a_follower_that_joins_a_stable_group_unchanged_stays_in_its_generation() -> None:
    driver = Driver()
    _, follower = driver.stable_group("a", "b")
    response = driver.joined(driver.ask_join(follower))
    assert response.generation_id == 2
    assert response.members == []
    assert driver.group().state.value == "Stable"


def test_a_follower_with_other_metadata_starts_a_rebalance() -> None:
    driver = Driver()
    leader, follower = driver.stable_group("a", "b")
    token = driver.ask_join(follower, protocols={"range": b"other"})
    assert token not in driver.answers
    leader_token = driver.ask_join(leader)
    metadata = {m.member_id: m.metadata for m in driver.joined(leader_token).members}
    assert metadata[follower] == b"other"


def test_the_leader_can_start_a_rebalance_by_joining() -> None:
    driver = Driver()
    leader, follower = driver.stable_group("a", "b")
    token = driver.ask_join(leader)
    assert driver.heartbeat(follower, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    driver.ask_join(follower)
    assert driver.joined(token).generation_id == 3


def test_changed_metadata_while_the_group_waits_for_its_leader_starts_over() -> None:
    driver = Driver()
    token = driver.ask_join(version=3)
    member_id = driver.joined(token).member_id
    again = driver.joined(driver.ask_join(member_id, protocols=TWO))
    assert again.generation_id == 2


def test_version_0_takes_its_session_timeout_for_the_rebalance() -> None:
    driver = Driver()
    member_id = driver.joined(driver.ask_join(version=0, session_timeout_ms=7_000)).member_id
    assert driver.member(member_id).rebalance_timeout_ms == 7_000


def test_a_pending_member_that_does_not_come_back_is_forgotten() -> None:
    driver = Driver()
    token = driver.ask_join(session_timeout_ms=6_000)
    member_id = driver.answer(token, JoinGroupResponse).member_id
    driver.advance(6_000)
    assert driver.has_group()
    late = driver.ask_join(member_id)
    assert driver.error_of(late) == ErrorCode.UNKNOWN_MEMBER_ID
    driver.pass_the_next_look()
    assert not driver.has_group()


def test_the_barrier_waits_for_pending_members() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    pending = driver.answer(driver.ask_join(), JoinGroupResponse).member_id
    a_token, b_token = driver.ask_join(a), driver.ask_join(b)
    assert a_token not in driver.answers
    assert b_token not in driver.answers
    c_token = driver.ask_join(pending)
    assert driver.joined(c_token).generation_id == driver.joined(a_token).generation_id == 3


def test_a_pending_id_cannot_become_a_static_member() -> None:
    driver = Driver()
    pending = driver.answer(driver.ask_join(), JoinGroupResponse).member_id
    token = driver.ask_join(pending, instance="i1")
    assert driver.error_of(token) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_second_join_of_a_waiting_member_takes_the_place_of_the_first() -> None:
    driver = Driver()
    a, _ = driver.stable_group("a", "b")
    first = driver.ask_join(a)
    second = driver.ask_join(a)
    assert driver.error_of(first) == ErrorCode.REBALANCE_IN_PROGRESS
    assert second not in driver.answers


# Size.


def test_a_full_group_takes_no_new_member() -> None:
    driver = Driver(group_max_size=2)
    driver.stable_group("a", "b")
    refused = driver.answer(driver.ask_join(version=3), JoinGroupResponse)
    assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert refused.member_id == ""
    assert driver.group().state.value == "Stable"


def test_of_a_group_that_is_too_large_those_stay_that_join_first() -> None:
    driver = Driver()
    members = driver.stable_group("a", "b", "c")
    driver.config = Driver(group_max_size=2).config
    driver.restart()
    assert driver.group().state.value == "PreparingRebalance"
    tokens = [driver.ask_join(member) for member in members]
    assert [driver.error_of(token) for token in tokens] == [0, 0, ErrorCode.GROUP_MAX_SIZE_REACHED]
    assert len(driver.group().members) == 2


def test_pending_members_are_limited() -> None:
    driver = Driver(group_max_pending_members=2)
    codes = [driver.error_of(driver.ask_join()) for _ in range(3)]
    required = ErrorCode.MEMBER_ID_REQUIRED
    assert codes == [required, required, ErrorCode.GROUP_MAX_SIZE_REACHED]


def test_groups_are_limited() -> None:
    driver = Driver(max_groups=1)
    driver.stable_group("a")
    refused = driver.ask_join(group="another")
    assert driver.error_of(refused) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert driver.commit({TOPIC: 1}, group="third") == {TOPIC: ErrorCode.COORDINATOR_NOT_AVAILABLE}


# Static members (KIP-345, KIP-814).


def static_pair(driver: Driver, version: int = 9) -> tuple[str, str]:
    """A stable group of the static members i1, who leads, and i2."""
    a = driver.joined(driver.ask_join(version=version, instance="i1")).member_id
    b_token = driver.ask_join(version=version, instance="i2")
    driver.ask_join(a, version=version, instance="i1")
    b = driver.joined(b_token).member_id
    driver.ask_sync(b, 2, instance="i2")
    driver.ask_sync(a, 2, {a: b"A", b: b"B"}, instance="i1")
    return a, b


@pytest.mark.parametrize("version", range(5, 10))
def test_a_static_follower_that_lost_its_id_keeps_place_generation_and_assignment(
    version: int,
) -> None:
    driver = Driver()
    a, b = static_pair(driver)
    response = driver.joined(driver.ask_join(version=version, instance="i2"))
    assert response.member_id != b
    assert response.generation_id == 2
    assert response.leader == a
    assert not response.skip_assignment
    assert driver.synced(driver.ask_sync(response.member_id, 2, instance="i2")) == b"B"
    assert driver.heartbeat(a, 2, instance="i1") == ErrorCode.NONE


@pytest.mark.parametrize("version", range(5, 10))
def test_a_static_leader_that_lost_its_id_does_not_assign_again(version: int) -> None:
    driver = Driver()
    a, _ = static_pair(driver)
    response = driver.joined(driver.ask_join(version=version, instance="i1"))
    assert response.generation_id == 2
    if version >= 9:
        assert response.skip_assignment
        assert response.leader == response.member_id
        assert len(response.members) == 2
    else:
        assert response.leader == a
        assert response.members == []
    assert driver.synced(driver.ask_sync(response.member_id, 2, instance="i1")) == b"A"


def test_the_double_of_a_static_member_is_fenced() -> None:
    driver = Driver()
    _, b = static_pair(driver)
    driver.ask_join(instance="i2")
    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert driver.heartbeat(b, 2, instance="i2") == fenced
    assert driver.error_of(driver.ask_join(b, instance="i2")) == fenced
    assert driver.error_of(driver.ask_sync(b, 2, instance="i2")) == fenced
    assert driver.commit({TOPIC: 1}, member_id=b, generation=2, instance="i2") == {TOPIC: fenced}


def test_the_double_of_a_static_member_that_waits_is_fenced_at_once() -> None:
    driver = Driver()
    _, b = static_pair(driver)
    waiting = driver.ask_join(b, instance="i2", protocols={"range": b"new"})
    double = driver.ask_join(instance="i2")
    assert driver.error_of(waiting) == ErrorCode.FENCED_INSTANCE_ID
    assert double not in driver.answers


def test_a_static_member_that_comes_back_in_a_sync_phase_starts_over() -> None:
    driver = Driver()
    a, b = static_pair(driver)
    tokens = driver.ask_join(a, instance="i1"), driver.ask_join(b, instance="i2")
    assert [driver.joined(token).generation_id for token in tokens] == [3, 3]
    waiting = driver.ask_sync(b, 3, instance="i2")
    back = driver.ask_join(instance="i2")
    assert driver.error_of(waiting) == ErrorCode.FENCED_INSTANCE_ID
    assert back not in driver.answers
    driver.ask_join(a, instance="i1")
    assert driver.joined(back).generation_id == 4


def test_a_static_member_whose_return_changes_the_chosen_protocol_starts_a_rebalance() -> None:
    driver = Driver()
    driver.ask_join(instance="i1", protocols=TWO)
    leader = next(iter(driver.group().members))
    driver.ask_sync(leader, 1, {leader: b""}, instance="i1")
    response = driver.joined(
        driver.ask_join(instance="i1", protocols={"sticky": b"", "range": b""})
    )
    assert response.generation_id == 2
    assert response.protocol_name == "sticky"


@pytest.mark.parametrize("version", range(5))
def test_a_static_member_stays_static_when_it_joins_by_a_version_without_instances(
    version: int,
) -> None:
    driver = Driver()
    a, b = static_pair(driver)
    token = driver.ask_join(b, version=version, protocols={"range": b"new"})
    driver.leave(MemberIdentity(member_id=a, group_instance_id="i1"))
    response = driver.joined(token)
    assert (response.leader, response.generation_id) == (b, 3)
    assert [member.member_id for member in response.members] == [b]
    assert driver.group().static_member_ids == {"i2": b}
    assert driver.synced(driver.ask_sync(b, 3, {b: b"B3"})) == b"B3"
    assert driver.synced(driver.ask_sync(b, 3, instance="i2")) == b"B3"


def test_a_static_member_that_came_back_is_found_after_a_restart() -> None:
    driver = Driver()
    static_pair(driver)
    member_id = driver.joined(driver.ask_join(instance="i2")).member_id
    driver.restart()
    assert driver.heartbeat(member_id, 2, instance="i2") == ErrorCode.NONE
    assert driver.synced(driver.ask_sync(member_id, 2, instance="i2")) == b"B"


def test_a_static_member_may_be_away_until_its_session_ends() -> None:
    driver = Driver()
    a, _ = static_pair(driver)
    for _ in range(3):
        driver.advance(3_000)
        assert driver.heartbeat(a, 2, instance="i1") == ErrorCode.NONE
    driver.advance(1_000)
    assert driver.heartbeat(a, 2, instance="i1") == ErrorCode.REBALANCE_IN_PROGRESS
    assert len(driver.group().members) == 1


def test_an_absent_static_member_takes_part_in_the_next_generation() -> None:
    driver = Driver()
    a, b = static_pair(driver)
    driver.member(b).session_timeout_ms = 100_000
    driver.heartbeat(b, 2, instance="i2")
    token = driver.ask_join(a, instance="i1", protocols=RANGE)
    driver.advance(30_000)
    assert {member.member_id for member in driver.joined(token).members} == {a, b}


def test_an_absent_static_leader_is_followed_by_a_member_that_is_there() -> None:
    driver = Driver()
    a, b = static_pair(driver)
    token = driver.ask_join(b, instance="i2", protocols={"range": b"new"})
    for _ in range(5):
        driver.advance(6_000)
        driver.heartbeat(a, 2, instance="i1")
    response = driver.joined(token)
    assert (response.leader, response.generation_id) == (b, 3)
    assert {member.group_instance_id for member in response.members} == {"i1", "i2"}


def test_a_static_follower_that_is_replaced_before_it_syncs_is_still_waited_for() -> None:
    driver = Driver()
    a, b = static_pair(driver)
    driver.ask_join(a, instance="i1", protocols={"range": b"new"})
    token = driver.ask_join(b, instance="i2", protocols={"range": b"new"})
    assert driver.joined(token).generation_id == 3
    driver.ask_sync(a, 3, {a: b"A", b: b"B"}, instance="i1")
    replaced = driver.ask_join(
        instance="i2", protocols={"range": b"new"}, session_timeout_ms=60_000
    )
    member_id = driver.joined(replaced).member_id
    for _ in range(5):
        driver.advance(6_000)
        driver.heartbeat(a, 3, instance="i1")
    assert member_id not in driver.group().members


def test_a_group_of_absent_static_members_waits_for_their_sessions() -> None:
    driver = Driver()
    a, b = static_pair(driver)
    dynamic_token = driver.ask_join(version=3, rebalance_timeout_ms=0, session_timeout_ms=6_000)
    [dynamic] = set(driver.group().members) - {a, b}
    driver.leave_one(dynamic)
    assert driver.error_of(dynamic_token) == ErrorCode.UNKNOWN_MEMBER_ID
    driver.advance(60_000)
    assert driver.group().state.value == "Empty"
