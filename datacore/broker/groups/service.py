"""Consumer groups and their offsets: which shard answers, and the topic that remembers.

A group belongs to one partition of ``__consumer_offsets``, by the hash of its id as Kafka has it.
The topic is made when the first client looks for a coordinator.
"""

from __future__ import annotations

import logging
import uuid
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, TypeVar

from datacore._generated.consumer_group_describe import ConsumerGroupDescribeResponse
from datacore._generated.consumer_group_describe import DescribedGroup as DescribedConsumerGroup
from datacore._generated.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListGroupsResponse
from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from datacore._generated.offset_delete import (
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
)
from datacore.broker.runtime import ShardRuntime
from datacore.broker.topics import OFFSETS_TOPIC, NewTopic
from datacore.coordinator.group.config import GroupConfig
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig, MigrationPolicy
from datacore.coordinator.group.shard import GroupShard
from datacore.metadata.configs import broker_int, broker_value
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

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
    from datacore._generated.offset_delete import OffsetDeleteRequest
    from datacore._generated.sync_group import SyncGroupRequest, SyncGroupResponse
    from datacore._generated.txn_offset_commit import (
        TxnOffsetCommitRequest,
        TxnOffsetCommitResponse,
    )
    from datacore.broker.context import RequestContext
    from datacore.broker.topics import Topics
    from datacore.coordinator.context import RequestContext as CoordinatorContext
    from datacore.coordinator.group.consumer.topics import ClusterView
    from datacore.coordinator.outcome import Outcome, Producer
    from datacore.log.partition_log import PartitionLog
    from datacore.metadata.image import TopicImage
    from datacore.protocol.message import Message
    from datacore.record.control import EndTransactionMarker
    from datacore.storage.pending import Pending

logger = logging.getLogger("datacore.broker.groups")

ResponseT = TypeVar("ResponseT", bound="Message")

_TOPIC_CONFIGS = {
    "cleanup.policy": "compact",
    "compression.type": "producer",
    "segment.bytes": str(100 << 20),
}


def partition_for(group_id: str, partitions: int) -> int:
    """The partition of ``__consumer_offsets`` that a group belongs to.

    Kafka's rule: ``abs(String.hashCode) % partitions``, where the smallest int32 counts as 0.
    """
    code = 0
    units = group_id.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        code = (31 * code + (units[at] << 8 | units[at + 1])) & 0xFFFF_FFFF
    signed = code - (1 << 32) if code >= 1 << 31 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % partitions


def group_config(broker_values: Mapping[str, str]) -> GroupConfig:
    """The limits and timings of groups that the broker's configs say."""

    def value(name: str) -> int:
        return broker_int(name, broker_values)

    return GroupConfig(
        group_min_session_timeout_ms=value("group.min.session.timeout.ms"),
        group_max_session_timeout_ms=value("group.max.session.timeout.ms"),
        group_initial_rebalance_delay_ms=value("group.initial.rebalance.delay.ms"),
        group_max_size=value("group.max.size"),
        offset_metadata_max_bytes=value("offset.metadata.max.bytes"),
        offsets_retention_minutes=value("offsets.retention.minutes"),
        offsets_retention_check_interval_ms=value("offsets.retention.check.interval.ms"),
        consumer=_consumer_group_config(broker_values),
    )


def _consumer_group_config(broker_values: Mapping[str, str]) -> ConsumerGroupConfig:
    def value(name: str) -> int:
        return broker_int(f"group.consumer.{name}", broker_values)

    assignors = broker_value("group.consumer.assignors", broker_values).split(",")
    policy = broker_value("group.consumer.migration.policy", broker_values)
    return ConsumerGroupConfig(
        session_timeout_ms=value("session.timeout.ms"),
        min_session_timeout_ms=value("min.session.timeout.ms"),
        max_session_timeout_ms=value("max.session.timeout.ms"),
        heartbeat_interval_ms=value("heartbeat.interval.ms"),
        min_heartbeat_interval_ms=value("min.heartbeat.interval.ms"),
        max_heartbeat_interval_ms=value("max.heartbeat.interval.ms"),
        max_size=value("max.size"),
        assignors=tuple(name.strip() for name in assignors),
        migration_policy=MigrationPolicy(policy.lower()),
    )


