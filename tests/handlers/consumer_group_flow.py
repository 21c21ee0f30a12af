"""What a consumer of KIP-848's protocol does with its group: each step is one API."""

from collections.abc import Callable

from datacore._generated.api_keys import ApiKey
from datacore._generated.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.errors import ErrorCode
from tests.handlers.speaker import Speaker


class ConsumerGroupFlow:
    """One consumer, alone in its group; steps run in the order in which they stand here."""

    def __init__(self, speaker: Speaker, label: str, topic: str) -> None:
        self.speaker = speaker
        self.group_id = f"consumer-group-{label}"
        self.topic = topic
        self.member_id = ""

    def heartbeat(self) -> None:
        version = self.speaker.version(ApiKey.CONSUMER_GROUP_HEARTBEAT)
        member_id = "made by the client" if version >= 1 else ""
        joined = self._heartbeat(member_id, 0)
        assert (joined.error_code, joined.member_epoch) == (0, 1)
        assert joined.heartbeat_interval_ms == 5_000
        assert joined.assignment is not None
        (assigned,) = joined.assignment.topic_partitions
        assert assigned.partitions
        assert joined.member_id
        self.member_id = joined.member_id
        idle = self._heartbeat(self.member_id, 1)
        assert (idle.error_code, idle.assignment) == (0, None)
        ahead = self._heartbeat(self.member_id, 2)
        assert ahead.error_code == ErrorCode.FENCED_MEMBER_EPOCH
        if version >= 1:
            self._subscribe_by_regex()

    def _heartbeat(self, member_id: str, epoch: int) -> ConsumerGroupHeartbeatResponse:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group_id, member_id=member_id, member_epoch=epoch
        )
        if epoch == 0:
            request.rebalance_timeout_ms = 60_000
            request.subscribed_topic_names = [self.topic]
            request.topic_partitions = []
        return self.speaker.send(request, ConsumerGroupHeartbeatResponse)

    def _subscribe_by_regex(self) -> None:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group_id,
            member_id=self.member_id,
            member_epoch=1,
            subscribed_topic_names=[],
            subscribed_topic_regex=f"{self.topic}|none",
        )
        answer = self.speaker.send(request, ConsumerGroupHeartbeatResponse)
        assert answer.error_code == 0

    def describe(self) -> None:
        request = ConsumerGroupDescribeRequest(
            group_ids=[self.group_id, "never-seen"], include_authorized_operations=True
        )
        group, unknown = self.speaker.send(request, ConsumerGroupDescribeResponse).groups
        if group.group_id != self.group_id:  # each shard answers for its own groups
            group, unknown = unknown, group
        assert (group.error_code, group.group_state) == (0, "Stable")
        assert group.assignor_name == "uniform"
        assert group.authorized_operations > 0
        (member,) = group.members
        assert member.member_id == self.member_id
        (assigned,) = member.assignment.topic_partitions
        assert assigned.topic_name == self.topic
        assert unknown.error_code == ErrorCode.GROUP_ID_NOT_FOUND
        if self.speaker.version(ApiKey.CONSUMER_GROUP_DESCRIBE) >= 1:
            assert member.member_type == 1
        left = self._heartbeat(self.member_id, -1)
        assert left.error_code == 0

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.CONSUMER_GROUP_HEARTBEAT, self.heartbeat),
            (ApiKey.CONSUMER_GROUP_DESCRIBE, self.describe),
        ]
