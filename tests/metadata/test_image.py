from __future__ import annotations

import pytest

from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.partition_record import PartitionRecord
from datacore._generated.records.producer_ids_record import ProducerIdsRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord
from datacore.metadata.image import RESOURCE_TOPIC, ClusterImage
from datacore.metadata.records import MetadataRecord, decode_record, encode_record
from datacore.protocol.names import TopicId, TopicName
from datacore.wire.errors import DecodeError

ORDERS_ID = bytes(range(16))
HISTORY: list[MetadataRecord] = [
    TopicRecord(name="orders", topic_id=ORDERS_ID),
    ConfigRecord(
        resource_type=RESOURCE_TOPIC, resource_name="orders", name="retention.ms", value="5"
    ),
    PartitionRecord(
        partition_id=0, topic_id=ORDERS_ID, replicas=[1], isr=[1], leader=1, directories=[bytes(16)]
    ),
    ProducerIdsRecord(broker_id=1, next_producer_id=1000),
]


def replayed(records: list[MetadataRecord]) -> ClusterImage:
    image = ClusterImage()
    for record in records:
        image.apply(decode_record(encode_record(record)))
    return image


def test_replay_of_the_log_gives_the_cluster_back() -> None:
    image = replayed(HISTORY)
    topic = image.topics[TopicName("orders")]
    assert image.topics_by_id[TopicId(ORDERS_ID)] is topic
    assert topic.partitions[0].leader == 1
    assert image.configs[RESOURCE_TOPIC, "orders"] == {"retention.ms": "5"}
    assert image.next_producer_id == 1000


def test_a_removed_topic_takes_its_configs_along() -> None:
    image = replayed([*HISTORY, RemoveTopicRecord(topic_id=ORDERS_ID)])
    assert (image.topics, image.topics_by_id, image.configs) == ({}, {}, {})


def test_a_config_without_value_is_no_longer_set() -> None:
    gone = ConfigRecord(
        resource_type=RESOURCE_TOPIC, resource_name="orders", name="retention.ms", value=None
    )
    assert replayed([*HISTORY, gone]).configs == {}


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x02\x02\x00", b"\x01\x7e\x00", b"\x01\x02\x63"])
def test_what_is_no_known_record_stops_the_replay(value: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_record(value)
