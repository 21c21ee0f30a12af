"""Offsets of transactions: unseen until their marker, and fenced as other commits are."""

from typing import Any

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
)
from datacore.coordinator.group.offsets import NO_OFFSET
from datacore.coordinator.group.shard import GroupShard
from datacore.coordinator.outcome import Outcome, Record
from datacore.protocol.names import GroupId, TopicName
from tests.coordinator.group.driver import TOPIC, Driver

OK, UNSTABLE = ErrorCode.NONE, ErrorCode.UNSTABLE_OFFSET_COMMIT
NEWEST = 5


class TransactionalDriver:
    """A driver, and a log that also knows whose transaction a record is of, and markers."""

    def __init__(self, **config: int) -> None:
        self.driver = Driver(consumer=None, **config)
        self.log: list[tuple[Record, int | None] | tuple[int, bool]] = []

    def take(self, outcome: Outcome) -> None:
        producer_id = None if outcome.producer is None else outcome.producer.producer_id
        for record in outcome.records:
            self.log.append((record, producer_id))
            self.driver.shard.apply(record.key, record.value, producer_id)
        outcome.records = []
        self.driver.take(outcome)

    def commit_in(
        self,
        producer_id: int,
        offset: int,
        *,
        partition: int = 0,
        version: int = NEWEST,
        group: str = "g",
        member_id: str = "",
        generation: int = -1,
        instance: str | None = None,
        metadata: str | None = "",
    ) -> ErrorCode:
        committed = TxnOffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata=metadata
        )
        request = TxnOffsetCommitRequest(
            transactional_id="x",
            group_id=group,
            producer_id=producer_id,
            producer_epoch=0,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
            topics=[TxnOffsetCommitRequestTopic(name=TOPIC[0], partitions=[committed])],
        )
        request = TxnOffsetCommitRequest.decode(request.encode(version), version)[0]
        context = self.driver.context(version)
        self.take(self.driver.shard.txn_offset_commit(request, context))
        answer: Any = self.driver.answers[self.driver.last_token]
        return ErrorCode(answer.topics[0].partitions[0].error_code)

    def commit(self, offset: int) -> None:
        """Of no transaction; goes into this log too."""
        before = len(self.driver.log)
        self.driver.commit({TOPIC: offset})
        self.log += [(record, None) for record in self.driver.log[before:]]

    def end(self, producer_id: int, *, is_commit: bool) -> None:
        self.log.append((producer_id, is_commit))
        self.driver.shard.apply_marker(producer_id, is_commit=is_commit)

    def offset(self, *, require_stable: bool = False, version: int = 9) -> tuple[ErrorCode, int]:
        """Of the first partition."""
        request = OffsetFetchRequest(require_stable=require_stable)
        if version >= 8:
            topics = [OffsetFetchRequestTopics(name=TOPIC[0], partition_indexes=[0])]
            request.groups = [OffsetFetchRequestGroup(group_id="g", topics=topics)]
        else:
            request.group_id, request.topics = "g", None
        context = self.driver.context(version)
        self.take(self.driver.shard.offset_fetch(request, context))
        answer: Any = self.driver.answers[self.driver.last_token]
        answered = answer.groups[0].topics if version >= 8 else answer.topics
        (partition,) = answered[0].partitions
        return ErrorCode(partition.error_code), partition.committed_offset

    def check_replay(self) -> None:
        """What is replayed is what is live."""
        shard = GroupShard(self.driver.config, self.driver.cluster)
        for entry in self.log:
            if isinstance(entry[0], Record):
                shard.apply(entry[0].key, entry[0].value, entry[1])
            else:
                shard.apply_marker(entry[0], is_commit=bool(entry[1]))
        live = self.driver.shard.state
        assert shard.state.offsets == live.offsets
        assert shard.state.pending == live.pending


def test_an_offset_counts_when_its_transaction_is_committed() -> None:
    driver = TransactionalDriver()
    driver.commit(3)
    assert driver.commit_in(7, 5) is OK
    assert driver.offset() == (OK, 3)
    assert driver.offset(require_stable=True) == (UNSTABLE, NO_OFFSET)
    assert driver.offset(require_stable=True, version=7) == (UNSTABLE, NO_OFFSET)
    driver.check_replay()
    driver.end(7, is_commit=True)
    assert driver.offset(require_stable=True) == (OK, 5)
    driver.check_replay()


