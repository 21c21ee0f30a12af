"""What a group's members subscribe to, as topics that exist.

A group's epoch must move when its topics change: it keeps a hash of their names, ids and numbers
of partitions, as of its last look. The hash is this coordinator's own; one that finds another's in
the log starts one rebalance too many, no more.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from struct import pack, unpack

from datacore.coordinator.group.consumer.group import ConsumerGroup, ResolvedRegex, topics_of
from datacore.coordinator.group.consumer.member import ConsumerMember
from datacore.coordinator.group.consumer.records import regex_record, regex_tombstone
from datacore.coordinator.group.consumer.regex import matching_topics
from datacore.coordinator.group.consumer.topics import ClusterView, Topic
from datacore.coordinator.outcome import Record
from datacore.protocol.names import TopicId, TopicName

NO_TOPICS_HASH = 0
"""Kafka's for a group without topics that exist."""


def resolve_regexes(
    group: ConsumerGroup,
    members: Iterable[ConsumerMember],
    cluster: ClusterView,
    now_ms: int,
    *,
    has_topics_changed: bool,
) -> tuple[dict[str, ResolvedRegex], list[Record]]:
    """Looks up what is not known yet, or may have changed, and drops what nobody uses.

    Returns:
        The group's regular expressions as they will be, and the records that lead there.

    Raises:
        KafkaError: INVALID_REGULAR_EXPRESSION.
    """
    used = {member.topic_regex for member in members if member.topic_regex}
    found: dict[str, ResolvedRegex] = {}
    records: list[Record] = []
    for regex in sorted(used):
        before = group.regexes.get(regex)
        if before is not None and not has_topics_changed:
            found[regex] = before
            continue
        topics = matching_topics(regex, cluster.topics)
        if before is not None and before.topics == topics:
            found[regex] = before
            continue
        resolved = ResolvedRegex(topics, cluster.topics_version, now_ms)
        found[regex] = resolved
        records.append(regex_record(group.group_id, regex, resolved))
    records += [
        regex_tombstone(group.group_id, regex) for regex in sorted(group.regexes.keys() - used)
    ]
    return found, records


def existing_topics(
    member: ConsumerMember, regexes: Mapping[str, ResolvedRegex], cluster: ClusterView
) -> frozenset[TopicId]:
    """Ids of the topics that a member subscribes to and that are there."""
    topics = cluster.topics
    return frozenset(
        topic.topic_id
        for name in topics_of(member, regexes)
        if (topic := topics.get(TopicName(name))) is not None
    )


def subscribed_topics_hash(
    members: Iterable[ConsumerMember],
    regexes: Mapping[str, ResolvedRegex],
    cluster: ClusterView,
) -> int:
    """``metadata_hash`` of all topics that these members subscribe to."""
    names: set[str] = set()
    for member in members:
        names.update(topics_of(member, regexes))
    found = (cluster.topics.get(TopicName(name)) for name in names)
    return metadata_hash(topic for topic in found if topic is not None)


def metadata_hash(topics: Iterable[Topic]) -> int:
    """A number that changes when one of the topics does, as an int64.

    Kafka's hash holds the racks of the replicas' brokers, too: a broker that comes back in another
    rack raises the epochs of its groups there. No assignor of Kafka 4.1 looks at racks, so the
    target stays as it was, and here the epoch does.
    """
    hasher = blake2b(digest_size=8)
    is_empty = True
    for topic in sorted(topics, key=lambda topic: topic.name):
        is_empty = False
        name = topic.name.encode()
        hasher.update(pack(">I", len(name)) + name + topic.topic_id)
        hasher.update(pack(">I", len(topic.partitions)))
    if is_empty:
        return NO_TOPICS_HASH
    number: int = unpack(">q", hasher.digest())[0]
    return number
