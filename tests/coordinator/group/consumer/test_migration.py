import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.leave_group import MemberIdentity
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig, MigrationPolicy
from tests.coordinator.group.consumer.classic_client import ClassicClient, stable_classic_group
from tests.coordinator.group.consumer.driver import ConsumerDriver, Held, partitions_of

T01, T23 = {("t", 0), ("t", 1)}, {("t", 2), ("t", 3)}


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("t", 4)
    return driver


def settle(driver: ConsumerDriver, *clients: object, rounds: int = 8) -> None:
    for _ in range(rounds):
        for client in clients:
            client.beat()  # type: ignore[attr-defined]  # consumers of either protocol
    del driver


def test_a_consumer_turns_a_classic_group_into_a_consumer_group(driver: ConsumerDriver) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T23)
    c = driver.consumer("c")
    assert not driver.has_group()
    assert c.error == 0
    assert c.owned == set(), "the others have everything still"
    assert driver.consumer_member(a.member_id).classic is not None
    settle(driver, a, b, c)
    assert a.owned | b.owned | c.owned == partitions_of("t", 4)
    assert sorted(map(len, (a.owned, b.owned, c.owned))) == [1, 1, 2]
    assert driver.describe_consumers().group_state == "Stable"
    types = {each.member_id: each.member_type for each in driver.describe_consumers().members}
    assert types == {a.member_id: 0, b.member_id: 0, "c": 1}


def test_a_group_is_upgraded_one_by_one_and_loses_nothing(driver: ConsumerDriver) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T23)
    driver.commit({("t", 0): 7}, member_id=a.member_id, generation=a.generation)
    c = driver.consumer("c")
    settle(driver, a, b, c)
    assert a.leave() == 0
    d = driver.consumer("d")
    settle(driver, b, c, d)
    assert b.leave() == 0
    settle(driver, c, d)
    assert c.owned | d.owned == partitions_of("t", 4)
    assert not c.owned & d.owned
    assert driver.fetch([("t", 0)])["t", 0][0] == 7
    assert all(m.classic is None for m in driver.consumer_group().members.values())


def test_the_last_consumer_that_goes_leaves_a_classic_group(driver: ConsumerDriver) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T23)
    c = driver.consumer("c")
    settle(driver, a, b, c)
    epoch = driver.consumer_group().epoch
    assert c.leave() == 0
    assert not driver.has_consumer_group()
    group = driver.group()
    assert group.state is GroupState.PREPARING_REBALANCE
    assert group.generation == epoch
    a.beat()
    assert a.waiting is not None
    b.beat()
    assert a.look()
    assert b.waiting is None
    leader, other = (a, b) if a.is_leader else (b, a)
    leader.sync({leader.member_id: T01, other.member_id: T23})
    other.sync()
    assert a.owned | b.owned == partitions_of("t", 4)
    assert driver.group().state is GroupState.STABLE
    replayed = driver.replayed().state
    assert not replayed.consumer_groups
    assert replayed.images.keys() == {"g"}


def test_a_downgrade_survives_a_failover(driver: ConsumerDriver) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T23)
    c = driver.consumer("c")
    settle(driver, a, b, c)
    c.leave()
    driver.restart()
    assert driver.group().state is GroupState.STABLE
    assert driver.group().members.keys() == {a.member_id, b.member_id}


def test_a_consumer_that_times_out_is_a_reason_to_downgrade(driver: ConsumerDriver) -> None:
    (a,) = stable_classic_group(driver, a=partitions_of("t", 4))
    c = driver.consumer("c")
    settle(driver, a, c)
    for _ in range(5):
        driver.advance(9_000)
        a.beat()
    assert not driver.has_consumer_group()
    assert any("is a classic group now" in sentence for sentence in driver.sentences)


