"""Commits, deletion and listing, which groups of both kinds share."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from tests.coordinator.group.consumer.driver import ConsumerDriver
from tests.coordinator.group.driver import TOPIC


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("t", 4)
    return driver


def fetch_error(driver: ConsumerDriver, member_id: str | None, epoch: int) -> int:
    group = OffsetFetchRequestGroup(
        group_id="g",
        member_id=member_id,
        member_epoch=epoch,
        topics=[OffsetFetchRequestTopics(name="t", partition_indexes=[0])],
    )
    context = driver.context(9)
    driver.take(driver.shard.offset_fetch(OffsetFetchRequest(groups=[group]), context))
    code: int = driver.answers[driver.last_token].groups[0].error_code
    return code


def test_a_member_commits_and_fetches_in_its_epoch(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    assert driver.commit({TOPIC: 5}, member_id="a", generation=1) == {TOPIC: 0}
    assert fetch_error(driver, "a", 1) == 0
    assert driver.fetch([TOPIC])[TOPIC][0] == 5


def test_a_stale_member_is_told_so(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    stale = ErrorCode.STALE_MEMBER_EPOCH
    assert driver.commit({TOPIC: 5}, member_id="a", generation=0) == {TOPIC: stale}
    assert fetch_error(driver, "a", 2) == stale
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert driver.commit({TOPIC: 5}, member_id="x", generation=1) == {TOPIC: unknown}
    assert fetch_error(driver, "x", 1) == unknown


def test_a_client_without_a_group_commits_only_while_nobody_is_in_it(
    driver: ConsumerDriver,
) -> None:
    a = driver.consumer("a")
    assert driver.commit({TOPIC: 5}) == {TOPIC: ErrorCode.UNKNOWN_MEMBER_ID}
    a.leave()
    assert driver.commit({TOPIC: 5}) == {TOPIC: 0}
    assert fetch_error(driver, None, -1) == 0


def test_a_member_commits_by_no_version_that_does_not_know_epochs(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    code = driver.commit({TOPIC: 5}, member_id="a", generation=1, version=8)
    assert code == {TOPIC: ErrorCode.UNSUPPORTED_VERSION}


@pytest.mark.parametrize(
    ("member_id", "epoch", "expected"),
    [
        ("a", 1, ErrorCode.NONE),
        ("a", 0, ErrorCode.ILLEGAL_GENERATION),
        ("x", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_transaction_commits_for_a_member_in_its_epoch(
    driver: ConsumerDriver, member_id: str, epoch: int, expected: ErrorCode
) -> None:
    driver.consumer("a")
    partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=5)
    request = TxnOffsetCommitRequest(
        transactional_id="x",
        group_id="g",
        producer_id=7,
        producer_epoch=0,
        generation_id=epoch,
        member_id=member_id,
        topics=[TxnOffsetCommitRequestTopic(name="t", partitions=[partition])],
    )
    outcome = driver.shard.txn_offset_commit(request, driver.context(5))
    [reply] = outcome.replies
    assert isinstance(reply.message, TxnOffsetCommitResponse)
    assert reply.message.topics[0].partitions[0].error_code == expected
    assert bool(outcome.records) is (expected is ErrorCode.NONE)


def test_offsets_committed_before_are_the_groups(driver: ConsumerDriver) -> None:
    assert driver.commit({TOPIC: 5}) == {TOPIC: 0}
    assert driver.has_group()
    driver.consumer("a")
    assert not driver.has_group()
    assert driver.fetch([TOPIC])[TOPIC][0] == 5
    driver.restart()
    assert not driver.has_group()
    assert driver.has_consumer_group()
    assert driver.fetch([TOPIC])[TOPIC][0] == 5


def test_groups_of_both_kinds_are_listed_by_type_and_state(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    driver.commit({TOPIC: 1}, group="classic-one")

    def listed(states: list[str], types: list[str]) -> dict[str, tuple[str, str]]:
        groups = driver.list_groups(states, types).groups
        return {each.group_id: (each.group_type, each.group_state) for each in groups}

    both = {"g": ("consumer", "Stable"), "classic-one": ("classic", "Empty")}
    assert listed([], []) == both
    assert listed([], ["Consumer"]).keys() == {"g"}
    assert listed([], ["classic"]).keys() == {"classic-one"}
    assert listed(["stable"], []).keys() == {"g"}
    assert listed(["Empty"], ["consumer"]) == {}


def test_describe_groups_does_not_know_a_consumer_group(driver: ConsumerDriver) -> None:
    driver.consumer("a")
    described = driver.describe()
    assert described.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert described.error_message == "Group g is not a classic group."
    assert driver.describe(version=5).group_state == "Dead"


def test_a_group_with_members_is_not_deleted_and_one_without_is(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    driver.commit({TOPIC: 5}, member_id="a", generation=1)
    assert driver.delete("g") == [ErrorCode.NON_EMPTY_GROUP]
    a.leave()
    assert driver.delete("g") == [0]
    assert not driver.has_consumer_group()
    assert not driver.has_group()
    assert driver.fetch([TOPIC])[TOPIC][0] == -1
    assert driver.replayed().state.consumer_groups == {}


def test_offsets_of_topics_that_are_read_stay(driver: ConsumerDriver) -> None:
    driver.cluster.set_topic("u", 1)
    driver.consumer("a")
    driver.commit({TOPIC: 5, ("u", 0): 6}, member_id="a", generation=1)
    deleted = driver.delete_offsets(TOPIC, ("u", 0))
    codes = {topic.name: topic.partitions[0].error_code for topic in deleted.topics}
    assert codes == {"t": ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, "u": 0}
    assert driver.fetch([("u", 0)])["u", 0][0] == -1


def test_offsets_expire_where_nobody_reads_the_topic_and_then_the_group_goes() -> None:
    driver = ConsumerDriver(offsets_retention_minutes=1, offsets_retention_check_interval_ms=60_000)
    driver.cluster.set_topic("t", 1)
    a = driver.consumer("a")
    driver.commit({TOPIC: 5}, member_id="a", generation=1)
    for _ in range(6):
        driver.advance(40_000)
        a.beat()
    assert driver.fetch([TOPIC])[TOPIC][0] == 5
    a.leave()
    driver.advance(130_000)
    assert driver.fetch([TOPIC])[TOPIC][0] == -1
    assert not driver.has_consumer_group()
