"""Consumer groups and their offsets: which shard answers, and the topic that remembers.

A group belongs to one partition of ``__consumer_offsets``, by the hash of its id as Kafka has it.
The topic is made when the first client looks for a coordinator.
"""

from __future__ import annotations

import logging
import uuid
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, TypeAlias

from datacore._generated.consumer_group_describe import ConsumerGroupDescribeResponse
from datacore._generated.consumer_group_describe import DescribedGroup as DescribedConsumerGroup
from datacore._generated.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListGroupsResponse
from datacore.broker.groups.config import group_config
from datacore.broker.shards import Shards
from datacore.broker.topics import OFFSETS_TOPIC, NewTopic
from datacore.coordinator.group.shard import GroupShard
from datacore.metadata.configs import broker_int
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from datacore._generated.consumer_group_describe import ConsumerGroupDescribeRequest
    from datacore._generated.consumer_group_heartbeat import (
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
    )
    from datacore._generated.delete_groups import DeleteGroupsRequest
    from datacore._generated.describe_groups import DescribeGroupsRequest
    from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
    from datacore._generated.join_group import JoinGroupRequest, JoinGroupResponse
    from datacore._generated.leave_group import LeaveGroupRequest, LeaveGroupResponse
    from datacore._generated.list_groups import ListGroupsRequest
    from datacore._generated.sync_group import SyncGroupRequest, SyncGroupResponse
    from datacore.broker.context import RequestContext
    from datacore.broker.runtime import ResponseT
    from datacore.broker.topics import Topics
    from datacore.coordinator.context import RequestContext as CoordinatorContext
    from datacore.coordinator.group.consumer.topics import ClusterView
    from datacore.coordinator.outcome import Outcome
    from datacore.log.partition_log import PartitionLog
    from datacore.metadata.image import TopicImage
    from datacore.protocol.names import TopicName
    from datacore.storage.pending import Pending

    Answers: TypeAlias = AsyncIterator[tuple[list[str], ResponseT | ErrorCode]]
    Handle: TypeAlias = Callable[[GroupShard, CoordinatorContext], Outcome]

logger = logging.getLogger("datacore.broker.groups")

_TOPIC_CONFIGS = {
    "cleanup.policy": "compact",
    "compression.type": "producer",
    "segment.bytes": str(100 << 20),
}


