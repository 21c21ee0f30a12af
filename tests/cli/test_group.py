"""``datacore group``: both kinds of groups, their lag, and every strategy of a reset."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import check
from datacore.client.group_member import GroupMember
from datacore.client.group_offsets import alter_group_offsets, group_offsets
from datacore.client.producer import Producer
from datacore.client.subscription import TopicPartition
from datacore.client.topics import create_topic
from datacore.record.records import Record
from tests.cli.command import datacore
from tests.cli.conftest import Command, Target, soon


@pytest.fixture
def topic(cluster: Cluster, name: str) -> str:
    """A topic of two partitions: five records at 1000, 2000 ... ms in the first one."""
    # The records are of 1970: retention would delete them in a long run.
    create_topic(cluster, name, partitions=2, configs={"retention.ms": "-1"})
    records = [Record(timestamp_ms=n * 1000, value=b"v") for n in range(1, 6)]
    Producer(cluster, name, partition=0).write(records)
    return name


@pytest.fixture
def group(cluster: Cluster, topic: str) -> str:
    """A group without members that has read three of the five records."""
    alter_group_offsets(cluster, topic, {TopicPartition(topic, 0): 3, TopicPartition(topic, 1): 0})
    return topic


@pytest.fixture
def member(cluster: Cluster, topic: str) -> Iterator[GroupMember]:
    """A member that has joined a group of the classic protocol."""
    joined = GroupMember(cluster, topic, [topic])
    joined.join()
    yield joined
    joined.leave()


def test_the_command_itself_lists_describes_and_deletes(target: Target, group: str) -> None:
    environment = {"DATACORE_BOOTSTRAP_SERVER": target.bootstrap}
    described = datacore("group", "describe", group, environment=environment)
    assert [line.split() for line in described.lines()] == [
        ["Group", f"{group}:", "Empty,", "0", "member(s),", "2", "behind"],
        *[["TOPIC", "PARTITION", "COMMITTED", "OFFSET", "NEXT", "OFFSET", "LAG", "CLIENT", "HOST"]],
        [group, "0", "3", "5", "2", "-", "-"],
        [group, "1", "0", "0", "0", "-", "-"],
    ]
    deleted = datacore("group", "delete", group, environment=environment)
    assert (deleted.status, deleted.out) == (0, f"Deleted group {group}.\n")
    gone = datacore("group", "describe", group, environment=environment)
    assert (gone.status, gone.err.split(":")[1]) == (1, " GROUP_ID_NOT_FOUND")


@pytest.mark.usefixtures("member")
def test_keys_of_the_json_are_the_documented_ones(call: Command, topic: str) -> None:
    listed = call("group", "list", "--state", "stable", "--type", "classic", "-o", "json").json()
    assert {"group": topic, "protocol": "consumer", "state": "Stable", "type": "classic"} in listed
    lags = call("group", "describe", topic, "-o", "json").json()
    member_id, host = lags[0].pop("member"), lags[0].pop("host")
    assert lags[0] == {
        "group": topic,
        "topic": topic,
        "partition": 0,
        "committed_offset": None,
        "next_offset": 5,
        "lag": None,
        "client": "datacore",
    }
    assert call("group", "describe", topic, "--members", "-o", "json").json() == [
        {
            "group": topic,
            "member": member_id,
            "instance": None,
            "client": "datacore",
            "host": host,
            "protocol": "classic",
            "epoch": None,
            "partitions": [f"{topic}-0", f"{topic}-1"],
            "target": [f"{topic}-0", f"{topic}-1"],
        }
    ]
    (state,) = call("group", "describe", topic, "--state", "-o", "json").json()
    assert state.pop("coordinator")
    assert state == {
        "group": topic,
        "type": "classic",
        "protocol": "consumer",
        "state": "Stable",
        "assignor": "range",
        "epoch": None,
        "members": 1,
    }


def test_all_groups_are_described_one_after_the_other(
    call: Command, cluster: Cluster, group: str
) -> None:
    alter_group_offsets(cluster, f"{group}-2", {TopicPartition(group, 0): 1})
    described = call("group", "describe", "--all-groups")
    assert described.status == 0
    assert f"Group {group}: Empty, 0 member(s), " in described.out
    assert f"Group {group}-2: Empty, 0 member(s), " in described.out


def test_a_group_of_kip_848_is_described_by_the_same_command(
    call: Command, target: Target, cluster: Cluster, topic: str
) -> None:
    target.needs(ApiKey.CONSUMER_GROUP_HEARTBEAT, ApiKey.CONSUMER_GROUP_DESCRIBE)
    epoch = 0

    def members_after_a_heartbeat() -> list[dict[str, Any]]:
        """Kafka assigns at a heartbeat, once its broker has heard of the topic."""
        nonlocal epoch
        request = ConsumerGroupHeartbeatRequest(
            group_id=topic,
            member_id="m-1",
            member_epoch=epoch,
            rebalance_timeout_ms=10_000,
            subscribed_topic_names=[topic],
            topic_partitions=[],
        )
        beaten = cluster.group_coordinator(topic).send(request, ConsumerGroupHeartbeatResponse)
        check(beaten.error_code, beaten.error_message)
        epoch = beaten.member_epoch
        found = call("group", "describe", topic, "--members", "-o", "json").json()
        assert isinstance(found, list)
        return found

    both = [f"{topic}-0", f"{topic}-1"]
    assert soon(lambda: str(members_after_a_heartbeat()[0]["target"]), str(both)) == str(both)
    (member,) = call("group", "describe", topic, "--members", "-o", "json").json()
    assert (member["member"], member["protocol"], member["epoch"]) == ("m-1", "consumer", epoch)
    (state,) = call("group", "describe", topic, "--state", "-o", "json").json()
    assert (state["type"], state["assignor"], state["members"]) == ("consumer", "uniform", 1)
    refused = call("group", "reset-offsets", topic, "--topic", topic, "--to-latest", "--execute")
    assert (refused.status, "stop its members" in refused.err) == (1, True)
    leave = ConsumerGroupHeartbeatRequest(group_id=topic, member_id="m-1", member_epoch=-1)
    cluster.group_coordinator(topic).send(leave, ConsumerGroupHeartbeatResponse)


@pytest.mark.usefixtures("member")
def test_a_group_with_members_is_neither_deleted_nor_reset(call: Command, topic: str) -> None:
    deleted = call("group", "delete", topic)
    assert (deleted.status, deleted.err.split(":")[1]) == (1, " NON_EMPTY_GROUP")
    reset = call("group", "reset-offsets", topic, "--topic", topic, "--to-latest", "--execute")
    assert (reset.status, reset.err) == (
        1,
        f"Error: group {topic} is Stable: stop its members, then reset its offsets\n",
    )
    forgotten = call("group", "delete-offsets", topic, "--topic", topic)
    assert forgotten.out == f"Group {topic} has committed nothing for {topic}.\n"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (["--to-earliest"], 0),
        (["--to-latest"], 5),
        (["--to-current"], 3),
        (["--to-offset", "4"], 4),
        (["--to-offset", "99"], 5),
        (["--shift-by", "-2"], 1),
        (["--shift-by", "-9"], 0),
        (["--shift-by", "9"], 5),
        (["--to-datetime", "1970-01-01T00:00:02.500"], 2),
        (["--to-datetime", "1970-01-01T01:00:02+01:00"], 1),
        (["--to-datetime", "2000"], 1),
        (["--to-datetime", "2100-01-01T00:00:00Z"], 5),
        (["--by-duration", "PT1S"], 5),
        (["--by-duration", "P99999D"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_every_strategy_of_kafka_moves_the_offset(
    call: Command, cluster: Cluster, group: str, strategy: list[str], expected: int
) -> None:
    where = f"{group}:0"
    dry = call("group", "reset-offsets", group, "--topic", where, *strategy, "-o", "json")
    assert dry.json() == [
        {
            "group": group,
            "topic": group,
            "partition": 0,
            "old_offset": 3,
            "new_offset": expected,
        }
    ]
    assert dry.err.endswith("Nothing was changed: --execute does it.\n")
    assert group_offsets(cluster, group)[TopicPartition(group, 0)] == 3
    assert (
        call("group", "reset-offsets", group, "--topic", where, *strategy, "--execute").status == 0
    )
    assert group_offsets(cluster, group)[TopicPartition(group, 0)] == expected


def test_an_offset_outside_is_moved_to_the_nearer_end_and_said(call: Command, group: str) -> None:
    done = call("group", "reset-offsets", group, "--topic", f"{group}:0", "--to-offset", "99")
    assert f"{group}-0 has no offset 99: 5 is the nearest.\n" in done.err


def test_what_is_exported_is_what_a_file_brings_back(
    call: Command, cluster: Cluster, group: str, tmp_path: Path
) -> None:
    exported = call("group", "reset-offsets", group, "--all-topics", "--to-current", "--export")
    assert exported.out == f"{group},0,3\n{group},1,0\n"
    file = tmp_path / "offsets.csv"
    file.write_text(exported.out)
    call("group", "reset-offsets", group, "--all-topics", "--to-latest", "--execute")
    done = call("group", "reset-offsets", group, "--from-file", str(file), "--execute")
    assert done.status == 0
    assert group_offsets(cluster, group)[TopicPartition(group, 0)] == 3


def test_a_file_of_several_groups_names_them(
    call: Command, cluster: Cluster, group: str, tmp_path: Path
) -> None:
    other = f"{group}-2"
    alter_group_offsets(cluster, other, {TopicPartition(group, 0): 2})
    both = ["group", "reset-offsets", group, other]
    exported = call(*both, "--all-topics", "--to-current", "--export").out
    assert f"{other},{group},0,2\n" in exported
    file = tmp_path / "offsets.csv"
    file.write_text(f"{group},{group},0,1\n{other},{group},0,4\n")
    assert call(*both, "--from-file", str(file), "--execute").status == 0
    assert group_offsets(cluster, group)[TopicPartition(group, 0)] == 1
    assert group_offsets(cluster, other)[TopicPartition(group, 0)] == 4
    wrong = call("group", "reset-offsets", group, "--from-file", str(file))
    assert (wrong.status, "line 1: expected topic,partition,offset" in wrong.err) == (2, True)


def test_a_group_that_is_not_there_yet_may_be_given_offsets(
    call: Command, cluster: Cluster, topic: str
) -> None:
    new = f"{topic}-new"
    shifted = call("group", "reset-offsets", new, "--topic", topic, "--shift-by", "1")
    assert (shifted.status, "nothing to shift" in shifted.err) == (1, True)
    done = call("group", "reset-offsets", new, "--topic", topic, "--to-latest", "--execute")
    assert done.status == 0
    assert group_offsets(cluster, new) == {
        TopicPartition(topic, 0): 5,
        TopicPartition(topic, 1): 0,
    }


def test_a_duration_ends_now(call: Command, cluster: Cluster, name: str) -> None:
    create_topic(cluster, name)
    now_ms = time.time_ns() // 1_000_000
    ages_ms = (7_200_000, 1_800_000)
    records = [Record(timestamp_ms=now_ms - age_ms, value=b"v") for age_ms in ages_ms]
    Producer(cluster, name).write(records)
    arguments = ["group", "reset-offsets", name, "--topic", name, "--by-duration"]
    assert call(*arguments, "PT1H", "-o", "json").json()[0]["new_offset"] == 1
    assert call(*arguments, "PT3H", "-o", "json").json()[0]["new_offset"] == 0


def test_offsets_are_forgotten_topic_by_topic(call: Command, cluster: Cluster, group: str) -> None:
    done = call("group", "delete-offsets", group, "--topic", f"{group}:1", "--topic", "other")
    assert done.lines() == [
        f"Deleted offsets of {group}-1 from group {group}.",
        f"Group {group} has committed nothing for other.",
    ]
    assert group_offsets(cluster, group) == {TopicPartition(group, 0): 3}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["g", "--to-earliest"],
        ["g", "--topic", "t"],
        ["g", "--topic", "t", "--to-earliest", "--to-latest"],
        ["g", "--topic", "t", "--all-topics", "--to-latest"],
        ["g", "--all-groups", "--all-topics", "--to-latest"],
        ["g", "--topic", "t", "--to-latest", "--execute", "--dry-run"],
        ["g", "--topic", "t:x", "--to-latest"],
        ["g", "--topic", "t", "--from-file", __file__],
        ["g", "--from-file", "/no/such/file"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_a_reset_is_status_2(call: Command, arguments: list[str]) -> None:
    done = call("group", "reset-offsets", *arguments)
    assert (done.status, "Error: " in done.err) == (2, True)


def test_durations_and_dates_that_are_none_are_status_2(call: Command, group: str) -> None:
    reset = ["group", "reset-offsets", group, "--topic", group]
    for strategy in (["--by-duration", "1h"], ["--by-duration", "P"], ["--to-datetime", "soon"]):
        assert call(*reset, *strategy).status == 2
