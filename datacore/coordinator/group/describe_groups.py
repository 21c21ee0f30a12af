"""DescribeGroups and ListGroups: what a shard's classic groups are doing, and which groups it has.

Versions: DescribeGroups 6 answers GROUP_ID_NOT_FOUND for a group that is not there; before, such a
group was Dead and no error (KIP-1043). To it a consumer group is not there: that one is described
by ConsumerGroupDescribe. authorized_operations are filled in by whoever knows ACLs.
ListGroups 4 filters by state (KIP-518), 5 by type (KIP-848).
"""

from datacore._generated.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import (
    CONSUMER_PROTOCOL_TYPE,
    ClassicGroup,
    ClassicMember,
    GroupState,
)
from datacore.coordinator.group.state import Turn
from datacore.protocol.names import GroupId

GROUP_ID_NOT_FOUND_FROM = 6
CLASSIC_TYPE = "classic"
CONSUMER_TYPE = "consumer"


def describe_groups(turn: Turn, request: DescribeGroupsRequest, context: RequestContext) -> None:
    """Handles DescribeGroups."""
    described = []
    for group_id in request.groups:
        group = turn.state.groups.get(GroupId(group_id))
        if group is None:
            why = "not found"
            if GroupId(group_id) in turn.state.consumer_groups:
                why = "is not a classic group"
            described.append(_not_there(group_id, context.api_version, why))
        else:
            described.append(_describe(group))
    turn.outcome.reply(context.token, DescribeGroupsResponse(groups=described))


def list_groups(turn: Turn, request: ListGroupsRequest, context: RequestContext) -> None:
    """Handles ListGroups."""
    states = {state.strip().lower() for state in request.states_filter}
    types = {group_type.strip().lower() for group_type in request.types_filter}
    listed = []
    if not types or CLASSIC_TYPE in types:
        listed += [
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type or "",
                group_state=group.state.value,
                group_type=CLASSIC_TYPE,
            )
            for group in turn.state.groups.values()
        ]
    if not types or CONSUMER_TYPE in types:
        listed += [
            ListedGroup(
                group_id=group_id,
                protocol_type=CONSUMER_PROTOCOL_TYPE,
                group_state=consumer_group.state.value,
                group_type=CONSUMER_TYPE,
            )
            for group_id, consumer_group in turn.state.consumer_groups.items()
        ]
    listed = [group for group in listed if not states or group.group_state.lower() in states]
    turn.outcome.reply(context.token, ListGroupsResponse(groups=listed))


def _not_there(group_id: str, api_version: int, why: str) -> DescribedGroup:
    described = DescribedGroup(group_id=group_id, group_state=GroupState.DEAD.value)
    if api_version >= GROUP_ID_NOT_FOUND_FROM:
        described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        described.error_message = f"Group {group_id} {why}."
    return described


def _describe(group: ClassicGroup) -> DescribedGroup:
    # Only a Stable group has one protocol that all its members' metadata is of.
    protocol_name = group.protocol_name if group.state is GroupState.STABLE else None
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol_name or "",
        members=[_describe_member(member, protocol_name) for member in group.members.values()],
    )


def _describe_member(member: ClassicMember, protocol_name: str | None) -> DescribedGroupMember:
    return DescribedGroupMember(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=b"" if protocol_name is None else member.protocols[protocol_name],
        member_assignment=member.assignment,
    )
