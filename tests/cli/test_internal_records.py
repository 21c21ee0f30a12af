"""``consume --decode``: what coordinators have written down."""

import msgspec
import pytest

from datacore._generated.api_keys import ApiKey
from datacore.cli.internal_records import internal_writer
from datacore.client.cluster import Cluster
from datacore.client.consumer import Received
from datacore.client.group_member import GroupMember
from datacore.client.group_offsets import alter_group_offsets
from datacore.client.subscription import TopicPartition
from datacore.client.topics import create_topic
from datacore.record.records import Record
from tests.cli.conftest import Command, Target
from tests.cli.transactional import TransactionalProducer


@pytest.fixture
def topic(cluster: Cluster, name: str) -> str:
    create_topic(cluster, name)
    return name


def decoded(call: Command, internal_topic: str, name: str) -> list[dict[str, object]]:
    """Records of an internal topic that have to do with something of that name, in order."""
    done = call("consume", internal_topic, "--decode", "--from-beginning", "--until-end")
    assert done.status == 0, done.err
    return [msgspec.json.decode(line) for line in done.lines() if name in line]


def test_commits_and_groups_are_shown(call: Command, cluster: Cluster, topic: str) -> None:
    member = GroupMember(cluster, topic, [topic])
    member.join()
    member.leave()
    alter_group_offsets(cluster, topic, {TopicPartition(topic, 0): 7})
    records = decoded(call, "__consumer_offsets", topic)
    commit = records[-1]
    assert commit["type"] == "offset_commit"
    assert commit["key"] == {"group": topic, "topic": topic, "partition": 0}
    value = commit["value"]
    assert isinstance(value, dict)
    assert (value["offset"], value["metadata"]) == (7, "")
    groups = [each for each in records if each["type"] == "group_metadata"]
    assert {msgspec.json.encode(each["key"]) for each in groups} == {
        msgspec.json.encode({"group": topic})
    }
    values = [each["value"] for each in groups if isinstance(each["value"], dict)]
    assert "consumer" in {value["protocol_type"] for value in values}


def test_transactions_are_shown(
    call: Command, target: Target, cluster: Cluster, topic: str
) -> None:
    target.needs(ApiKey.END_TXN)
    TransactionalProducer(cluster, topic)
    (begun, *_) = decoded(call, "__transaction_state", topic)
    assert (begun["type"], begun["key"]) == ("transaction_log", {"transactional_id": topic})
    assert isinstance(begun["value"], dict)
    assert begun["value"]["transaction_timeout_ms"] == 60_000


def test_only_internal_topics_are_decoded(call: Command, topic: str) -> None:
    done = call("consume", topic, "--decode", "--until-end")
    assert (done.status, "--decode: expected __consumer_offsets or" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        (b"\x7f\x7fnew", b"\x00\x00", None),
        (b"", b"", None),
        (None, None, None),
        (b"\x00\x01\x00\x01", b"\x00\x00", "OffsetCommitKey"),
        (b"\x00\x01\x00\x01g\x00\x01t\x00\x00\x00\x00", b"\x63\x00", "has no version"),
        (b"\x00\x01\x00\x01g\x00\x01t\x00\x00\x00\x00", b"\x00", "have no version"),
    ],
)
def test_what_does_not_decode_is_shown_as_bytes(
    key: bytes | None, value: bytes | None, problem: str | None
) -> None:
    where = TopicPartition("__consumer_offsets", 0)
    line = internal_writer()(Received(where, Record(key=key, value=value)))
    shown = msgspec.json.decode(line)
    assert (problem or "") in shown.get("problem", "")
    assert ("problem" in shown) == (problem is not None)
    assert not isinstance(shown["value"], dict) or "base64" in shown["value"]


def test_a_tombstone_has_a_key_and_no_value() -> None:
    key = b"\x00\x01\x00\x01g\x00\x01t\x00\x00\x00\x00"
    where = TopicPartition("__consumer_offsets", 0)
    line = internal_writer()(Received(where, Record(key=key, value=None)))
    shown = msgspec.json.decode(line)
    assert shown["key"] == {"group": "g", "topic": "t", "partition": 0}
    assert (shown["value"], shown["value_version"]) == (None, None)
