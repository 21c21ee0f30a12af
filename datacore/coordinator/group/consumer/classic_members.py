"""Members of a consumer group that speak the classic protocol, while the group migrates (KIP-848).

The coordinator is their leader: JoinGroup is a heartbeat that says everything and is answered at
once, with the member's epoch for a generation and nobody to assign to; SyncGroup hands out what the
member has; Heartbeat tells it to join again whenever there is something to give up or to get. It
has its rebalance timeout to do so, and as much to sync.
"""

from dataclasses import replace

from datacore._generated.errors import ErrorCode
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupResponse
from datacore._generated.leave_group import MemberIdentity
from datacore._generated.sync_group import SyncGroupRequest, SyncGroupResponse
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.classic import CONSUMER_PROTOCOL_TYPE
from datacore.coordinator.group.consumer.classic_protocol import (
    Subscription,
    read_subscription,
    write_assignment,
)
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.heartbeat import checked_holder, unknown_member
from datacore.coordinator.group.consumer.member import (
    JOIN_EPOCH,
    ClassicProtocols,
    ConsumerMember,
    MemberState,
)
from datacore.coordinator.group.consumer.migration import remove_members
from datacore.coordinator.group.consumer.progress import Progress
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import NO_MEMBER_ID, MemberId
from datacore.wire.errors import DecodeError


def join(
    turn: Turn,
    group: ConsumerGroup,
    request: JoinGroupRequest,
    context: RequestContext,
    member_id: MemberId,
    rebalance_timeout_ms: int,
) -> JoinGroupResponse:
    """JoinGroup, of a member that has an id or is given this one.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, or as ``check_join``.
    """
    protocols = tuple((each.name, bytes(each.metadata)) for each in request.protocols)
    subscription = check_join(turn, group, request, member_id)
    before, replaced = _find_member(group, request, member_id)
    progress = Progress(
        turn=turn,
        group=group,
        before=before,
        after=replace(
            before,
            instance_id=request.group_instance_id or before.instance_id,
            rack_id=subscription.rack_id or before.rack_id,
            client_id=context.client_id,
            client_host=context.client_host,
            rebalance_timeout_ms=rebalance_timeout_ms,
            topic_names=subscription.topics,
            topic_regex="",
            classic=ClassicProtocols(request.session_timeout_ms, protocols),
        ),
        owned=subscription.owned,
        replaced=replaced,
        records=[],
    )
    progress.run()
    group_id = group.group_id
    turn.stop_timer(Timer(TimerKind.CLASSIC_JOIN, group_id, member_id))
    turn.stop_timer(Timer(TimerKind.REVOCATION, group_id, member_id))
    session = Timer(TimerKind.CONSUMER_SESSION, group_id, member_id)
    turn.start_timer(session, request.session_timeout_ms)
    turn.start_timer(Timer(TimerKind.CLASSIC_SYNC, group_id, member_id), rebalance_timeout_ms)
    return JoinGroupResponse(
        generation_id=progress.after.epoch,
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=protocols[0][0],
        member_id=member_id,
    )


def check_join(
    turn: Turn, group: ConsumerGroup, request: JoinGroupRequest, member_id: MemberId
) -> Subscription:
    """What a member subscribes to that may join.

    Raises:
        KafkaError: GROUP_MAX_SIZE_REACHED or INCONSISTENT_GROUP_PROTOCOL.
    """
    is_full = len(group.members) >= turn.config.consumer.max_size
    if is_full and member_id not in group.members:
        raise KafkaError(ErrorCode.GROUP_MAX_SIZE_REACHED)
    spoken = [
        {name for name, _ in member.classic.protocols}
        for member in group.members.values()
        if member.classic is not None
    ]
    has_common = any(
        all(protocol.name in names for names in spoken) for protocol in request.protocols
    )
    if request.protocol_type != CONSUMER_PROTOCOL_TYPE or not has_common:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    try:
        # All protocols of a consumer come with the same subscription.
        return read_subscription(bytes(request.protocols[0].metadata), turn.state.cluster)
    except DecodeError:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL) from None


def _find_member(
    group: ConsumerGroup, request: JoinGroupRequest, member_id: MemberId
) -> tuple[ConsumerMember, ConsumerMember | None]:
    instance_id = request.group_instance_id
    if instance_id is None:
        return group.members.get(member_id, ConsumerMember(member_id=member_id)), None
    holder = group.static_member(instance_id)
    if request.member_id != NO_MEMBER_ID:
        return checked_holder(holder, instance_id, member_id), None
    if holder is None:
        return ConsumerMember(member_id=member_id), None
    return replace(holder, member_id=member_id, epoch=JOIN_EPOCH, previous_epoch=JOIN_EPOCH), holder


