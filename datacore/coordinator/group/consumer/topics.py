"""What a shard may see of the cluster: its topics, and what operators set for a group.

The view is alive and read only: it shows the cluster as of the call. ``topics_version`` moves with
each change of the topics, so that a group looks at its subscriptions again when, and only when,
something may have changed. Kafka's counterpart is the ``MetadataImage`` that its coordinator holds.
"""

from collections.abc import Mapping, Sized
from typing import Protocol

from datacore.protocol.names import GroupId, TopicId, TopicName


class Topic(Protocol):
    """One topic."""

    @property
    def name(self) -> TopicName:
        """Its name."""
        ...

    @property
    def topic_id(self) -> TopicId:
        """Its id, which no later topic of that name has."""
        ...

    @property
    def partitions(self) -> Sized:
        """Its partitions, which are numbered from 0 on."""
        ...


class ClusterView(Protocol):
    """The cluster."""

    @property
    def topics(self) -> Mapping[TopicName, Topic]:
        """Topics by name."""
        ...

    @property
    def topics_by_id(self) -> Mapping[TopicId, Topic]:
        """Topics by id."""
        ...

    @property
    def topics_version(self) -> int:
        """Moves with each change of the topics."""
        ...

    def group_configs(self, group_id: GroupId) -> Mapping[str, str]:
        """What was set for a group, by the names of Kafka's group configs."""
        ...
