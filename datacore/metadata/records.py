"""How a record of ``__cluster_metadata`` stands in the log.

As in Kafka's own (``MetadataRecordSerde``): three unsigned varints, the frame version 1, the
record's type and its version, then the body. A record has no key.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from datacore._generated.records.client_quota_record import ClientQuotaRecord
from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.feature_level_record import FeatureLevelRecord
from datacore._generated.records.partition_record import PartitionRecord
from datacore._generated.records.producer_ids_record import ProducerIdsRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord
from datacore.wire.errors import DecodeError

MetadataRecord: TypeAlias = (
    TopicRecord
    | PartitionRecord
    | ConfigRecord
    | RemoveTopicRecord
    | ProducerIdsRecord
    | ClientQuotaRecord
    | FeatureLevelRecord
)

FRAME_VERSION: Final = 1

_VERSIONS: Final[dict[type[MetadataRecord], int]] = {
    TopicRecord: 0,
    PartitionRecord: 1,
    ConfigRecord: 0,
    FeatureLevelRecord: 0,
    RemoveTopicRecord: 0,
    ProducerIdsRecord: 0,
    ClientQuotaRecord: 0,
}
"""The version each type is written in; any version that the specs know is read."""

_TYPES: Final = {record.record_type: record for record in _VERSIONS}


def encode_record(record: MetadataRecord) -> bytes:
    """The record's value in the log."""
    version = _VERSIONS[type(record)]
    assert record.record_type < 128  # each varint of the frame is one byte
    return bytes((FRAME_VERSION, record.record_type, version)) + record.encode(version)


def decode_record(value: bytes) -> MetadataRecord:
    """What ``encode_record`` made.

    Raises:
        DecodeError: The value is not such a record, or is of a type that this broker does not
            know: going on without it would lose what a newer broker wrote.
    """
    if len(value) < 3 or value[0] != FRAME_VERSION:
        raise DecodeError("not a metadata record")
    record_type, version = value[1], value[2]
    message = _TYPES.get(record_type)
    if message is None or not message.min_version <= version <= message.max_version:
        raise DecodeError(f"metadata record type {record_type} v{version} is unknown here")
    return message.decode(value, version, 3)[0]