class Groups:
    """Every group of this broker.

    Attributes:
        shards: Of all groups and their offsets.
    """

    def __init__(
        self,
        topics: Topics,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
        cluster: ClusterView,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        config = group_config(broker_values)
        partitions = broker_int("offsets.topic.num.partitions", broker_values)
        self.shards: Shards[GroupShard] = Shards(
            NewTopic(OFFSETS_TOPIC, partitions, 1, configs=_TOPIC_CONFIGS),
            topics,
            logs,
            lambda: GroupShard(config, cluster),
            now_ms,
            spawn,
            logger,
        )

    def forget_topic(self, topic: TopicImage) -> None:
        """Drops every group's offsets of a topic that is no more; with their own topic, all."""
        if topic.name == OFFSETS_TOPIC:
            self.shards.forget_topic()
            return
        partitions = [(topic.name, index) for index in topic.partitions]
        for shard in self.shards:
            shard.perform(lambda machine, now_ms: machine.partitions_deleted(partitions, now_ms))

    # --- one group

    def join(
        self, context: RequestContext, request: JoinGroupRequest
    ) -> Pending[JoinGroupResponse]:
        """Enters a member into a group's next generation."""
        fresh_id = str(uuid.uuid4())
        return self.shards.ask(
            request.group_id,
            context,
            lambda shard, asker: shard.join_group(request, asker, fresh_id),
        )

    def sync(
        self, context: RequestContext, request: SyncGroupRequest
    ) -> Pending[SyncGroupResponse]:
        """Hands a member its assignment, once the leader has sent it."""
        return self.shards.ask(
            request.group_id, context, lambda shard, asker: shard.sync_group(request, asker)
        )

    def heartbeat(
        self, context: RequestContext, request: HeartbeatRequest
    ) -> Pending[HeartbeatResponse]:
        """Keeps a member alive and tells it of rebalances."""
        return self.shards.ask(
            request.group_id, context, lambda shard, asker: shard.heartbeat(request, asker)
        )

    def leave(
        self, context: RequestContext, request: LeaveGroupRequest
    ) -> Pending[LeaveGroupResponse]:
        """Takes members out of a group."""
        return self.shards.ask(
            request.group_id, context, lambda shard, asker: shard.leave_group(request, asker)
        )

    def consumer_heartbeat(
        self, context: RequestContext, request: ConsumerGroupHeartbeatRequest
    ) -> Pending[ConsumerGroupHeartbeatResponse]:
        """Lets a member of a consumer group say what is new, and tells it what it may read."""
        fresh_id = "" if request.member_id else _new_uuid()
        return self.shards.ask(
            request.group_id,
            context,
            lambda shard, asker: shard.consumer_group_heartbeat(request, asker, fresh_id),
        )

    # --- several groups

    async def describe(
        self, context: RequestContext, request: DescribeGroupsRequest
    ) -> DescribeGroupsResponse:
        """Groups with their members; a shard that cannot answer fails its own groups only."""

        def handle(asked: list[str]) -> Handle:
            request.groups = asked
            return lambda shard, asker: shard.describe_groups(request, asker)

        response = DescribeGroupsResponse()
        answers: Answers[DescribeGroupsResponse] = self._answers(context, request.groups, handle)
        async for asked, answer in answers:
            response.groups += (
                [DescribedGroup(group_id=group_id, error_code=answer) for group_id in asked]
                if isinstance(answer, ErrorCode)
                else answer.groups
            )
        return response

    async def describe_consumers(
        self, context: RequestContext, request: ConsumerGroupDescribeRequest
    ) -> ConsumerGroupDescribeResponse:
        """Consumer groups with their members; a shard that cannot answer fails its own groups."""

        def handle(asked: list[str]) -> Handle:
            request.group_ids = asked
            return lambda shard, asker: shard.consumer_group_describe(request, asker)

        response = ConsumerGroupDescribeResponse()
        answers: Answers[ConsumerGroupDescribeResponse] = self._answers(
            context, request.group_ids, handle
        )
        async for asked, answer in answers:
            response.groups += (
                [DescribedConsumerGroup(group_id=group_id, error_code=answer) for group_id in asked]
                if isinstance(answer, ErrorCode)
                else answer.groups
            )
        return response

    async def list_all(
        self, context: RequestContext, request: ListGroupsRequest
    ) -> ListGroupsResponse:
        """Every group that the filters let through."""
        response = ListGroupsResponse()
        for shard in self.shards:
            answer: ListGroupsResponse = await shard.call(
                lambda machine, asker: machine.list_groups(request, asker), context
            )
            response.groups += answer.groups
        return response

    async def delete(
        self, context: RequestContext, request: DeleteGroupsRequest
    ) -> DeleteGroupsResponse:
        """Deletes groups without members; a shard that cannot answer fails its own groups only.

        A group that is named more than once is answered once, as in Kafka.
        """

        def handle(asked: list[str]) -> Handle:
            request.groups_names = asked
            return lambda shard, asker: shard.delete_groups(request, asker)

        response = DeleteGroupsResponse()
        answers: Answers[DeleteGroupsResponse] = self._answers(
            context, list(dict.fromkeys(request.groups_names)), handle
        )
        async for asked, answer in answers:
            response.results += (
                [DeletableGroupResult(group_id=group_id, error_code=answer) for group_id in asked]
                if isinstance(answer, ErrorCode)
                else answer.results
            )
        return response

    async def _answers(
        self,
        context: RequestContext,
        group_ids: list[str],
        handle: Callable[[list[str]], Handle],
    ) -> Answers[ResponseT]:
        """What each shard says of its own groups, or why it cannot."""
        for asked in self.shards.together(group_ids):
            try:
                yield asked, await self.shards.ask(asked[0], context, handle(asked))
            except KafkaError as error:
                yield asked, error.code


def _new_uuid() -> str:
    """As Kafka writes its ids."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
