"""The cluster as the records of ``__cluster_metadata`` tell it.

``apply`` is the only writer, at start (replay) as later; readers hold no copy. Kafka's counterpart
is ``MetadataImage``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from datacore._generated.records.client_quota_record import ClientQuotaRecord
from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.feature_level_record import FeatureLevelRecord
from datacore._generated.records.partition_record import PartitionRecord
from datacore._generated.records.producer_ids_record import ProducerIdsRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore.metadata.quotas import Entity
    from datacore.metadata.records import MetadataRecord

RESOURCE_TOPIC = 2
RESOURCE_BROKER = 4
RESOURCE_BROKER_LOGGER = 8
RESOURCE_CLIENT_METRICS = 16
RESOURCE_GROUP = 32
"""ConfigResource types as records and requests number them."""


@dataclass(slots=True)
class PartitionImage:
    """One partition: who leads it, in which epoch."""

    index: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    isr: list[int]


@dataclass(slots=True)
class TopicImage:
    """One topic and its partitions, by index."""

    name: TopicName
    topic_id: TopicId
    partitions: dict[int, PartitionImage] = field(default_factory=dict)


@dataclass(slots=True)
class ClusterImage:
    """All that is known of the cluster."""

    topics: dict[TopicName, TopicImage] = field(default_factory=dict)
    topics_by_id: dict[TopicId, TopicImage] = field(default_factory=dict)
    configs: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    """Values that were set, by (resource type, resource name)."""
    topics_version: int = 0
    """Moves with each change of the topics, so that others need not look for one."""
    client_quotas: dict[Entity, dict[str, float]] = field(default_factory=dict)
    """Limits by key, of each entity that has one."""
    feature_levels: dict[str, int] = field(default_factory=dict)
    """Of features that were set to another level than the one they begin with."""
    next_producer_id: int = 0
    removed_topic_ids: set[TopicId] = field(default_factory=set)
    """Of topics that were deleted, and of whose logs something may be left, which may go."""

    def apply(self, record: MetadataRecord) -> None:
        """Takes one record in."""
        match record:
            case TopicRecord():
                if TopicId(record.topic_id) in self.topics_by_id:
                    return  # of an image that was written behind the changes that made it
                topic = TopicImage(TopicName(record.name), TopicId(record.topic_id))
                self.topics[topic.name] = topic
                self.topics_by_id[topic.topic_id] = topic
                self.topics_version += 1
            case PartitionRecord():
                partition = PartitionImage(
                    record.partition_id,
                    record.leader,
                    record.leader_epoch,
                    record.replicas,
                    record.isr,
                )
                topic = self.topics_by_id[TopicId(record.topic_id)]
                topic.partitions[partition.index] = partition
                self.topics_version += 1
            case RemoveTopicRecord():
                self._remove_topic(TopicId(record.topic_id))
            case ConfigRecord():
                self._set_config(record)
            case ClientQuotaRecord():
                self._set_quota(record)
            case FeatureLevelRecord():
                self.feature_levels[record.name] = record.feature_level
            case ProducerIdsRecord():
                self.next_producer_id = record.next_producer_id
            case _:
                assert_never(record)

    def group_configs(self, group_id: str) -> Mapping[str, str]:
        """What was set for a group."""
        return self.configs.get((RESOURCE_GROUP, group_id), {})

    def _remove_topic(self, topic_id: TopicId) -> None:
        self.removed_topic_ids.add(topic_id)
        topic = self.topics_by_id.pop(topic_id, None)
        if topic is None:
            return  # of an image that was written when it had gone already
        del self.topics[topic.name]
        self.topics_version += 1
        self.configs.pop((RESOURCE_TOPIC, topic.name), None)

    def _set_config(self, record: ConfigRecord) -> None:
        resource = (record.resource_type, record.resource_name)
        if record.value is None:
            values = self.configs.get(resource, {})
            values.pop(record.name, None)
            if not values:
                self.configs.pop(resource, None)
        else:
            self.configs.setdefault(resource, {})[record.name] = record.value

    def _set_quota(self, record: ClientQuotaRecord) -> None:
        entity = tuple(sorted((each.entity_type, each.entity_name) for each in record.entity))
        if record.remove:
            limits = self.client_quotas.get(entity, {})
            limits.pop(record.key, None)
            if not limits:
                self.client_quotas.pop(entity, None)
        else:
            self.client_quotas.setdefault(entity, {})[record.key] = record.value
