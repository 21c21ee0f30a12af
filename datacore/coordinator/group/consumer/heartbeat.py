"""ConsumerGroupHeartbeat (KIP-848): a member joins, lives, subscribes, acknowledges and leaves.

Versions: 0 may come without a member id and is given one; 1 makes its own (KIP-1082), and may
subscribe by a regular expression.

A heartbeat says what is new, and nulls for the rest. The answer has the member's assignment when
that changed, or when the member said everything: it does so when it joins, and when it is not sure
that its last heartbeat was heard.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from datacore._generated.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatResponseTopicPartitions,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.group.consumer import migration
from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.member import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    LEAVE_FOR_A_WHILE_EPOCH,
    NO_PARTITIONS,
    ConsumerMember,
    Partitions,
    is_subset,
)
from datacore.coordinator.group.consumer.progress import Progress, rests
from datacore.coordinator.group.consumer.records import current_record
from datacore.coordinator.group.consumer.regex import check_regex
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import GroupId, MemberId, TopicId

MEMBER_ID_REQUIRED_FROM: Final = 1

_NOT_SAID: Final = -1


def consumer_group_heartbeat(
    turn: Turn, request: ConsumerGroupHeartbeatRequest, context: RequestContext, fresh_id: str
) -> None:
    """Handles ConsumerGroupHeartbeat.

    Args:
        turn: The call.
        request: The body.
        context: The rest of it.
        fresh_id: A new UUID as text, for a member that comes without an id.
    """
    try:
        _validate(turn, request, context.api_version)
        if request.member_epoch < JOIN_EPOCH:
            response = _leave(turn, request)
        else:
            response = _heartbeat(turn, request, context, fresh_id)
    except KafkaError as error:
        response = ConsumerGroupHeartbeatResponse(
            error_code=error.code, error_message=error.message
        )
    turn.outcome.reply(context.token, response)


def _validate(turn: Turn, request: ConsumerGroupHeartbeatRequest, api_version: int) -> None:
    """What can be wrong with a request by itself.

    Raises:
        KafkaError: INVALID_REQUEST or UNSUPPORTED_ASSIGNOR.
    """
    _check_not_empty("GroupId", request.group_id)
    if request.instance_id is not None:
        _check_not_empty("InstanceId", request.instance_id)
    if request.rack_id is not None:
        _check_not_empty("RackId", request.rack_id)
    epoch = request.member_epoch
    is_id_required = api_version >= MEMBER_ID_REQUIRED_FROM or epoch != JOIN_EPOCH
    if epoch < LEAVE_FOR_A_WHILE_EPOCH:
        raise _invalid("MemberEpoch is invalid.")
    if is_id_required:
        _check_not_empty("MemberId", request.member_id)
    if epoch == LEAVE_FOR_A_WHILE_EPOCH and request.instance_id is None:
        raise _invalid("InstanceId can't be null.")
    if epoch == JOIN_EPOCH:
        _validate_first(request)
    assignors = turn.config.consumer.assignors
    if request.server_assignor is not None and request.server_assignor not in assignors:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported."
            f" Supported assignors: {', '.join(assignors)}.",
        )


def _check_not_empty(name: str, value: str) -> None:
    if not value.strip():
        raise _invalid(f"{name} can't be empty.")


def _validate_first(request: ConsumerGroupHeartbeatRequest) -> None:
    if request.rebalance_timeout_ms == _NOT_SAID:
        raise _invalid("RebalanceTimeoutMs must be provided in first request.")
    if request.topic_partitions is None or request.topic_partitions:
        raise _invalid("TopicPartitions must be empty when (re-)joining.")
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        raise _invalid(
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null"
            " when (re-)joining."
        )


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


def _heartbeat(
    turn: Turn, request: ConsumerGroupHeartbeatRequest, context: RequestContext, fresh_id: str
) -> ConsumerGroupHeartbeatResponse:
    group_id = GroupId(request.group_id)
    joins = request.member_epoch == JOIN_EPOCH
    member_id = MemberId(request.member_id or fresh_id)
    owned = _owned(request.topic_partitions)
    conversion = migration.consumer_group_for(turn, group_id, may_make=joins)
    group = conversion.group
    _check_size(turn, group, member_id)
    before, replaced = _find_member(group, request, member_id, owned)
    if request.subscribed_topic_regex:
        # Only a member is told of it.
        check_regex(request.subscribed_topic_regex)
    after = _updated(before, request, context)
    if after is not before or not rests(turn, group, before):
        progress = Progress(turn, group, before, after, owned, replaced, conversion.records)
        progress.run()
        conversion.finish(turn, replaced)
        after = progress.after
    configs = turn.state.cluster.group_configs(group_id)
    config = turn.config.consumer
    session = Timer(TimerKind.CONSUMER_SESSION, group_id, after.member_id)
    turn.start_timer(session, config.session_timeout_of(configs))
    response = ConsumerGroupHeartbeatResponse(
        member_id=after.member_id,
        member_epoch=after.epoch,
        heartbeat_interval_ms=config.heartbeat_interval_of(configs),
    )
    if _is_full(request) or after.assigned != before.assigned:
        response.assignment = _assignment(after.assigned)
    return response


def _check_size(turn: Turn, group: ConsumerGroup, member_id: MemberId) -> None:
    most = turn.config.consumer.max_size
    if len(group.members) >= most and member_id not in group.members:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {most} members.",
        )


def _find_member(
    group: ConsumerGroup,
    request: ConsumerGroupHeartbeatRequest,
    member_id: MemberId,
    owned: Partitions | None,
) -> tuple[ConsumerMember, ConsumerMember | None]:
    """The member as it was, and the old self that it replaces, if it does.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID or
            UNRELEASED_INSTANCE_ID.
    """
    joins = request.member_epoch == JOIN_EPOCH
    if request.instance_id is None:
        member = group.members.get(member_id)
        if member is None:
            if not joins:
                raise unknown_member(group, member_id)
            return ConsumerMember(member_id=member_id), None
        _check_epoch(member, request.member_epoch, owned)
        return member, None
    holder = group.static_member(request.instance_id)
    if not joins:
        holder = checked_holder(holder, request.instance_id, member_id)
        _check_epoch(holder, request.member_epoch, owned)
        return holder, None
    if holder is None:
        # It may have been there without an instance, or as another one, in whatever epoch.
        return group.members.get(member_id, ConsumerMember(member_id=member_id)), None
    if holder.classic is None and not holder.is_away:
        raise KafkaError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {request.instance_id} cannot join the"
            f" group because the instance id is owned by {holder.member_id} member.",
        )
    return replace(holder, member_id=member_id, epoch=JOIN_EPOCH, previous_epoch=JOIN_EPOCH), holder


def unknown_member(group: ConsumerGroup, member_id: MemberId) -> KafkaError:
    """The error for a member that the group does not have."""
    return KafkaError(
        ErrorCode.UNKNOWN_MEMBER_ID,
        f"Member {member_id} is not a member of group {group.group_id}.",
    )


def checked_holder(
    holder: ConsumerMember | None, instance_id: str, member_id: MemberId
) -> ConsumerMember:
    """The member of an instance, if it is the one that asks.

    Raises:
        KafkaError: UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID.
    """
    if holder is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if holder.member_id != member_id:
        raise KafkaError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member"
            f" {holder.member_id}.",
        )
    return holder


def _check_epoch(member: ConsumerMember, epoch: int, owned: Partitions | None) -> None:
    """A member may say its epoch, or, when an answer got lost, the one before.

    Then what it owns shows that it missed nothing but the epoch: it must be among what it has.
    """
    if epoch == member.epoch:
        return
    if epoch > member.epoch:
        is_what = "greater"
    elif epoch == member.previous_epoch and owned is not None and is_subset(owned, member.assigned):
        return
    else:
        is_what = "smaller"
    raise KafkaError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {is_what} member epoch ({epoch}) than the one known by"
        f" the group coordinator ({member.epoch}). The member must abandon all its partitions and"
        " rejoin.",
    )


def _updated(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerMember:
    """The member with what it says of itself; the same one where that is nothing new."""
    if (
        _says_nothing(request)
        and member.classic is None
        and member.client_id == context.client_id
        and member.client_host == context.client_host
    ):
        return member
    names = request.subscribed_topic_names
    updated = replace(
        member,
        instance_id=_or(request.instance_id, member.instance_id),
        rack_id=_or(request.rack_id, member.rack_id),
        client_id=context.client_id,
        client_host=context.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms
        if request.rebalance_timeout_ms == _NOT_SAID
        else request.rebalance_timeout_ms,
        topic_names=member.topic_names if names is None else frozenset(names),
        topic_regex=member.topic_regex
        if request.subscribed_topic_regex is None
        else request.subscribed_topic_regex,
        server_assignor=_or(request.server_assignor, member.server_assignor),
        classic=None,
    )
    return member if updated == member else updated


def _says_nothing(request: ConsumerGroupHeartbeatRequest) -> bool:
    """Whether all that it says is that its member lives, as nearly all do."""
    return (
        request.rebalance_timeout_ms == _NOT_SAID
        and request.subscribed_topic_names is None
        and request.subscribed_topic_regex is None
        and request.instance_id is None
        and request.rack_id is None
        and request.server_assignor is None
    )


def _or(said: str | None, known: str | None) -> str | None:
    return known if said is None else said


def _is_full(request: ConsumerGroupHeartbeatRequest) -> bool:
    return request.member_epoch == JOIN_EPOCH or (
        request.rebalance_timeout_ms != _NOT_SAID
        and (
            request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
        )
        and request.topic_partitions is not None
    )


def _leave(turn: Turn, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse:
    group_id, member_id = GroupId(request.group_id), MemberId(request.member_id)
    group = turn.state.consumer_groups.get(group_id)
    if group is None:
        reason = "is not a consumer group" if group_id in turn.state.groups else "not found"
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {reason}.")
    if request.instance_id is None:
        member = group.members.get(member_id)
        if member is None:
            raise unknown_member(group, member_id)
    else:
        holder = group.static_member(request.instance_id)
        member = checked_holder(holder, request.instance_id, member_id)
    if request.member_epoch == LEAVE_EPOCH:
        migration.remove_members(turn, group, [member], "it left")
    else:
        away = replace(member, epoch=LEAVE_FOR_A_WHILE_EPOCH, pending_revocation=NO_PARTITIONS)
        turn.outcome.append(current_record(group_id, away))
        turn.stop_timer(Timer(TimerKind.REVOCATION, group_id, member_id))
        turn.outcome.say(
            f"static member {member.instance_id!r} left group {group_id!r} for a while"
        )
    return ConsumerGroupHeartbeatResponse(member_id=member_id, member_epoch=request.member_epoch)


def _owned(
    topics: Iterable[ConsumerGroupHeartbeatRequestTopicPartitions] | None,
) -> Partitions | None:
    if topics is None:
        return None
    owned: dict[TopicId, frozenset[int]] = {}
    for topic in topics:
        topic_id = TopicId(bytes(topic.topic_id))
        owned[topic_id] = owned.get(topic_id, frozenset()) | frozenset(topic.partitions)
    return owned


def _assignment(partitions: Mapping[TopicId, frozenset[int]]) -> Assignment:
    return Assignment(
        topic_partitions=[
            ConsumerGroupHeartbeatResponseTopicPartitions(
                topic_id=topic_id, partitions=sorted(indexes)
            )
            for topic_id, indexes in partitions.items()
        ]
    )
