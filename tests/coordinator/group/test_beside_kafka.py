"""The same requests to a shard and to Apache Kafka 4.1.1, and no difference in the answers.

What is left out because DataCore means to differ is said in lives.py.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.records import GroupStored, OffsetCommitted, decode
from datacore.coordinator.group.shard import GroupShard
from datacore.protocol.names import GroupId, MemberId, TopicName
from tests.coordinator.group.lives import (
    PROPERTIES,
    a_client_without_a_group,
    a_full_group,
    a_group_is_listed,
    a_rebalance_ends_without_who_does_not_join,
    a_static_member_comes_back_in_a_sync_phase,
    a_static_member_joins_by_a_version_without_instances,
    a_vote,
    an_absent_static_leader_is_followed_by_another,
    every_api_in_a_version,
    life_of_a_dynamic_group,
    no_group_has_no_name,
    nobody_is_there,
    refusals,
    sessions_end,
    static_members_come_back,
    who_does_not_sync_is_out,
)
from tests.coordinator.group.script import Script
from tests.coordinator.group.twin import Twin, kafkas_log, plain, prepare_kafka
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]


@pytest.fixture(scope="module")
def kafka_port() -> Iterator[int]:
    with ApacheKafka("4.1.1", properties=PROPERTIES) as kafka:
        prepare_kafka(kafka.port, "t")
        yield kafka.port


@pytest.fixture
def twin(kafka_port: int) -> Iterator[Twin]:
    twin = Twin(kafka_port, group_max_size=3)
    yield twin
    twin.close()
    assert twin.compared > 3


@pytest.mark.parametrize("version", range(10))
@pytest.mark.parametrize(
    "script",
    [
        every_api_in_a_version,
        life_of_a_dynamic_group,
        refusals,
        nobody_is_there,
        a_client_without_a_group,
        a_full_group,
    ],
)
def test_kafka_says_the_same_in_every_version(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"{script.__name__}-{version}"), version)


@pytest.mark.parametrize("version", range(6))
def test_kafka_lists_a_group_alike(twin: Twin, version: int) -> None:
    a_group_is_listed(Script(twin, f"listed-{version}"), version)


@pytest.mark.parametrize("version", range(5, 10))
@pytest.mark.parametrize(
    "script", [static_members_come_back, a_static_member_comes_back_in_a_sync_phase]
)
def test_kafka_says_the_same_of_static_members(
    twin: Twin, script: Callable[[Script, int], None], version: int
) -> None:
    script(Script(twin, f"{script.__name__}-{version}"), version)


@pytest.mark.parametrize("version", range(5))
def test_kafka_says_the_same_of_static_members_that_join_by_old_versions(
    twin: Twin, version: int
) -> None:
    group = f"old_static_member-{version}"
    a_static_member_joins_by_a_version_without_instances(Script(twin, group), version)


@pytest.mark.parametrize(
    "script",
    [
        a_vote,
        sessions_end,
        a_rebalance_ends_without_who_does_not_join,
        an_absent_static_leader_is_followed_by_another,
        who_does_not_sync_is_out,
    ],
)
def test_kafka_says_the_same_when_time_passes(
    twin: Twin, script: Callable[[Script, int], None]
) -> None:
    script(Script(twin, script.__name__), 9)


def test_kafka_says_the_same_of_a_group_without_a_name(twin: Twin) -> None:
    no_group_has_no_name(Script(twin, ""), 9)


def test_kafkas_own_log_is_read_and_ours_is_the_same(twin: Twin) -> None:
    group = "stored"
    script = Script(twin, group)
    script.static_pair()
    script.commit(5, member="<a>", generation=2, instance="i1", metadata="note")
    theirs = {record.key: record for record in kafkas_log(twin.port)}
    ours = {record.key: record for record in twin.driver.log}
    assert ours.keys() == {key for key in theirs if group.encode() in key}
    for key, record in ours.items():
        their_value, our_value = theirs[key].value, record.value
        assert their_value is not None
        assert our_value is not None
        assert their_value[:2] == our_value[:2], (key, their_value)
        their_image, our_image = decode(key, their_value), decode(key, our_value)
        if isinstance(their_image, GroupStored) and isinstance(our_image, GroupStored):
            for image in (their_image.image, our_image.image):
                assert image is not None
                image.current_state_timestamp = 0
            expected = plain(their_image.image, twin.theirs)
            assert plain(our_image.image, twin.ours) == expected
        else:
            assert isinstance(their_image, OffsetCommitted)
            assert isinstance(our_image, OffsetCommitted)
            assert their_image.committed is not None
            assert our_image.committed is not None
            stamped = replace(
                our_image.committed, commit_timestamp_ms=their_image.committed.commit_timestamp_ms
            )
            assert stamped == their_image.committed


def test_a_shard_takes_over_from_kafkas_log(twin: Twin) -> None:
    group = GroupId("taken_over")
    script = Script(twin, group)
    script.stable_pair()
    script.commit(5, member="<b>", generation=2)
    shard = GroupShard(twin.driver.config, twin.driver.cluster)
    for record in kafkas_log(twin.port):
        shard.apply(record.key, record.value)
    shard.load(twin.driver.now_ms)
    taken_over = shard.state.groups[group]
    assert taken_over.state is GroupState.STABLE
    assert taken_over.leader_id == twin.theirs["a"]
    assert taken_over.members[MemberId(twin.theirs["b"])].assignment == b"B"
    assert shard.state.offsets.get(group, TopicName("t"), 0) is not None
