"""Records of __consumer_offsets that classic groups and offsets need, in Kafka's stored format.

A key is an int16 record type and a body of version 0; a value is an int16 version and its body.
Written are the versions that Kafka 4.1 writes: OffsetCommitValue 4 (1 where a client asked for a
retention of its own, which only that version can hold) and GroupMetadataValue 3. Read is every
version. Other record types are not an error to a reader: ``decode`` gives back None. Those of
consumer groups are read by consumer/replay.py.

Kafka's counterparts are ``GroupCoordinatorRecordHelpers`` and ``GroupCoordinatorRecordSerde``.
"""

import struct
from dataclasses import dataclass

from datacore._generated.records.group_metadata import GroupMetadataKey, GroupMetadataValue
from datacore._generated.records.offset_commit import OffsetCommitKey, OffsetCommitValue
from datacore.coordinator.group.offsets import CommittedOffset
from datacore.coordinator.outcome import Record
from datacore.protocol.names import GroupId, TopicName
from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError

LEGACY_OFFSET_COMMIT_TYPE = 0
OFFSET_COMMIT_TYPE = 1
GROUP_METADATA_TYPE = 2
KEY_VERSION = 0

OFFSET_COMMIT_VALUE_VERSION = 4
OFFSET_COMMIT_VALUE_WITH_EXPIRY_VERSION = 1
GROUP_METADATA_VALUE_VERSION = 3

_NO_TIMESTAMP = -1
_INT16 = struct.Struct(">h")


@dataclass(frozen=True, slots=True)
class OffsetCommitted:
    """A commit, or (None) that one was dropped."""

    group_id: GroupId
    topic: TopicName
    partition: int
    committed: CommittedOffset | None


@dataclass(frozen=True, slots=True)
class GroupStored:
    """A classic group as of its last generation, or (None) that it was dropped."""

    group_id: GroupId
    image: GroupMetadataValue | None


def offset_commit_record(
    group_id: GroupId, topic: TopicName, partition: int, committed: CommittedOffset
) -> Record:
    """A commit."""
    expires_at_ms = committed.expire_timestamp_ms
    if expires_at_ms is None:
        version, expires_at_ms = OFFSET_COMMIT_VALUE_VERSION, _NO_TIMESTAMP
    else:
        version = OFFSET_COMMIT_VALUE_WITH_EXPIRY_VERSION
    value = OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.commit_timestamp_ms,
        expire_timestamp=expires_at_ms,
    )
    return Record(
        _offset_commit_key(group_id, topic, partition), _INT16.pack(version) + value.encode(version)
    )


def offset_commit_tombstone(group_id: GroupId, topic: TopicName, partition: int) -> Record:
    """The end of a commit."""
    return Record(_offset_commit_key(group_id, topic, partition), None)


def group_metadata_record(group_id: GroupId, image: GroupMetadataValue) -> Record:
    """A classic group."""
    version = GROUP_METADATA_VALUE_VERSION
    return Record(_group_metadata_key(group_id), _INT16.pack(version) + image.encode(version))


def group_metadata_tombstone(group_id: GroupId) -> Record:
    """The end of a group."""
    return Record(_group_metadata_key(group_id), None)


def decode(key: Buffer, value: Buffer | None) -> OffsetCommitted | GroupStored | None:
    """Reads one record of the log.

    Returns:
        What it says, or None for a record type that is not known here.

    Raises:
        DecodeError: A record of a known type does not parse.
    """
    match _int16(key):
        case 0 | 1:
            return _decode_offset_commit(key, value)
        case 2:
            group_key, _ = GroupMetadataKey.decode(key, KEY_VERSION, _INT16.size)
            group_id = GroupId(group_key.group)
            if value is None:
                return GroupStored(group_id, None)
            version = _value_version(value, GroupMetadataValue.max_version)
            image, _ = GroupMetadataValue.decode(value, version, _INT16.size)
            return GroupStored(group_id, image)
        case _:
            return None


def _decode_offset_commit(key: Buffer, value: Buffer | None) -> OffsetCommitted:
    commit_key, _ = OffsetCommitKey.decode(key, KEY_VERSION, _INT16.size)
    committed = None
    if value is not None:
        version = _value_version(value, OffsetCommitValue.max_version)
        stored, _ = OffsetCommitValue.decode(value, version, _INT16.size)
        committed = CommittedOffset(
            offset=stored.offset,
            leader_epoch=stored.leader_epoch,
            metadata=stored.metadata,
            commit_timestamp_ms=stored.commit_timestamp,
            expire_timestamp_ms=None
            if stored.expire_timestamp == _NO_TIMESTAMP
            else stored.expire_timestamp,
        )
    return OffsetCommitted(
        GroupId(commit_key.group), TopicName(commit_key.topic), commit_key.partition, committed
    )


def _offset_commit_key(group_id: GroupId, topic: TopicName, partition: int) -> bytes:
    key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
    return _INT16.pack(OFFSET_COMMIT_TYPE) + key.encode(KEY_VERSION)


def _group_metadata_key(group_id: GroupId) -> bytes:
    return _INT16.pack(GROUP_METADATA_TYPE) + GroupMetadataKey(group=group_id).encode(KEY_VERSION)


def _int16(data: Buffer) -> int:
    if len(data) < _INT16.size:
        raise DecodeError("a coordinator record is shorter than its int16 type or version")
    number: int = _INT16.unpack_from(data)[0]
    return number


def _value_version(value: Buffer, max_version: int) -> int:
    version = _int16(value)
    if not 0 <= version <= max_version:
        raise DecodeError(f"a coordinator record has value version {version}, above {max_version}")
    return version
