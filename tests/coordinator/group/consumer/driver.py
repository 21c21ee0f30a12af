"""The driver of a shard, and consumers of the protocol of KIP-848 that talk to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from datacore._generated.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    DescribedGroup,
)
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.member import ConsumerMember
from datacore.protocol.names import GroupId, MemberId, TopicId
from tests.coordinator.group.driver import GROUP, Driver, through_codec

Held = set[tuple[str, int]]


class ConsumerDriver(Driver):
    """Speaks of partitions by their topics' names."""

    def beat(self, request: ConsumerGroupHeartbeatRequest, version: int = 1) -> int:
        context = self.context(version)
        fresh_id = f"uuid{context.token}"
        decoded = through_codec(request, version)
        self.take(self.shard.consumer_group_heartbeat(decoded, context, fresh_id))
        return cast("int", context.token)

    def heartbeat_of(
        self,
        member_id: str,
        epoch: int,
        *,
        group: str = GROUP,
        version: int = 1,
        instance: str | None = None,
        rack: str | None = None,
        rebalance_timeout_ms: int = -1,
        topics: Iterable[str] | None = None,
        regex: str | None = None,
        assignor: str | None = None,
        owned: Held | None = None,
    ) -> ConsumerGroupHeartbeatResponse:
        request = ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id=member_id,
            member_epoch=epoch,
            instance_id=instance,
            rack_id=rack,
            rebalance_timeout_ms=rebalance_timeout_ms,
            subscribed_topic_names=None if topics is None else list(topics),
            subscribed_topic_regex=regex,
            server_assignor=assignor,
            topic_partitions=None if owned is None else self.by_id(owned),
        )
        return self.answer(self.beat(request, version), ConsumerGroupHeartbeatResponse)

    def by_id(self, held: Held) -> list[ConsumerGroupHeartbeatRequestTopicPartitions]:
        by_topic: dict[str, list[int]] = {}
        for topic, index in sorted(held):
            by_topic.setdefault(topic, []).append(index)
        ids = {name: topic_id for topic_id, name in self.cluster.names.items()}
        return [
            ConsumerGroupHeartbeatRequestTopicPartitions(topic_id=ids[topic], partitions=indexes)
            for topic, indexes in by_topic.items()
        ]

    def held(self, response: ConsumerGroupHeartbeatResponse) -> Held | None:
        """The assignment in an answer; None where it has none."""
        if response.assignment is None:
            return None
        return {
            (self.cluster.names[TopicId(each.topic_id)], index)
            for each in response.assignment.topic_partitions
            for index in each.partitions
        }

    def consumer_group(self, group_id: str = GROUP) -> ConsumerGroup:
        return self.shard.state.consumer_groups[GroupId(group_id)]

    def has_consumer_group(self, group_id: str = GROUP) -> bool:
        return GroupId(group_id) in self.shard.state.consumer_groups

    def consumer_member(self, member_id: str, group_id: str = GROUP) -> ConsumerMember:
        return self.consumer_group(group_id).members[MemberId(member_id)]

    def describe_consumers(self, group: str = GROUP, *, version: int = 1) -> DescribedGroup:
        context = self.context(version)
        request = through_codec(ConsumerGroupDescribeRequest(group_ids=[group]), version)
        self.take(self.shard.consumer_group_describe(request, context))
        described: DescribedGroup = self.answers[cast("int", context.token)].groups[0]
        return described

    def consumer(
        self, member_id: str, topics: Iterable[str] = ("t",), **kept: object
    ) -> "Consumer":
        """A consumer that has joined."""
        consumer = Consumer(self, member_id, frozenset(topics), **kept)  # type: ignore[arg-type]
        consumer.join()
        return consumer

    def settle(self, *consumers: "Consumer", rounds: int = 10) -> None:
        """Lets all send heartbeats until nothing changes any more."""
        for _ in range(rounds):
            for consumer in consumers:
                consumer.beat()


@dataclass
class Consumer:
    """A well-behaved client: it gives up what it is told to, and says so with its next heartbeat.

    ``owned`` is what it reads; after each answer it is what the answer gave it, with ``is_slow``
    only after ``give_up``.
    """

    driver: ConsumerDriver
    member_id: str
    topics: frozenset[str] = frozenset({"t"})
    group: str = GROUP
    instance: str | None = None
    regex: str | None = None
    assignor: str | None = None
    rebalance_timeout_ms: int = 30_000
    is_slow: bool = False
    epoch: int = 0
    owned: Held = field(default_factory=set)
    assigned: Held = field(default_factory=set)
    error: int = 0
    has_missed_an_answer: bool = False

    def join(self) -> int:
        self.epoch, self.owned = 0, set()
        return self._say(
            self.driver.heartbeat_of(
                self.member_id,
                0,
                group=self.group,
                instance=self.instance,
                rebalance_timeout_ms=self.rebalance_timeout_ms,
                topics=self.topics,
                regex=self.regex,
                assignor=self.assignor,
                owned=set(),
            )
        )

    def beat(self, *, says_owned: bool = True) -> int:
        """A heartbeat; it says everything where the last one may not have been heard."""
        says_all, self.has_missed_an_answer = self.has_missed_an_answer, False
        return self._say(
            self.driver.heartbeat_of(
                self.member_id,
                self.epoch,
                group=self.group,
                instance=self.instance,
                rebalance_timeout_ms=self.rebalance_timeout_ms if says_all else -1,
                topics=self.topics if says_all else None,
                regex=self.regex if says_all else None,
                owned=self.owned if says_owned or says_all else None,
            )
        )

    def beat_unheard(self) -> None:
        """A heartbeat whose answer is lost."""
        self.has_missed_an_answer = True
        self.driver.heartbeat_of(
            self.member_id,
            self.epoch,
            group=self.group,
            instance=self.instance,
            owned=self.owned,
        )

    def subscribe(self, *topics: str, regex: str | None = None) -> int:
        self.topics = frozenset(topics)
        self.regex = regex
        return self._say(
            self.driver.heartbeat_of(
                self.member_id,
                self.epoch,
                group=self.group,
                instance=self.instance,
                topics=topics,
                regex=regex,
                owned=self.owned,
            )
        )

    def leave(self, epoch: int = -1) -> int:
        answer = self.driver.heartbeat_of(
            self.member_id, epoch, group=self.group, instance=self.instance
        )
        self.owned, self.assigned, self.epoch = set(), set(), 0
        return answer.error_code

    def give_up(self) -> None:
        """A slow one revokes at last."""
        self.owned = set(self.assigned)

    def _say(self, answer: ConsumerGroupHeartbeatResponse) -> int:
        self.error = answer.error_code
        if answer.error_code != ErrorCode.NONE:
            if answer.error_code in {ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID}:
                self.epoch, self.owned, self.assigned = 0, set(), set()
            return answer.error_code
        assert answer.member_id == self.member_id
        self.epoch = answer.member_epoch
        held = self.driver.held(answer)
        if held is not None:
            self.assigned = held
            # What is new is read at once, what goes is given up at once or later.
            self.owned = self.owned | held if self.is_slow else set(held)
        return 0


def partitions_of(topic: str, count: int) -> Held:
    return {(topic, index) for index in range(count)}


def counts(*consumers: Consumer) -> Mapping[str, int]:
    return {consumer.member_id: len(consumer.owned) for consumer in consumers}