class Groups:
    """Every group of this broker."""

    def __init__(
        self,
        topics: Topics,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
        cluster: ClusterView,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._topics = topics
        self._logs = logs
        self._cluster = cluster
        self._now_ms = now_ms
        self._spawn = spawn
        self._topic_partitions = broker_int("offsets.topic.num.partitions", broker_values)
        self._config = group_config(broker_values)
        self._shards: dict[int, ShardRuntime[GroupShard]] = {}

    # --- life

    async def start(self) -> None:
        """Replays the shards of a topic that is there already."""
        await self._load_shards()

    def stop(self) -> None:
        """Answers what is parked."""
        for shard in self._shards.values():
            shard.stop()

    async def create_topic_if_missing(self) -> None:
        """Makes the topic of offsets and its shards.

        Raises:
            KafkaError: The topic cannot be made.
        """
        if OFFSETS_TOPIC not in self._topics.by_name:
            try:
                await self._topics.create(
                    NewTopic(OFFSETS_TOPIC, self._topic_partitions, 1, configs=_TOPIC_CONFIGS)
                )
            except KafkaError as error:
                # Two clients look for a coordinator at once: the other one made it.
                if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
                    raise
        await self._load_shards()

    async def _load_shards(self) -> None:
        fresh = {
            index: ShardRuntime(
                log,
                lambda: GroupShard(self._config, self._cluster),
                self._now_ms,
                self._spawn,
                logger,
            )
            for index, log in self._logs.get(OFFSETS_TOPIC, {}).items()
            if index not in self._shards
        }
        # All at once: a group's shard depends on how many there are.
        self._shards |= fresh
        for shard in fresh.values():
            await shard.start()

    def forget_topic(self, topic: TopicImage) -> None:
        """Drops every group's offsets of a topic that is no more; with their own topic, all."""
        if topic.name == OFFSETS_TOPIC:
            self.stop()
            self._shards.clear()
            return
        partitions = [(topic.name, index) for index in topic.partitions]
        for shard in self._shards.values():
            shard.perform(lambda machine, now_ms: machine.partitions_deleted(partitions, now_ms))

    # --- one group

    def join(
        self, context: RequestContext, request: JoinGroupRequest
    ) -> Pending[JoinGroupResponse]:
        """Enters a member into a group's next generation."""
        fresh_id = str(uuid.uuid4())
        return self._ask(
            request.group_id,
            context,
            lambda shard, asker: shard.join_group(request, asker, fresh_id),
        )

    def sync(
        self, context: RequestContext, request: SyncGroupRequest
    ) -> Pending[SyncGroupResponse]:
        """Hands a member its assignment, once the leader has sent it."""
        return self._ask(
            request.group_id, context, lambda shard, asker: shard.sync_group(request, asker)
        )

    def heartbeat(
        self, context: RequestContext, request: HeartbeatRequest
    ) -> Pending[HeartbeatResponse]:
        """Keeps a member alive and tells it of rebalances."""
        return self._ask(
            request.group_id, context, lambda shard, asker: shard.heartbeat(request, asker)
        )

    def leave(
        self, context: RequestContext, request: LeaveGroupRequest
    ) -> Pending[LeaveGroupResponse]:
        """Takes members out of a group."""
        return self._ask(
            request.group_id, context, lambda shard, asker: shard.leave_group(request, asker)
        )

    def consumer_heartbeat(
        self, context: RequestContext, request: ConsumerGroupHeartbeatRequest
    ) -> Pending[ConsumerGroupHeartbeatResponse]:
        """Lets a member of a consumer group say what is new, and tells it what it may read."""
        fresh_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        return self._ask(
            request.group_id,
            context,
            lambda shard, asker: shard.consumer_group_heartbeat(request, asker, fresh_id),
        )

    async def commit_offsets(
        self, context: RequestContext, request: OffsetCommitRequest
    ) -> OffsetCommitResponse:
        """Remembers offsets of partitions that exist; the others are answered one by one."""
        unknown: dict[str, list[OffsetCommitResponsePartition]] = {}
        known: list[OffsetCommitRequestTopic] = []
        for topic in request.topics:
            there = self._logs.get(TopicName(topic.name), {})
            missing = [p for p in topic.partitions if p.partition_index not in there]
            if missing:
                unknown.setdefault(topic.name, []).extend(
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    )
                    for partition in missing
                )
                topic.partitions = [p for p in topic.partitions if p.partition_index in there]
            if topic.partitions:
                known.append(topic)
        response = OffsetCommitResponse()
        if known:
            request.topics = known
            response = await self._ask(
                request.group_id, context, lambda shard, asker: shard.offset_commit(request, asker)
            )
        answered = {topic.name: topic for topic in response.topics}
        for name, partitions in unknown.items():
            if name in answered:
                answered[name].partitions += partitions
            else:
                response.topics.append(OffsetCommitResponseTopic(name=name, partitions=partitions))
        return response

    async def delete_offsets(
        self, context: RequestContext, request: OffsetDeleteRequest
    ) -> OffsetDeleteResponse:
        """Forgets offsets of topics that nobody in the group subscribes to."""
        unknown = OffsetDeleteResponse()
        known: list[OffsetDeleteRequestTopic] = []
        for topic in request.topics:
            there = self._logs.get(TopicName(topic.name), {})
            missing = [p for p in topic.partitions if p.partition_index not in there]
            if missing:
                unknown.topics.append(
                    OffsetDeleteResponseTopic(
                        name=topic.name,
                        partitions=[
                            OffsetDeleteResponsePartition(
                                partition_index=partition.partition_index,
                                error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                            )
                            for partition in missing
                        ],
                    )
                )
            if len(missing) < len(topic.partitions):
                topic.partitions = [p for p in topic.partitions if p.partition_index in there]
                known.append(topic)
        request.topics = known
        response: OffsetDeleteResponse = await self._ask(
            request.group_id, context, lambda shard, asker: shard.offset_delete(request, asker)
        )
        if response.error_code == 0:
            response.topics += unknown.topics
        return response

    # --- transactions

    def offsets_partition(self, group_id: str) -> int:
        """The partition of ``__consumer_offsets`` that a group's offsets are in.

        Raises:
            KafkaError: NOT_COORDINATOR, the topic is not there.
        """
        if not self._shards:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return partition_for(group_id, len(self._shards))

    def offsets_log(self, group_id: str) -> PartitionLog:
        """The log of that partition.

        Raises:
            KafkaError: NOT_COORDINATOR.
        """
        return self._shard(group_id).log

    def commit_transactional_offsets(
        self, context: RequestContext, request: TxnOffsetCommitRequest
    ) -> Pending[TxnOffsetCommitResponse]:
        """Remembers offsets that count when their transaction is committed.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        return self._ask(
            request.group_id, context, lambda shard, asker: shard.txn_offset_commit(request, asker)
        )

    def end_transaction(
        self, partition: int, producer: Producer, marker: EndTransactionMarker
    ) -> Pending[None] | None:
        """Ends a producer's transaction in one partition of ``__consumer_offsets``.

        Returns:
            None when that is durable now, else what to wait for.

        Raises:
            KafkaError: UNKNOWN_TOPIC_OR_PARTITION, COORDINATOR_LOAD_IN_PROGRESS, or the log
                refuses the marker.
        """
        shard = self._shards.get(partition)
        if shard is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return shard.append_marker(producer, marker)

    # --- several groups

    async def fetch_offsets(
        self, context: RequestContext, request: OffsetFetchRequest
    ) -> OffsetFetchResponse:
        """Offsets of one group, or of several from v8 on (KIP-709)."""
        if context.api_version < 8:
            return await self._ask(
                request.group_id, context, lambda shard, asker: shard.offset_fetch(request, asker)
            )
        response = OffsetFetchResponse()
        for group in request.groups:
            single = OffsetFetchRequest(groups=[group], require_stable=request.require_stable)
            try:
                answer: OffsetFetchResponse = await self._ask(
                    group.group_id, context, _offset_fetch(single)
                )
            except KafkaError as error:
                response.groups.append(
                    OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
                )
            else:
                response.groups += answer.groups
        return response

    async def describe(
        self, context: RequestContext, request: DescribeGroupsRequest
    ) -> DescribeGroupsResponse:
        """Groups with their members; a shard that cannot answer fails its own groups only."""
        response = DescribeGroupsResponse()
        for group_ids in self._by_shard(request.groups):
            request.groups = group_ids
            try:
                answer: DescribeGroupsResponse = await self._ask(
                    group_ids[0],
                    context,
                    lambda machine, asker: machine.describe_groups(request, asker),
                )
            except KafkaError as error:
                response.groups += [
                    DescribedGroup(group_id=group_id, error_code=error.code)
                    for group_id in group_ids
                ]
            else:
                response.groups += answer.groups
        return response

    async def describe_consumers(
        self, context: RequestContext, request: ConsumerGroupDescribeRequest
    ) -> ConsumerGroupDescribeResponse:
        """Consumer groups with their members; a shard that cannot answer fails its own groups."""
        response = ConsumerGroupDescribeResponse()
        for group_ids in self._by_shard(request.group_ids):
            request.group_ids = group_ids
            try:
                answer: ConsumerGroupDescribeResponse = await self._ask(
                    group_ids[0],
                    context,
                    lambda machine, asker: machine.consumer_group_describe(request, asker),
                )
            except KafkaError as error:
                response.groups += [
                    DescribedConsumerGroup(group_id=group_id, error_code=error.code)
                    for group_id in group_ids
                ]
            else:
                response.groups += answer.groups
        return response

    async def list_all(
        self, context: RequestContext, request: ListGroupsRequest
    ) -> ListGroupsResponse:
        """Every group that the filters let through."""
        response = ListGroupsResponse()
        for shard in list(self._shards.values()):
            answer = await shard.call(
                lambda machine, asker: machine.list_groups(request, asker), context
            )
            assert isinstance(answer, ListGroupsResponse)
            response.groups += answer.groups
        return response

    async def delete(
        self, context: RequestContext, request: DeleteGroupsRequest
    ) -> DeleteGroupsResponse:
        """Deletes groups without members; a shard that cannot answer fails its own groups only.

        A group that is named more than once is answered once, as in Kafka.
        """
        response = DeleteGroupsResponse()
        for group_ids in self._by_shard(list(dict.fromkeys(request.groups_names))):
            request.groups_names = group_ids
            try:
                answer: DeleteGroupsResponse = await self._ask(
                    group_ids[0],
                    context,
                    lambda machine, asker: machine.delete_groups(request, asker),
                )
            except KafkaError as error:
                response.results += [
                    DeletableGroupResult(group_id=group_id, error_code=error.code)
                    for group_id in group_ids
                ]
            else:
                response.results += answer.results
        return response

    # --- shards

    def _shard(self, group_id: str) -> ShardRuntime[GroupShard]:
        if not self._shards:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return self._shards[partition_for(group_id, len(self._shards))]

    def _by_shard(self, group_ids: list[str]) -> list[list[str]]:
        """The same groups, put together by the shard that they belong to."""
        by_shard: dict[int, list[str]] = {}
        for group_id in group_ids:
            index = partition_for(group_id, len(self._shards) or 1)
            by_shard.setdefault(index, []).append(group_id)
        return list(by_shard.values())

    def _ask(
        self,
        group_id: str,
        context: RequestContext,
        handle: Callable[[GroupShard, CoordinatorContext], Outcome],
    ) -> Pending[ResponseT]:
        # The machine answers each request with the response of its API.
        return self._shard(group_id).call(handle, context)  # type: ignore[return-value]


def _offset_fetch(
    request: OffsetFetchRequest,
) -> Callable[[GroupShard, CoordinatorContext], Outcome]:
    return lambda shard, asker: shard.offset_fetch(request, asker)
