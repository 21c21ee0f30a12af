"""What runs out for members of consumer groups, and what a new coordinator waits for.

Kafka's counterparts are the timers of its ``GroupMetadataManager``.
"""

from datacore.coordinator.group.consumer.group import ConsumerGroup
from datacore.coordinator.group.consumer.member import ConsumerMember, MemberState
from datacore.coordinator.group.consumer.migration import remove_members
from datacore.coordinator.group.state import Timer, TimerKind, Turn


def member_expired(turn: Turn, timer: Timer) -> None:
    """One of a member's timers has run out: the member is out of its group."""
    group = turn.state.consumer_groups[timer.group_id]
    member = group.members[timer.member_id]
    rebalance_ms = member.rebalance_timeout_ms
    match timer.kind:
        case TimerKind.REVOCATION:
            if member.state is not MemberState.UNREVOKED_PARTITIONS:
                return
            why = f"it has not given up its partitions for {rebalance_ms} ms"
        case TimerKind.CLASSIC_JOIN:
            why = f"no JoinGroup for {rebalance_ms} ms of rebalance"
        case TimerKind.CLASSIC_SYNC:
            why = f"no SyncGroup in epoch {member.epoch} for {rebalance_ms} ms"
        case _:
            why = f"no heartbeat for {session_timeout_ms(turn, group, member)} ms"
    remove_members(turn, group, [member], why)


def session_timeout_ms(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> int:
    """How long a member may be silent."""
    if member.classic is not None:
        return member.classic.session_timeout_ms
    configs = turn.state.cluster.group_configs(group.group_id)
    return turn.config.consumer.session_timeout_of(configs)


def expect_members(turn: Turn, group: ConsumerGroup) -> None:
    """A new coordinator's members have a session to show up in."""
    for member in group.members.values():
        session = Timer(TimerKind.CONSUMER_SESSION, group.group_id, member.member_id)
        turn.start_timer(session, session_timeout_ms(turn, group, member))
        is_revoking = member.state is MemberState.UNREVOKED_PARTITIONS and not member.is_away
        if is_revoking and member.classic is None:
            revocation = Timer(TimerKind.REVOCATION, group.group_id, member.member_id)
            turn.start_timer(revocation, member.rebalance_timeout_ms)
