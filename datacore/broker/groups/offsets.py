"""Offsets of groups: committed, fetched and forgotten, of partitions that exist.

What names a partition that is not there is answered here; all else by the shard of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from datacore._generated.offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
)
from datacore.broker.groups.existing_partitions import take_unknown_partitions
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datacore._generated.offset_delete import OffsetDeleteRequest
    from datacore.broker.context import RequestContext
    from datacore.broker.shards import Shards
    from datacore.coordinator.context import RequestContext as CoordinatorContext
    from datacore.coordinator.group.shard import GroupShard
    from datacore.coordinator.outcome import Outcome
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.names import TopicName


class GroupOffsets:
    """The offsets of every group of this broker."""

    def __init__(
        self,
        shards: Shards[GroupShard],
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
    ) -> None:
        self._shards = shards
        self._logs = logs

    async def commit(
        self, context: RequestContext, request: OffsetCommitRequest
    ) -> OffsetCommitResponse:
        """Remembers offsets of partitions that exist; the others are answered one by one."""
        unknown = take_unknown_partitions(request.topics, self._logs)
        request.topics = [topic for topic in request.topics if topic.partitions]
        response = OffsetCommitResponse()
        if request.topics or not unknown:
            response = await self._shards.ask(
                request.group_id, context, lambda shard, asker: shard.offset_commit(request, asker)
            )
        answered = {topic.name: topic for topic in response.topics}
        for name, indexes in unknown.items():
            if name not in answered:
                answered[name] = OffsetCommitResponseTopic(name=name)
                response.topics.append(answered[name])
            answered[name].partitions += [
                OffsetCommitResponsePartition(
                    partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                )
                for index in indexes
            ]
        return response

    async def delete(
        self, context: RequestContext, request: OffsetDeleteRequest
    ) -> OffsetDeleteResponse:
        """Forgets offsets of topics that nobody in the group subscribes to."""
        unknown = take_unknown_partitions(request.topics, self._logs)
        request.topics = [topic for topic in request.topics if topic.partitions]
        response: OffsetDeleteResponse = await self._shards.ask(
            request.group_id, context, lambda shard, asker: shard.offset_delete(request, asker)
        )
        if response.error_code == ErrorCode.NONE:
            response.topics += [
                OffsetDeleteResponseTopic(
                    name=name,
                    partitions=[
                        OffsetDeleteResponsePartition(
                            partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                        )
                        for index in indexes
                    ],
                )
                for name, indexes in unknown.items()
            ]
        return response

    async def fetch(
        self, context: RequestContext, request: OffsetFetchRequest
    ) -> OffsetFetchResponse:
        """Offsets of one group, or of several from v8 on (KIP-709)."""
        if context.api_version < 8:
            return await self._shards.ask(
                request.group_id, context, lambda shard, asker: shard.offset_fetch(request, asker)
            )
        response = OffsetFetchResponse()
        for group in request.groups:
            single = OffsetFetchRequest(groups=[group], require_stable=request.require_stable)
            try:
                answer: OffsetFetchResponse = await self._shards.ask(
                    group.group_id, context, _offset_fetch(single)
                )
            except KafkaError as error:
                response.groups.append(
                    OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
                )
            else:
                response.groups += answer.groups
        return response


def _offset_fetch(
    request: OffsetFetchRequest,
) -> Callable[[GroupShard, CoordinatorContext], Outcome]:
    return lambda shard, asker: shard.offset_fetch(request, asker)
