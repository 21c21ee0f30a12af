import pytest

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig
from datacore.coordinator.group.consumer.group import ConsumerGroupState
from datacore.coordinator.group.consumer.member import MemberState
from datacore.coordinator.group.consumer.progress import Progress, rests
from datacore.coordinator.group.state import Turn
from datacore.coordinator.outcome import Outcome
from tests.coordinator.group.consumer.driver import ConsumerDriver, counts, partitions_of
from tests.coordinator.group.driver import GROUP


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("t", 4)
    return driver


def test_the_first_member_gets_everything_at_once(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    assert a.epoch == 1
    assert a.owned == partitions_of("t", 4)
    assert driver.consumer_group().state is ConsumerGroupState.STABLE


def test_a_second_member_waits_until_the_first_has_given_up_its_part(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a")
    a.is_slow = True
    b = driver.consumer("b")
    assert b.epoch == 2
    assert b.owned == set()
    a.beat()
    assert a.epoch == 1
    assert len(a.assigned) == 2
    b.beat()
    assert b.owned == set(), "the first has not acknowledged"
    a.beat()
    assert a.epoch == 1
    a.give_up()
    a.beat()
    assert a.epoch == 2
    b.beat()
    assert counts(a, b) == {"a": 2, "b": 2}
    assert not a.owned & b.owned
    assert driver.consumer_group().state is ConsumerGroupState.STABLE


def test_a_heartbeat_that_does_not_say_what_it_owns_acknowledges_nothing(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a")
    driver.consumer("b")
    a.beat(says_owned=False)
    a.beat(says_owned=False)
    assert a.epoch == 1
    assert driver.consumer_member("a").state is MemberState.UNREVOKED_PARTITIONS


def test_an_idle_heartbeat_is_answered_without_an_assignment_and_writes_nothing(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a")
    before = len(driver.log)
    answer = driver.heartbeat_of("a", a.epoch)
    assert answer.error_code == 0
    assert answer.assignment is None
    assert answer.heartbeat_interval_ms == 5_000
    assert len(driver.log) == before


def test_a_member_at_rest_is_spared_nothing_that_would_have_changed_anything(
    driver: ConsumerDriver,
) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")
    driver.settle(a, b)
    group, member = driver.consumer_group(), driver.consumer_member("a")
    turn = Turn(driver.shard.state, driver.now_ms)
    assert rests(turn, group, member)
    progress = Progress(turn, group, member, member, None, None, [])
    progress.run()
    assert progress.after is member
    assert turn.outcome == Outcome()


def test_no_member_rests_while_its_group_has_something_to_find_out(driver: ConsumerDriver) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")

    def rest() -> set[str]:
        group = driver.consumer_group()
        turn = Turn(driver.shard.state, driver.now_ms)
        return {str(each) for each, member in group.members.items() if rests(turn, group, member)}

    assert rest() == set(), "the first has partitions to give up"
    driver.settle(a, b)
    assert rest() == {"a", "b"}
    driver.cluster.set_topic("t", 5)
    assert rest() == set(), "the topic has changed"
    driver.settle(a, b)
    assert rest() == {"a", "b"}
    c = driver.consumer("c")
    assert rest() == set(), "a member is new"
    driver.settle(a, b, c)
    assert rest() == {"a", "b", "c"}


def test_a_member_that_says_everything_hears_everything(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    answer = driver.heartbeat_of(
        "a", a.epoch, rebalance_timeout_ms=30_000, topics=["t"], owned=a.owned
    )
    assert driver.held(answer) == partitions_of("t", 4)


def test_a_member_of_version_0_is_given_an_id(driver: ConsumerDriver) -> None:
    answer = driver.heartbeat_of(
        "", 0, version=0, rebalance_timeout_ms=1, topics=["t"], owned=set()
    )
    assert answer.member_id == "uuid1"
    assert driver.heartbeat_of("uuid1", 1, version=0).error_code == 0


def test_a_member_that_leaves_lets_the_others_have_its_partitions(driver: ConsumerDriver) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")
    driver.settle(a, b)
    assert b.leave() == 0
    a.beat()
    assert a.owned == partitions_of("t", 4)
    assert a.epoch == 3
    assert a.leave() == 0
    assert driver.consumer_group().state is ConsumerGroupState.EMPTY
    assert driver.heartbeat_of("a", 3).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_lost_answer_is_made_up_for_by_the_previous_epoch(driver: ConsumerDriver) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")
    a.beat()
    a.beat()
    assert a.epoch == 2
    a.epoch = 1
    assert a.beat() == 0
    assert a.epoch == 2
    b.beat()
    assert b.owned


def test_a_previous_epoch_with_partitions_of_others_is_fenced(driver: ConsumerDriver) -> None:
    a, _ = driver.consumer("a"), driver.consumer("b")
    a.beat()
    a.beat()
    answer = driver.heartbeat_of("a", 1, owned=partitions_of("t", 4))
    assert answer.error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert driver.heartbeat_of("a", 1).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert driver.heartbeat_of("a", 3).error_code == ErrorCode.FENCED_MEMBER_EPOCH


def test_strangers_are_unknown(driver: ConsumerDriver) -> None:
    assert driver.heartbeat_of("x", 1).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert driver.heartbeat_of("x", -1).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    driver.consumer("a")
    assert driver.heartbeat_of("x", 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert driver.heartbeat_of("x", -1).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    unknown = driver.heartbeat_of("x", 1, instance="i")
    assert unknown.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_request_that_makes_no_sense_is_refused_and_makes_no_group(
    driver: ConsumerDriver,
) -> None:
    invalid = ErrorCode.INVALID_REQUEST
    assert driver.heartbeat_of("a", 0, group="").error_code == invalid
    assert driver.heartbeat_of("a", -3).error_code == invalid
    assert driver.heartbeat_of("", -1).error_code == invalid
    assert driver.heartbeat_of("a", -2).error_code == invalid
    assert driver.heartbeat_of("a", 0, topics=["t"], owned=set()).error_code == invalid
    assert driver.heartbeat_of("a", 0, rebalance_timeout_ms=1, topics=["t"]).error_code == invalid
    assert driver.heartbeat_of("a", 0, rebalance_timeout_ms=1, owned=set()).error_code == invalid
    anonymous = driver.heartbeat_of("", 0, rebalance_timeout_ms=1, topics=["t"], owned=set())
    assert anonymous.error_code == invalid
    unsupported = driver.heartbeat_of(
        "a", 0, rebalance_timeout_ms=1, topics=["t"], owned=set(), assignor="x"
    )
    assert unsupported.error_code == ErrorCode.UNSUPPORTED_ASSIGNOR
    assert not driver.log
    assert not driver.has_consumer_group()


def test_a_member_that_is_silent_for_its_session_is_out(driver: ConsumerDriver) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")
    driver.advance(44_999)
    a.beat()
    driver.advance(1)
    assert b.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    driver.settle(a)
    assert a.owned == partitions_of("t", 4)
    assert any("no heartbeat for 45000 ms" in sentence for sentence in driver.sentences)


def test_a_group_may_have_a_session_timeout_of_its_own(driver: ConsumerDriver) -> None:
    driver.cluster.configs[GROUP] = {
        "consumer.session.timeout.ms": "50000",
        "consumer.heartbeat.interval.ms": "60000",
    }
    a = driver.consumer("a")
    assert driver.heartbeat_of("a", a.epoch).heartbeat_interval_ms == 15_000
    driver.advance(49_999)
    assert driver.consumer_group().members
    driver.advance(1)
    assert not driver.consumer_group().members


def test_a_member_that_does_not_give_up_in_time_is_out(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", rebalance_timeout_ms=20_000)
    a.is_slow = True
    b = driver.consumer("b")
    a.beat()
    driver.advance(19_999)
    a.beat()
    b.beat()
    driver.advance(1)
    assert a.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    b.beat()
    assert b.owned == partitions_of("t", 4)


def test_a_group_has_as_many_members_as_it_may() -> None:
    driver = ConsumerDriver(consumer=ConsumerGroupConfig(max_size=1))
    a = driver.consumer("a")
    assert driver.consumer("b").error == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert a.beat() == 0


def test_a_topic_that_grows_is_divided_anew(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    driver.cluster.set_topic("t", 6)
    a.beat()
    assert a.owned == partitions_of("t", 6)
    assert a.epoch == 2


def test_a_topic_may_come_later_and_go(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", ["later"])
    assert a.owned == set()
    driver.cluster.set_topic("later", 2)
    a.beat()
    assert a.owned == partitions_of("later", 2)
    driver.cluster.delete_topic("later")
    a.owned.clear()
    a.beat()
    a.beat()
    assert a.owned == set()
    assert driver.consumer_group().owners == {}


def test_topics_of_others_are_no_news_to_a_group(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    driver.cluster.set_topic("other", 6)
    a.beat()
    assert a.epoch == 1


def test_members_that_subscribe_otherwise_get_other_partitions(driver: ConsumerDriver) -> None:
    driver.cluster.set_topic("u", 2)
    a, b = driver.consumer("a"), driver.consumer("b")
    driver.settle(a, b)
    b.subscribe("u")
    driver.settle(a, b)
    assert a.owned == partitions_of("t", 4)
    assert b.owned == partitions_of("u", 2)


def test_the_assignor_that_most_members_ask_for_is_used(driver: ConsumerDriver) -> None:
    driver.cluster.set_topic("u", 2)
    members = [driver.consumer(m, ["t", "u"], assignor="range") for m in ("a", "b")]
    driver.settle(*members)
    assert members[0].owned == {("t", 0), ("t", 1), ("u", 0)}
    assert driver.describe_consumers().assignor_name == "range"


def test_a_new_coordinator_goes_on_where_the_old_one_was(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    a.is_slow = True
    b = driver.consumer("b")
    a.beat()
    driver.restart()
    b.beat()
    assert b.owned == set()
    a.give_up()
    driver.settle(a, b)
    assert counts(a, b) == {"a": 2, "b": 2}


def test_a_new_coordinator_expects_its_members_for_a_session(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    driver.restart()
    driver.advance(45_000)
    assert not driver.consumer_group().members


def test_the_log_tells_who_came_and_how_long_a_rebalance_took(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    driver.advance(10)
    driver.sentences.clear()
    b = driver.consumer("b")
    driver.advance(30)
    driver.settle(a, b)
    assert driver.sentences == [
        "group 'g' rebalances in epoch 2: member 'b' is new",
        "group 'g' is stable in epoch 2 with 2 members, 30 ms after: member 'b' is new",
    ]


def test_the_log_tells_in_one_sentence_who_left_why_and_how_long_the_rebalance_took(
    driver: ConsumerDriver,
) -> None:
    a, b = driver.consumer("a"), driver.consumer("b")
    driver.settle(a, b)
    for _ in range(2):
        driver.advance(15_000)
        a.beat()
    driver.advance(15_020)
    driver.settle(a)
    assert driver.sentences[-1] == (
        "group 'g' is stable in epoch 3 with 1 members,"
        " 20 ms after: member 'b' is out: no heartbeat for 45000 ms"
    )


def test_a_group_without_a_name_is_none_that_can_be_described(driver: ConsumerDriver) -> None:
    described = driver.describe_consumers(group="")
    assert described.error_code == ErrorCode.INVALID_GROUP_ID