def sync(turn: Turn, group: ConsumerGroup, request: SyncGroupRequest) -> SyncGroupResponse:
    """SyncGroup: what the member has, as its leader would have said it.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION,
            INCONSISTENT_GROUP_PROTOCOL or REBALANCE_IN_PROGRESS.
    """
    member, classic = classic_member(group, request.member_id, request.group_instance_id)
    _check_generation(member, request.generation_id)
    protocol_name, metadata = classic.protocols[0]
    for asked, chosen in (
        (request.protocol_type, CONSUMER_PROTOCOL_TYPE),
        (request.protocol_name, protocol_name),
    ):
        if asked is not None and asked != chosen:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    is_behind = group.epoch > member.epoch
    if is_behind and member.state is not MemberState.UNREVOKED_PARTITIONS:
        _expect_join(turn, group, member)
        raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
    turn.stop_timer(Timer(TimerKind.CLASSIC_SYNC, group.group_id, member.member_id))
    _renew_session(turn, group, member, classic)
    return SyncGroupResponse(
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignment=write_assignment(member.assigned, metadata, turn.state.cluster),
    )


def heartbeat(turn: Turn, group: ConsumerGroup, request: HeartbeatRequest) -> ErrorCode:
    """Heartbeat: whether the member has to join again, to give up or to get partitions.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION.
    """
    member, classic = classic_member(group, request.member_id, request.group_instance_id)
    _check_generation(member, request.generation_id)
    _renew_session(turn, group, member, classic)
    is_unreleased = member.state is MemberState.UNRELEASED_PARTITIONS
    if (
        member.epoch < group.epoch
        or member.state is MemberState.UNREVOKED_PARTITIONS
        or (is_unreleased and not group.waits_for_others(member))
    ):
        _expect_join(turn, group, member)
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def leave(turn: Turn, group: ConsumerGroup, leaving: list[MemberIdentity]) -> list[ErrorCode]:
    """LeaveGroup: an error for each of those that want to leave, or that an operator sends away.

    The latter may speak either protocol.
    """
    error_codes = []
    gone: dict[MemberId, ConsumerMember] = {}
    for identity in leaving:
        instance_id, member_id = identity.group_instance_id, MemberId(identity.member_id)
        if instance_id is not None and member_id == NO_MEMBER_ID:
            # An operator sends a static member away by its instance alone.
            member_id = group.static_member_ids.get(instance_id, NO_MEMBER_ID)
        try:
            member = _member(group, member_id, instance_id)
        except KafkaError as error:
            error_codes.append(error.code)
        else:
            if member_id in gone:
                error_codes.append(ErrorCode.UNKNOWN_MEMBER_ID)
            else:
                error_codes.append(ErrorCode.NONE)
                gone[member_id] = member
    if gone:
        remove_members(turn, group, list(gone.values()), "it left")
    return error_codes


def classic_member(
    group: ConsumerGroup, member_id: str, instance_id: str | None
) -> tuple[ConsumerMember, ClassicProtocols]:
    """The member that a request of the classic protocol comes from.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID, also for one of the consumer protocol, or
            FENCED_INSTANCE_ID.
    """
    member = _member(group, MemberId(member_id), instance_id)
    if member.classic is None:
        raise unknown_member(group, member.member_id)
    return member, member.classic


def _member(group: ConsumerGroup, member_id: MemberId, instance_id: str | None) -> ConsumerMember:
    if instance_id is not None:
        return checked_holder(group.static_member(instance_id), instance_id, member_id)
    member = group.members.get(member_id)
    if member is None:
        raise unknown_member(group, member_id)
    return member


def _check_generation(member: ConsumerMember, generation: int) -> None:
    if generation != member.epoch:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)


def _expect_join(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> None:
    """From when it is first told, a member has its rebalance timeout to join again."""
    timer = Timer(TimerKind.CLASSIC_JOIN, group.group_id, member.member_id)
    if timer not in turn.state.timers:
        turn.start_timer(timer, member.rebalance_timeout_ms)


def _renew_session(
    turn: Turn, group: ConsumerGroup, member: ConsumerMember, classic: ClassicProtocols
) -> None:
    session = Timer(TimerKind.CONSUMER_SESSION, group.group_id, member.member_id)
    turn.start_timer(session, classic.session_timeout_ms)
