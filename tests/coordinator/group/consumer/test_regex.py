import pytest

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.consumer.regex import REGEX_CHARACTERS_MAX, matching_topics
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from tests.coordinator.group.consumer.driver import ConsumerDriver, partitions_of


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("orders", 2)
    driver.cluster.set_topic("others", 1)
    return driver


def names(*topics: str) -> frozenset[TopicName]:
    return frozenset(TopicName(topic) for topic in topics)


def test_an_expression_stands_for_whole_names() -> None:
    topics = names("a", "ab", "b.a", "B")
    assert matching_topics("a", topics) == names("a")
    assert matching_topics("a.*", topics) == names("a", "ab")
    assert matching_topics("(?i)b", topics) == names("B")
    assert matching_topics("a|b[.]a", topics) == names("a", "b.a")


@pytest.mark.parametrize(
    "regex", ["(", "[a", "a{2,1}", "(?=a)", r"(a)\1", "a" * (REGEX_CHARACTERS_MAX + 1)]
)
def test_what_is_no_expression_of_re2_is_refused(driver: ConsumerDriver, regex: str) -> None:
    with pytest.raises(KafkaError) as refused:
        matching_topics(regex, [])
    assert refused.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
    a = driver.consumer("a", [], regex=regex)
    assert a.error == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert not driver.has_consumer_group()


def test_only_a_member_is_told_that_its_expression_is_none(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", ["orders"])
    told = driver.heartbeat_of("a", a.epoch, regex="(").error_code
    assert told == ErrorCode.INVALID_REGULAR_EXPRESSION
    told = driver.heartbeat_of("stranger", a.epoch, regex="(").error_code
    assert told == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_subscribes_by_an_expression(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", [], regex="o.*")
    assert a.owned == partitions_of("orders", 2) | partitions_of("others", 1)


def test_names_and_an_expression_add_up(driver: ConsumerDriver) -> None:
    driver.cluster.set_topic("x", 1)
    a = driver.consumer("a", ["x", "orders"], regex="or.*")
    assert a.owned == partitions_of("orders", 2) | partitions_of("x", 1)


def test_topics_that_come_and_go_are_noticed(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", [], regex="or.*")
    driver.cluster.set_topic("organs", 1)
    a.beat()
    assert a.owned == partitions_of("orders", 2) | partitions_of("organs", 1)
    driver.cluster.delete_topic("orders")
    driver.settle(a, rounds=3)
    assert a.owned == partitions_of("organs", 1)


def test_an_expression_that_nobody_uses_is_forgotten(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", [], regex="or.*")
    b = driver.consumer("b", [], regex="ot.*")
    assert driver.consumer_group().regexes.keys() == {"or.*", "ot.*"}
    driver.heartbeat_of("a", a.epoch, regex="ot.*")
    assert driver.consumer_group().regexes.keys() == {"ot.*"}
    a.leave()
    b.leave()
    assert driver.consumer_group().regexes == {}


def test_members_with_other_expressions_share_what_both_stand_for(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", [], regex="o.*")
    b = driver.consumer("b", [], regex="orders")
    driver.settle(a, b)
    assert a.owned | b.owned == partitions_of("orders", 2) | partitions_of("others", 1)
    assert ("others", 0) in a.owned
    assert not a.owned & b.owned


def test_what_an_expression_stands_for_survives_a_failover(driver: ConsumerDriver) -> None:
    a = driver.consumer("a", [], regex="o.*")
    resolved = dict(driver.consumer_group().regexes)
    driver.restart()
    assert driver.consumer_group().regexes == resolved
    a.beat()
    assert a.epoch == 1
