"""A cluster's topics as a test says them."""

from collections.abc import Mapping
from dataclasses import dataclass

from datacore.protocol.names import TopicId, TopicName


@dataclass(frozen=True)
class FakeTopic:
    name: TopicName
    topic_id: TopicId
    partitions: range


class FakeCluster:
    """What a shard sees of the cluster."""

    def __init__(self) -> None:
        self.topics: dict[TopicName, FakeTopic] = {}
        self.topics_by_id: dict[TopicId, FakeTopic] = {}
        self.topics_version = 0
        self.configs: dict[str, dict[str, str]] = {}
        self.names: dict[TopicId, str] = {}
        """Of deleted topics too."""

    def set_topic(self, name: str, partitions: int, topic_id: bytes | None = None) -> TopicId:
        """Makes a topic, or widens it."""
        known = self.topics.get(TopicName(name))
        made = TopicId(topic_id or b"%016d" % len(self.names))
        used = known.topic_id if known is not None else made
        if used not in self.names:
            # A topic is not the one of that name that was deleted before.
            again = sum(1 for other in self.names.values() if other.partition("#")[0] == name)
            self.names[used] = f"{name}#{again}" if again else name
        topic = FakeTopic(TopicName(name), used, range(partitions))
        self.topics[topic.name] = self.topics_by_id[used] = topic
        self.topics_version += 1
        return used

    def delete_topic(self, name: str) -> None:
        topic = self.topics.pop(TopicName(name))
        del self.topics_by_id[topic.topic_id]
        self.topics_version += 1

    def group_configs(self, group_id: str) -> Mapping[str, str]:
        return self.configs.get(group_id, {})
