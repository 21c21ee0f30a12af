"""Topics and partitions that a command is to work on, by pattern or by ``TOPIC:0,1``."""

import re
from collections.abc import Collection, Sequence

from datacore._generated.metadata import MetadataResponseTopic
from datacore.cli.failure import Mistake
from datacore.cli.wording import topic_and_partitions
from datacore.client.cluster import Cluster
from datacore.client.errors import ClientError
from datacore.client.subscription import TopicPartition
from datacore.client.topics import describe_topics, list_topics


def matching_topics(
    cluster: Cluster, option: str, pattern: str | None, *, internal: bool = False
) -> list[MetadataResponseTopic]:
    """Topics whose whole name matches, by name.

    Args:
        cluster: Where they are.
        option: What a mistake in the pattern is blamed on.
        pattern: A regular expression; None matches all.
        internal: Whether those count that brokers keep for themselves.

    Raises:
        Mistake: It is no regular expression.
    """
    try:
        compiled = re.compile(".*" if pattern is None else pattern)
    except re.error as error:
        raise Mistake(f"{option}: expected a regular expression: {error}") from None
    return [
        each
        for each in list_topics(cluster)
        if (internal or not each.is_internal) and compiled.fullmatch(each.name or "")
    ]


def chosen_partitions(
    cluster: Cluster,
    topics: Sequence[str],
    *,
    partitions: Collection[int] = (),
    internal: bool = False,
) -> list[TopicPartition]:
    """The partitions that the options name, in order.

    Args:
        cluster: Where they are.
        topics: ``TOPIC`` or ``TOPIC:0,1`` each; none means all topics.
        partitions: Numbers that are meant where a topic names none itself.
        internal: Whether all topics are also those that brokers keep for themselves.

    Raises:
        Mistake: An option is not written like that.
        KafkaError: A topic does not exist.
        ClientError: A topic has no such partition.
    """
    if not topics:
        return sorted(
            TopicPartition(each.name or "", partition.partition_index)
            for each in matching_topics(cluster, "", None, internal=internal)
            for partition in each.partitions
        )
    named: dict[str, set[int] | None] = {}
    for text in topics:
        name, numbers = topic_and_partitions("--topic", text)
        chosen = set(numbers or partitions) or None
        before = named.get(name, set())
        named[name] = None if chosen is None or before is None else before | chosen
    found: set[TopicPartition] = set()
    for each in describe_topics(cluster, list(named)):
        name = each.name or ""
        there = {partition.partition_index for partition in each.partitions}
        wanted = named[name] or there
        if missing := wanted - there:
            raise ClientError(f"topic {name} has no partition {min(missing)}: it has {len(there)}")
        found |= {TopicPartition(name, number) for number in wanted}
    return sorted(found)
