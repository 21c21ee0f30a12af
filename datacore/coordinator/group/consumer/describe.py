"""ConsumerGroupDescribe (KIP-848): what a shard's consumer groups are doing.

Versions: 1 tells which protocol a member speaks (KIP-1099). authorized_operations are filled in by
whoever knows ACLs.
"""

from typing import Final

from datacore._generated.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.consumer.group import ConsumerGroup, preferred_assignor
from datacore.coordinator.group.consumer.member import ConsumerMember, Partitions
from datacore.coordinator.group.consumer.topics import ClusterView
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import GroupId

SPEAKS_CLASSIC: Final = 0
SPEAKS_CONSUMER: Final = 1
"""Member types, as version 1 numbers them."""


def consumer_group_describe(
    turn: Turn, request: ConsumerGroupDescribeRequest, context: RequestContext
) -> None:
    """Handles ConsumerGroupDescribe."""
    described = [_described(turn, GroupId(group_id)) for group_id in request.group_ids]
    turn.outcome.reply(context.token, ConsumerGroupDescribeResponse(groups=described))


def _described(turn: Turn, group_id: GroupId) -> DescribedGroup:
    if not group_id:
        return DescribedGroup(group_id=group_id, error_code=ErrorCode.INVALID_GROUP_ID)
    group = turn.state.consumer_groups.get(group_id)
    if group is None:
        what = "is not a consumer group" if group_id in turn.state.groups else "not found"
        return DescribedGroup(
            group_id=group_id,
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"Group {group_id} {what}.",
        )
    cluster = turn.state.cluster
    assignor = preferred_assignor(group.members.values())
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state.value,
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=assignor or turn.config.consumer.assignors[0],
        members=[_member(group, member, cluster) for member in group.members.values()],
    )


def _member(group: ConsumerGroup, member: ConsumerMember, cluster: ClusterView) -> Member:
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topic_names),
        subscribed_topic_regex=member.topic_regex,
        assignment=_assignment(member.assigned, cluster),
        target_assignment=_assignment(group.target_of(member.member_id), cluster),
        member_type=SPEAKS_CONSUMER if member.classic is None else SPEAKS_CLASSIC,
    )


def _assignment(partitions: Partitions, cluster: ClusterView) -> Assignment:
    """Partitions by their topics' names; of topics that are no more nobody knows them."""
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic_id, topic_name=topic.name, partitions=sorted(indexes))
            for topic_id, indexes in partitions.items()
            if (topic := cluster.topics_by_id.get(topic_id)) is not None
        ]
    )
