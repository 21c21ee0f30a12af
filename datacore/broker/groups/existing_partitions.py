"""Requests that name offsets' partitions, of which only those that exist go to a group's shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datacore.log.partition_log import PartitionLog


class _Partition(Protocol):
    partition_index: int


PartitionT = TypeVar("PartitionT", bound=_Partition)


class _Topic(Protocol[PartitionT]):
    name: str
    partitions: list[PartitionT]


def take_unknown_partitions(
    topics: Iterable[_Topic[PartitionT]],
    logs: Mapping[TopicName, Mapping[int, PartitionLog]],
) -> dict[str, list[int]]:
    """Takes partitions that do not exist out of a request's topics, which may be left empty.

    Returns:
        What was taken, by topic; also topics that do not exist, for which nothing was asked.
    """
    unknown: dict[str, list[int]] = {}
    for topic in topics:
        there = logs.get(TopicName(topic.name), {})
        missing = [p.partition_index for p in topic.partitions if p.partition_index not in there]
        if missing or not there:
            unknown.setdefault(topic.name, []).extend(missing)
            topic.partitions = [p for p in topic.partitions if p.partition_index in there]
    return unknown
