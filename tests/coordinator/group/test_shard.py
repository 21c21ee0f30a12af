import struct

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.offset_commit import OffsetCommitRequest
from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.shard import GroupShard
from datacore.coordinator.outcome import Record
from datacore.wire.errors import DecodeError
from tests.coordinator.group.cluster import FakeCluster
from tests.coordinator.group.driver import TOPIC, Driver


def test_a_shard_has_no_deadline_before_it_leads_and_looks_for_expiry_after() -> None:
    shard = GroupShard(GroupConfig(), FakeCluster())
    assert shard.deadline() is None
    outcome = shard.load(1_000)
    assert not outcome.records
    assert shard.deadline() == 1_000 + 600_000


def test_record_types_of_newer_kafka_are_counted_and_skipped() -> None:
    shard = GroupShard(GroupConfig(), FakeCluster())
    shard.apply(struct.pack(">h", 1_000) + b"whatever", b"\0\0")
    shard.apply(struct.pack(">h", 21) + b"whatever", None)
    assert shard.skipped_records == 2


def test_a_broken_record_stops_the_load() -> None:
    with pytest.raises(DecodeError):
        GroupShard(GroupConfig(), FakeCluster()).apply(b"\0\2\0\7broken", b"\0\3")


def test_a_shard_that_does_not_lead_answers_nobody() -> None:
    driver = Driver()
    shard = GroupShard(GroupConfig(), FakeCluster())
    with pytest.raises(AssertionError):
        shard.heartbeat(HeartbeatRequest(group_id="g"), driver.context(4))


def test_records_that_were_not_applied_stop_the_next_call() -> None:
    driver = Driver()
    driver.stable_group("a")
    driver.log.append(Record(b"", None))
    shard = driver.shard
    commit = OffsetCommitRequest(group_id="other")
    assert not shard.offset_commit(commit, driver.context(9)).records
    shard._records_to_apply = 1
    with pytest.raises(AssertionError):
        shard.offset_commit(commit, driver.context(9))


def test_a_generation_that_became_stable_is_found_by_the_next_coordinator() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    driver.restart()
    assert driver.group().state.value == "Stable"
    assert driver.heartbeat(a, 2) == ErrorCode.NONE
    assert driver.synced(driver.ask_sync(b, 2)) == f"for {b}".encode()
    described = driver.describe()
    assert described.protocol_data == "range"
    assert {member.client_id for member in described.members} == {"a", "b"}


def test_a_rebalance_that_was_under_way_starts_over_at_the_next_coordinator() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    waiting = driver.ask_join(a)
    driver.restart()
    answer = driver.answer(waiting, JoinGroupResponse)
    assert (answer.error_code, answer.member_id) == (ErrorCode.NOT_COORDINATOR, a)
    token = driver.ask_join(a)
    driver.ask_join(b)
    assert driver.joined(token).generation_id == 3


def test_a_lost_coordinator_answers_all_who_wait() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    joins = [driver.ask_join(a), driver.ask_join(version=3, group="other")]
    driver.ask_join(b)
    sync = driver.ask_sync(b, 3)
    driver.take(driver.shard.fail_all(ErrorCode.NOT_COORDINATOR))
    assert driver.error_of(sync) == ErrorCode.NOT_COORDINATOR
    assert driver.joined(joins[0]).generation_id == 3
    assert driver.joined(joins[1]).generation_id == 1


def test_offsets_without_a_group_record_make_an_empty_group_on_load() -> None:
    driver = Driver()
    driver.commit({TOPIC: 3})
    driver.restart()
    [group] = driver.list_groups().groups
    assert (group.group_state, group.protocol_type) == ("Empty", "")


def test_a_group_that_was_never_stable_leaves_no_record() -> None:
    driver = Driver()
    driver.ask_join(version=3)
    assert not driver.log
    driver.restart()
    assert not driver.has_group()


def test_an_old_group_record_without_timestamps_is_read() -> None:
    def string(text: str) -> bytes:
        return struct.pack(">h", len(text)) + text.encode()

    key = b"\0\2" + string("old")
    value = b"\0\0" + string("consumer") + struct.pack(">i", 9) + string("range") + string("m")
    value += struct.pack(">i", 1) + string("m") + string("c") + string("/h")
    value += struct.pack(">i", 30_000) + struct.pack(">i", 1) + b"s" + struct.pack(">i", 1) + b"a"
    driver = Driver()
    driver.log.append(Record(key, value))
    driver.restart()
    group = driver.group("old")
    assert (group.generation, group.state.value, group.state_timestamp_ms) == (9, "Stable", None)
    assert driver.member("m", "old").rebalance_timeout_ms == 30_000
    assert driver.member("m", "old").assignment == b"a"


def test_an_expired_member_starts_a_rebalance_that_drops_who_does_not_come_back() -> None:
    driver = Driver()
    a, b, c = driver.stable_group("a", "b", "c")
    driver.advance(9_999)
    for member_id in (a, b):
        driver.heartbeat(member_id, 3)
    driver.advance(1)
    assert driver.heartbeat(a, 3) == ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.heartbeat(c, 3) == ErrorCode.UNKNOWN_MEMBER_ID
    token = driver.ask_join(a)
    for _ in range(10):
        driver.advance(3_000)
        driver.heartbeat(b, 3)
    assert [member.member_id for member in driver.joined(token).members] == [a]
    assert driver.heartbeat(b, 4) == ErrorCode.UNKNOWN_MEMBER_ID
    assert (
        f"member {b!r} is out of group 'g': no JoinGroup for 30000 ms of rebalance"
        in driver.sentences
    )


def test_a_leader_that_does_not_come_back_is_replaced() -> None:
    driver = Driver()
    a, b = driver.stable_group("a", "b")
    token = driver.ask_join(b, protocols={"range": b"new"})
    for _ in range(10):
        driver.advance(3_000)
        driver.heartbeat(a, 2)
    assert driver.joined(token).leader == b
