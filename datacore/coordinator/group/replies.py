"""Answers to JoinGroup and SyncGroup, which may be parked between question and answer."""

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse, JoinGroupResponseMember
from datacore._generated.sync_group import SyncGroupResponse
from datacore.coordinator.group.classic import ClassicGroup, Parked
from datacore.protocol.names import MemberId

PROTOCOL_NAME_NULLABLE_FROM = 7
SKIP_ASSIGNMENT_FROM = 9


def join_failed(parked: Parked, error_code: ErrorCode, member_id: str = "") -> JoinGroupResponse:
    """JoinGroup's answer without a generation."""
    nullable = parked.api_version >= PROTOCOL_NAME_NULLABLE_FROM
    return JoinGroupResponse(
        error_code=error_code, member_id=member_id, protocol_name=None if nullable else ""
    )


def joined(
    group: ClassicGroup,
    member_id: MemberId,
    *,
    leader_id: MemberId | None = None,
    skip_assignment: bool = False,
) -> JoinGroupResponse:
    """JoinGroup's answer in a generation: the leader, and it alone, sees all members.

    Args:
        group: The member's group, whose protocol is chosen.
        member_id: The member.
        leader_id: Who to name as leader; None for the group's.
        skip_assignment: KIP-814: it leads, but is not to assign.
    """
    leader_id = leader_id or group.leader_id
    protocol_name = group.protocol_name or ""
    members = []
    if leader_id == member_id:
        members = [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.protocols[protocol_name],
            )
            for member in group.members.values()
        ]
    return JoinGroupResponse(
        generation_id=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=protocol_name,
        leader=leader_id or "",
        skip_assignment=skip_assignment,
        member_id=member_id,
        members=members,
    )


def sync_failed(error_code: ErrorCode) -> SyncGroupResponse:
    """SyncGroup's answer without an assignment."""
    return SyncGroupResponse(error_code=error_code)


def synced(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    """SyncGroup's answer with the member's assignment."""
    return SyncGroupResponse(
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        assignment=assignment,
    )
