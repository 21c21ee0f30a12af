"""The image as records: what replays them has the image, however far it got before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore._generated.records.client_quota_record import ClientQuotaRecord, EntityData
from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.feature_level_record import FeatureLevelRecord
from datacore._generated.records.partition_record import PartitionRecord
from datacore._generated.records.producer_ids_record import ProducerIdsRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord
from datacore.metadata.image import RESOURCE_BROKER, RESOURCE_TOPIC, ClusterImage
from datacore.metadata.records import MetadataRecord, decode_record, encode_record
from datacore.metadata.summary import image_records
from datacore.protocol.names import TopicId, TopicName

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from([None, "1", "2"])
USERS = st.sampled_from([None, "u", "v"])


def facts(image: ClusterImage) -> tuple[object, ...]:
    """All but how often the topics have changed."""
    return (
        image.topics,
        image.topics_by_id,
        image.configs,
        image.client_quotas,
        image.feature_levels,
        image.next_producer_id,
        image.removed_topic_ids,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[MetadataRecord]:
    """What a broker may have written: topics are made, widened and removed, others are set."""
    records: list[MetadataRecord] = []
    ids: dict[str, bytes] = {}
    widths: dict[str, int] = {}
    for step in range(draw(st.integers(0, 30))):
        name = draw(NAMES)
        match draw(st.integers(0, 5)):
            case 0 if name not in ids:
                ids[name], widths[name] = step.to_bytes(16, "big"), 0
                records.append(TopicRecord(name=name, topic_id=ids[name]))
            case 1 if name in ids:
                records.append(RemoveTopicRecord(topic_id=ids.pop(name)))
            case 2 if name in ids:
                partition = PartitionRecord(
                    partition_id=widths[name],
                    topic_id=ids[name],
                    replicas=[1],
                    isr=[1],
                    leader=1,
                    leader_epoch=step,
                    directories=[bytes(16)],
                )
                widths[name] += 1
                records.append(partition)
            case 3 if name in ids or draw(st.booleans()):
                kind = RESOURCE_TOPIC if name in ids else RESOURCE_BROKER
                value = draw(VALUES)
                config = ConfigRecord(
                    resource_type=kind, resource_name=name, name=draw(NAMES), value=value
                )
                records.append(config)
            case 4:
                entity = EntityData(entity_type="user", entity_name=draw(USERS))
                quota = ClientQuotaRecord(
                    entity=[entity], key=draw(NAMES), value=step, remove=draw(st.booleans())
                )
                records.append(quota)
            case _:
                records.append(FeatureLevelRecord(name=name, feature_level=step))
                records.append(ProducerIdsRecord(broker_id=1, next_producer_id=1000 * step))
    return records


def replay(image: ClusterImage, records: list[MetadataRecord]) -> ClusterImage:
    for record in records:
        image.apply(decode_record(encode_record(record)))
    return image


@given(histories())
def test_the_records_of_an_image_give_it_back(history: list[MetadataRecord]) -> None:
    image = replay(ClusterImage(), history)
    assert facts(replay(ClusterImage(), list(image_records(image)))) == facts(image)


@given(histories(), st.floats(0, 1))
def test_an_image_that_was_written_in_part_behind_its_changes_says_nothing_else(
    history: list[MetadataRecord], part: float
) -> None:
    image = replay(ClusterImage(), history)
    records = list(image_records(image))
    written = records[: round(part * len(records))]
    assert facts(replay(replay(ClusterImage(), history), written)) == facts(image)


@pytest.mark.parametrize("removed", [False, True])
def test_a_topic_that_was_removed_is_remembered_until_its_logs_are_gone(removed: bool) -> None:  # noqa: FBT001
    history: list[MetadataRecord] = [
        TopicRecord(name="a", topic_id=bytes(16)),
        RemoveTopicRecord(topic_id=bytes(16)),
        TopicRecord(name="a", topic_id=b"1" * 16),
    ]
    image = replay(ClusterImage(), history)
    if removed:
        image.removed_topic_ids.discard(TopicId(bytes(16)))
    again = replay(ClusterImage(), list(image_records(image)))
    assert (TopicId(bytes(16)) in again.removed_topic_ids) is not removed
    assert again.topics[TopicName("a")].topic_id == b"1" * 16