def test_an_offset_of_an_aborted_transaction_never_was() -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    assert driver.driver.has_group()
    driver.end(7, is_commit=False)
    assert driver.offset(require_stable=True) == (OK, NO_OFFSET)
    driver.driver.pass_the_next_look()
    assert not driver.driver.has_group(), "nothing of the group is left"
    driver.check_replay()


@pytest.mark.parametrize("later_first", [True, False])
def test_the_later_of_two_transactions_counts(*, later_first: bool) -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    driver.commit_in(8, 6)
    for producer_id in (8, 7) if later_first else (7, 8):
        driver.end(producer_id, is_commit=True)
        driver.check_replay()
    assert driver.offset() == (OK, 6)


def test_a_commit_of_no_transaction_that_came_later_counts() -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    driver.commit(9)
    assert driver.offset(require_stable=True) == (UNSTABLE, NO_OFFSET)
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, 9)
    driver.commit_in(7, 10)
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, 10)
    driver.check_replay()


def test_the_last_offset_of_a_transaction_counts() -> None:
    driver = TransactionalDriver()
    for offset in (5, 6, 4):
        driver.commit_in(7, offset)
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, 4)
    driver.check_replay()


def test_a_marker_of_nobody_changes_nothing() -> None:
    driver = TransactionalDriver()
    driver.commit(3)
    driver.end(99, is_commit=True)
    assert driver.offset() == (OK, 3)
    driver.check_replay()


def test_members_are_fenced_as_with_plain_commits() -> None:
    driver = TransactionalDriver()
    (member_id,) = driver.driver.stable_group("a")
    generation = driver.driver.group().generation
    unknown, illegal = ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION
    assert driver.commit_in(7, 5, member_id=member_id, generation=generation) is OK
    assert driver.commit_in(7, 5, member_id=member_id, generation=generation + 1) is illegal
    assert driver.commit_in(7, 5, member_id="nobody", generation=generation) is unknown
    assert driver.commit_in(7, 5, member_id="nobody") is unknown
    assert driver.commit_in(7, 5, generation=generation) is unknown
    assert driver.commit_in(7, 5, instance="i") is unknown
    assert driver.commit_in(7, 5, version=2) is OK, "older producers cannot say who they are"
    assert driver.commit_in(7, 5, group="other", generation=1) is illegal
    assert driver.commit_in(7, 5, group="") is ErrorCode.INVALID_GROUP_ID
    too_much = driver.commit_in(7, 5, metadata="x" * 5_000, version=2)
    assert too_much is ErrorCode.OFFSET_METADATA_TOO_LARGE


def test_a_static_members_double_is_fenced() -> None:
    driver = TransactionalDriver()
    token = driver.driver.ask_join(instance="i")
    joined = driver.driver.joined(token)
    driver.driver.ask_sync(joined.member_id, joined.generation_id, instance="i")
    fenced = driver.commit_in(
        7, 5, member_id="double", generation=joined.generation_id, instance="i"
    )
    assert fenced is ErrorCode.FENCED_INSTANCE_ID


def test_a_group_with_an_open_transaction_does_not_expire() -> None:
    driver = TransactionalDriver(
        offsets_retention_minutes=1, offsets_retention_check_interval_ms=10_000
    )
    driver.commit_in(7, 5)
    driver.driver.advance(1_000_000)
    assert driver.driver.has_group()
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, 5)
    driver.driver.advance(100_000)
    assert not driver.driver.has_group()


def test_deletion_takes_what_is_pending_too() -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    assert driver.driver.delete("g") == [OK]
    assert GroupId("g") not in driver.driver.shard.state.pending
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, NO_OFFSET)


def test_a_deleted_topic_takes_what_is_pending_too() -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    driver.commit_in(7, 6, partition=1)
    gone = [(TopicName(TOPIC[0]), 0)]
    driver.take(driver.driver.shard.partitions_deleted(gone, driver.driver.now_ms))
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, NO_OFFSET)
    assert driver.driver.fetch([(TOPIC[0], 1)])[TOPIC[0], 1][0] == 6
    driver.check_replay()


def test_an_operator_may_delete_a_pending_offset() -> None:
    driver = TransactionalDriver()
    driver.commit_in(7, 5)
    answer = driver.driver.delete_offsets(TOPIC)
    assert answer.topics[0].partitions[0].error_code == OK
    driver.end(7, is_commit=True)
    assert driver.offset() == (OK, NO_OFFSET)
