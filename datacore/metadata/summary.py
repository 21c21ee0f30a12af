"""The cluster's image as the records that make it, so that those before them can go.

Rules: replayed on nothing, they give the image; replayed on the image that they were made of, or
stopped anywhere on the way there, they change nothing. Kafka's counterpart is
``MetadataImage.write``, which fills a snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.records.client_quota_record import ClientQuotaRecord, EntityData
from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.feature_level_record import FeatureLevelRecord
from datacore._generated.records.partition_record import PartitionRecord
from datacore._generated.records.producer_ids_record import ProducerIdsRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.metadata.image import ClusterImage, PartitionImage
    from datacore.metadata.records import MetadataRecord
    from datacore.protocol.names import TopicId

_NO_DIRECTORY = bytes(16)
_NO_BROKER = -1


def partition_record(topic_id: TopicId, partition: PartitionImage) -> PartitionRecord:
    """The record that makes a partition what it is."""
    return PartitionRecord(
        partition_id=partition.index,
        topic_id=topic_id,
        replicas=partition.replicas,
        isr=partition.isr,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch,
        directories=[_NO_DIRECTORY] * len(partition.replicas),
    )


def image_records(image: ClusterImage) -> Iterator[MetadataRecord]:
    """All that is known of the cluster."""
    for name, level in image.feature_levels.items():
        yield FeatureLevelRecord(name=name, feature_level=level)
    for topic_id in image.removed_topic_ids:
        yield RemoveTopicRecord(topic_id=topic_id)
    for topic in image.topics.values():
        yield TopicRecord(name=topic.name, topic_id=topic.topic_id)
        for partition in topic.partitions.values():
            yield partition_record(topic.topic_id, partition)
    for (resource_type, resource_name), values in image.configs.items():
        for name, value in values.items():
            yield ConfigRecord(
                resource_type=resource_type, resource_name=resource_name, name=name, value=value
            )
    for entity, limits in image.client_quotas.items():
        parts = [EntityData(entity_type=kind, entity_name=name) for kind, name in entity]
        for key, limit in limits.items():
            yield ClientQuotaRecord(entity=parts, key=key, value=limit)
    if image.next_producer_id:
        yield ProducerIdsRecord(broker_id=_NO_BROKER, next_producer_id=image.next_producer_id)