def test_classic_clients_may_join_a_consumer_group(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    b = ClassicClient(driver, "b")
    b.rejoin()
    assert b.error == 0
    assert b.generation == 2
    settle(driver, a, b)
    assert len(a.owned) == len(b.owned) == 2
    assert b.leave() == 0
    settle(driver, a)
    assert a.owned == partitions_of("t", 4)


def test_a_classic_member_has_its_rebalance_timeout_to_join_again(driver: ConsumerDriver) -> None:
    b = ClassicClient(driver, "b", rebalance_timeout_ms=5_000, session_timeout_ms=60_000)
    a = driver.consumer("a")
    b.rejoin()
    settle(driver, a, b)
    driver.consumer("c")
    told = driver.heartbeat(b.member_id, b.generation)
    assert told == ErrorCode.REBALANCE_IN_PROGRESS
    driver.advance(4_999)
    assert driver.heartbeat(b.member_id, b.generation) == ErrorCode.REBALANCE_IN_PROGRESS
    driver.advance(1)
    assert driver.heartbeat(b.member_id, b.generation) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_classic_member_has_as_long_to_sync(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    b = ClassicClient(driver, "b", rebalance_timeout_ms=5_000, session_timeout_ms=60_000)
    b.join()
    driver.advance(5_000)
    b.sync()
    assert b.error == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_classic_members_session_is_its_own(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    b = ClassicClient(driver, "b")
    b.rejoin()
    driver.advance(9_999)
    assert b.member_id in driver.consumer_group().members
    driver.advance(1)
    assert b.member_id not in driver.consumer_group().members


def test_a_classic_member_commits_by_its_generation(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    b = ClassicClient(driver, "b")
    b.rejoin()
    ok = driver.commit({("t", 0): 1}, member_id=b.member_id, generation=b.generation, version=7)
    assert ok == {("t", 0): 0}
    stale = driver.commit({("t", 0): 1}, member_id=b.member_id, generation=9, version=7)
    assert stale == {("t", 0): ErrorCode.ILLEGAL_GENERATION}


def test_what_a_classic_client_of_another_type_wants_is_refused(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    refused = driver.error_of(driver.ask_join("x", protocol_type="connect"))
    assert refused == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    malformed = driver.error_of(driver.ask_join("x", protocols={"range": b"?"}))
    assert malformed == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert driver.heartbeat("a", 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_operator_sends_members_of_either_protocol_away(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    driver.consumer("b", instance="i1")
    b = ClassicClient(driver, "k")
    b.rejoin()
    left = driver.leave(
        MemberIdentity(member_id="a"),
        MemberIdentity(member_id="x"),
        MemberIdentity(group_instance_id="i1"),
        MemberIdentity(member_id=b.member_id),
    )
    codes = [member.error_code for member in left.members]
    assert codes == [0, ErrorCode.UNKNOWN_MEMBER_ID, 0, 0]
    assert not driver.consumer_group().members


def test_a_group_that_is_no_consumers_is_not_upgraded(driver: ConsumerDriver) -> None:
    token = driver.ask_join(version=3, protocol_type="connect")
    assert driver.joined(token).generation_id == 1
    assert driver.consumer("c").error == ErrorCode.GROUP_ID_NOT_FOUND
    driver.ask_join(version=3, group="h", protocols={"range": b"?"})
    assert driver.consumer("c", group="h").error == ErrorCode.GROUP_ID_NOT_FOUND
    assert driver.group("h").members


def test_who_waits_in_a_classic_group_is_answered_when_it_changes(driver: ConsumerDriver) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T23)
    a.join()
    assert a.waiting is not None
    c = driver.consumer("c")
    assert a.look()
    assert a.error == ErrorCode.REBALANCE_IN_PROGRESS
    settle(driver, a, b, c)
    assert a.owned | b.owned | c.owned == partitions_of("t", 4)


def test_an_empty_classic_group_just_changes(driver: ConsumerDriver) -> None:
    (a,) = stable_classic_group(driver, a=partitions_of("t", 4))
    driver.commit({("t", 0): 7}, member_id=a.member_id, generation=a.generation)
    a.leave()
    assert driver.group().state is GroupState.EMPTY
    c = driver.consumer("c")
    assert c.owned == partitions_of("t", 4)
    assert not driver.has_group()
    assert driver.fetch([("t", 0)])["t", 0][0] == 7


def test_an_empty_consumer_group_just_changes_too(driver: ConsumerDriver) -> None:
    c = driver.consumer("c")
    driver.commit({("t", 0): 7}, member_id="c", generation=1)
    c.leave()
    (a,) = stable_classic_group(driver, a=partitions_of("t", 4))
    assert a.error == 0
    assert not driver.has_consumer_group()
    assert driver.fetch([("t", 0)])["t", 0][0] == 7
    driver.restart()
    assert driver.group().state is GroupState.STABLE


@pytest.mark.parametrize("policy", [MigrationPolicy.DISABLED, MigrationPolicy.DOWNGRADE])
def test_a_policy_may_forbid_the_upgrade(policy: MigrationPolicy) -> None:
    driver = ConsumerDriver(consumer=ConsumerGroupConfig(migration_policy=policy))
    driver.cluster.set_topic("t", 4)
    stable_classic_group(driver, a=partitions_of("t", 4))
    assert driver.consumer("c").error == ErrorCode.GROUP_ID_NOT_FOUND


def test_a_policy_may_forbid_the_downgrade() -> None:
    config = ConsumerGroupConfig(migration_policy=MigrationPolicy.UPGRADE)
    driver = ConsumerDriver(consumer=config)
    driver.cluster.set_topic("t", 4)
    (a,) = stable_classic_group(driver, a=partitions_of("t", 4))
    c = driver.consumer("c")
    settle(driver, a, c)
    c.leave()
    settle(driver, a)
    assert driver.has_consumer_group()
    assert a.owned == partitions_of("t", 4)


def test_a_static_member_changes_its_protocol_and_keeps_its_partitions(
    driver: ConsumerDriver,
) -> None:
    a = ClassicClient(driver, "a", instance="i1")
    b = ClassicClient(driver, "b", instance="i2")
    a.join()
    b.join()
    a.join()
    b.look()
    a.look()
    leader, other = (a, b) if a.is_leader else (b, a)
    leader.sync({leader.member_id: T01, other.member_id: T23})
    other.sync()
    had: Held = set(other.owned)
    upgraded = driver.consumer("c", instance=other.instance)
    assert upgraded.owned == had
    settle(driver, leader, upgraded)
    assert leader.owned == T01
    assert upgraded.owned == had
    back = ClassicClient(driver, "d", instance=other.instance)
    back.join()
    assert not driver.has_consumer_group(), "nobody speaks the consumer protocol any more"
    leader.beat()
    assert back.look()
    assert back.error == 0


def test_a_static_member_that_turns_its_group_by_itself_leaves_no_trace(
    driver: ConsumerDriver,
) -> None:
    a = ClassicClient(driver, "a", instance="i1")
    a.join()
    a.sync({a.member_id: partitions_of("t", 4)})
    upgraded = driver.consumer("c", instance="i1")
    assert upgraded.owned == partitions_of("t", 4)
    driver.advance(20_000)
    assert driver.consumer_group().members.keys() == {"c"}


def test_the_only_member_changes_its_protocol_back(driver: ConsumerDriver) -> None:
    driver.consumer("c", instance="i1")
    back = ClassicClient(driver, "d", instance="i1")
    back.join()
    assert back.error == 0
    assert back.generation == 2
    back.sync({back.member_id: partitions_of("t", 4)})
    assert driver.group().state is GroupState.STABLE
    assert driver.replayed().state.consumer_groups == {}


def test_two_members_that_were_given_the_same_partition_do_not_both_keep_it(
    driver: ConsumerDriver,
) -> None:
    a, b = stable_classic_group(driver, a=T01, b=T01)
    c = driver.consumer("c")
    settle(driver, a, b, c)
    assert sum(map(len, (a.owned, b.owned, c.owned))) == 4
    assert a.owned | b.owned | c.owned == partitions_of("t", 4)
