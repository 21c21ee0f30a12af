"""OffsetFetch: what a group has committed.

Versions: up to 7 one group, from 8 several (KIP-709); null topics are all of them, from 2; 5 has
the leader epoch; 7 require_stable (KIP-447); 9 the member's id and epoch, which are
checked in a consumer group (KIP-848).

A group that is not there, and a partition without a commit, are offset -1 and no error. Unstable
is an offset that an open transaction has committed anew: who asks for stable ones alone is told so,
others get the offset before. A commit that is not durable yet is not unstable here: the answer
waits for it (see outcome.py, rule 2).
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.consumer import commits
from datacore.coordinator.group.offsets import NO_OFFSET, CommittedOffset
from datacore.coordinator.group.state import ShardState, Turn
from datacore.protocol.names import GroupId, TopicName

SEVERAL_GROUPS_FROM = 8
LEADER_EPOCH_FROM = 5

_NO_EPOCH = -1
_NOTHING = CommittedOffset(
    offset=NO_OFFSET, leader_epoch=_NO_EPOCH, metadata="", commit_timestamp_ms=-1
)


class _Topic(NamedTuple):
    name: TopicName
    partitions: Iterable[int]


def offset_fetch(turn: Turn, request: OffsetFetchRequest, context: RequestContext) -> None:
    """Handles OffsetFetch."""
    if context.api_version >= SEVERAL_GROUPS_FROM:
        is_stable = request.require_stable
        groups = [_fetch_group(turn.state, group, is_stable=is_stable) for group in request.groups]
        turn.outcome.reply(context.token, OffsetFetchResponse(groups=groups))
        return
    has_epoch = context.api_version >= LEADER_EPOCH_FROM
    group_id = GroupId(request.group_id)
    asked = None
    if request.topics is not None:
        asked = [_Topic(TopicName(t.name), t.partition_indexes) for t in request.topics]
    unstable = turn.state.pending.partitions_of(group_id) if request.require_stable else set()
    topics = [
        OffsetFetchResponseTopic(
            name=topic.name,
            partitions=[
                OffsetFetchResponsePartition(
                    partition_index=partition,
                    committed_offset=committed.offset,
                    committed_leader_epoch=committed.leader_epoch if has_epoch else _NO_EPOCH,
                    metadata=committed.metadata,
                    error_code=error_code,
                )
                for partition, committed, error_code in _look_up(
                    turn.state, group_id, topic, unstable
                )
            ],
        )
        for topic in _topics(turn.state, group_id, asked)
    ]
    turn.outcome.reply(context.token, OffsetFetchResponse(topics=topics))


def _fetch_group(
    state: ShardState, group: OffsetFetchRequestGroup, *, is_stable: bool
) -> OffsetFetchResponseGroup:
    group_id = GroupId(group.group_id)
    consumer_group = state.consumer_groups.get(group_id)
    if consumer_group is not None:
        error_code = commits.validate_fetch(consumer_group, group)
        if error_code is not ErrorCode.NONE:
            return OffsetFetchResponseGroup(group_id=group_id, error_code=error_code)
    unstable = state.pending.partitions_of(group_id) if is_stable else set()
    asked = None
    if group.topics is not None:
        asked = [_Topic(TopicName(t.name), t.partition_indexes) for t in group.topics]
    return OffsetFetchResponseGroup(
        group_id=group_id,
        topics=[
            OffsetFetchResponseTopics(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=partition,
                        committed_offset=committed.offset,
                        committed_leader_epoch=committed.leader_epoch,
                        metadata=committed.metadata,
                        error_code=error_code,
                    )
                    for partition, committed, error_code in _look_up(
                        state, group_id, topic, unstable
                    )
                ],
            )
            for topic in _topics(state, group_id, asked)
        ],
    )


def _topics(state: ShardState, group_id: GroupId, asked: list[_Topic] | None) -> Iterable[_Topic]:
    if asked is not None:
        return asked
    return [_Topic(name, found) for name, found in state.offsets.topics_of(group_id).items()]


def _look_up(
    state: ShardState,
    group_id: GroupId,
    topic: _Topic,
    unstable: Collection[tuple[TopicName, int]],
) -> Iterator[tuple[int, CommittedOffset, ErrorCode]]:
    found = state.offsets.topics_of(group_id).get(topic.name, {})
    for partition in topic.partitions:
        if (topic.name, partition) in unstable:
            yield partition, _NOTHING, ErrorCode.UNSTABLE_OFFSET_COMMIT
        else:
            yield partition, found.get(partition, _NOTHING), ErrorCode.NONE
