import struct

import pytest

from datacore._generated.records.group_metadata import GroupMetadataValue, MemberMetadata
from datacore.coordinator.group import records
from datacore.coordinator.group.offsets import CommittedOffset
from datacore.coordinator.group.records import GroupStored, OffsetCommitted
from datacore.protocol.names import GroupId, TopicName
from datacore.wire.errors import DecodeError

GROUP = GroupId("group")
TOPIC = TopicName("topic")


def string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def data(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def test_an_offset_commit_is_stored_as_kafka_stores_it() -> None:
    committed = CommittedOffset(
        offset=42, leader_epoch=7, metadata="note", commit_timestamp_ms=1_700_000_000_000
    )
    record = records.offset_commit_record(GROUP, TOPIC, 3, committed)
    assert record.key == b"\0\1" + string("group") + string("topic") + struct.pack(">i", 3)
    note = b"\5note"
    timestamp = struct.pack(">q", 1_700_000_000_000)
    assert record.value == b"\0\4" + struct.pack(">qi", 42, 7) + note + timestamp + b"\0"


def test_a_commit_with_its_own_retention_is_stored_in_version_1() -> None:
    committed = CommittedOffset(
        offset=42, leader_epoch=7, metadata="", commit_timestamp_ms=10, expire_timestamp_ms=20
    )
    record = records.offset_commit_record(GROUP, TOPIC, 3, committed)
    assert record.value == b"\0\1" + struct.pack(">q", 42) + string("") + struct.pack(">qq", 10, 20)


def test_a_group_is_stored_as_kafka_stores_it() -> None:
    image = GroupMetadataValue(
        protocol_type="consumer",
        generation=5,
        protocol="range",
        leader="m1",
        current_state_timestamp=99,
        members=[
            MemberMetadata(
                member_id="m1",
                group_instance_id=None,
                client_id="c",
                client_host="/h",
                rebalance_timeout=300,
                session_timeout=100,
                subscription=b"sub",
                assignment=b"assigned",
            )
        ],
    )
    record = records.group_metadata_record(GROUP, image)
    assert record.key == b"\0\2" + string("group")
    assert record.value == b"".join(
        [
            b"\0\3",
            string("consumer"),
            struct.pack(">i", 5),
            string("range"),
            string("m1"),
            struct.pack(">q", 99),
            struct.pack(">i", 1),
            string("m1"),
            struct.pack(">h", -1),
            string("c"),
            string("/h"),
            struct.pack(">ii", 300, 100),
            data(b"sub"),
            data(b"assigned"),
        ]
    )


@pytest.mark.parametrize("record_type", [0, 1])
@pytest.mark.parametrize("expires_at_ms", [None, 77])
def test_offset_commits_of_both_record_types_are_read(
    record_type: int, expires_at_ms: int | None
) -> None:
    committed = CommittedOffset(
        offset=1,
        leader_epoch=-1,
        metadata="m",
        commit_timestamp_ms=2,
        expire_timestamp_ms=expires_at_ms,
    )
    record = records.offset_commit_record(GROUP, TOPIC, 3, committed)
    key = struct.pack(">h", record_type) + record.key[2:]
    assert records.decode(key, record.value) == OffsetCommitted(GROUP, TOPIC, 3, committed)


def test_views_are_read_like_bytes() -> None:
    record = records.group_metadata_record(GROUP, GroupMetadataValue(protocol_type="connect"))
    assert record.value is not None
    stored = records.decode(memoryview(record.key), memoryview(record.value))
    assert isinstance(stored, GroupStored)
    assert stored.image is not None
    assert stored.image.protocol_type == "connect"


def test_tombstones_are_read_as_the_end() -> None:
    offset = records.offset_commit_tombstone(GROUP, TOPIC, 3)
    group = records.group_metadata_tombstone(GROUP)
    assert offset.value is None
    assert records.decode(*offset) == OffsetCommitted(GROUP, TOPIC, 3, None)
    assert records.decode(*group) == GroupStored(GROUP, None)


@pytest.mark.parametrize("record_type", [3, 16, 23, 30_000, -1])
def test_other_record_types_are_nothing(record_type: int) -> None:
    assert records.decode(struct.pack(">h", record_type) + b"anything", b"\0\0") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b""),
        (b"\0", None),
        (b"\0\1\0\5ab", None),
        (b"\0\2" + string("group"), b""),
        (b"\0\2" + string("group"), b"\0\3\0"),
        (b"\0\2" + string("group"), b"\0\x63" + bytes(50)),
        (b"\0\2" + string("group"), b"\xff\xff" + bytes(50)),
    ],
)
def test_a_record_that_does_not_parse_is_an_error(key: bytes, value: bytes | None) -> None:
    with pytest.raises(DecodeError):
        records.decode(key, value)
