"""What happens to a classic group: rebalances from their first cause to the new generation.

Rules:

- ``prepare_rebalance`` opens the barrier: every member must join again within the longest of their
  rebalance timeouts. Who does not is removed, unless static: that one keeps its place until its
  session ends.
- ``complete_join`` closes it: a protocol is chosen by vote, the generation goes up, the parked
  JoinGroups are answered, and a second timer of the same length runs until all have sent SyncGroup.
  Who does not is removed, and the group rebalances.
- Nobody who waits is forgotten: who is removed, fenced or overtaken gets an error.

Kafka's counterpart is the classic half of ``GroupMetadataManager``.
"""

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.classic import ClassicGroup, ClassicMember, GroupState
from datacore.coordinator.group.ongoing_rebalance import OngoingRebalance
from datacore.coordinator.group.records import group_metadata_record
from datacore.coordinator.group.replies import join_failed, joined, sync_failed
from datacore.coordinator.group.state import Timer, TimerKind, Turn
from datacore.protocol.names import NO_MEMBER_ID, MemberId

REJOIN_WAIT_MIN_MS = 100
"""Least wait for static members that are away, so that a rebalance timeout of 0 does not spin."""


def session_timer(group: ClassicGroup, member_id: MemberId) -> Timer:
    """The timer of a member's session."""
    return Timer(TimerKind.SESSION, group.group_id, member_id)


def renew_session(turn: Turn, group: ClassicGroup, member: ClassicMember) -> None:
    """Starts a member's session timeout again."""
    turn.start_timer(session_timer(group, member.member_id), member.session_timeout_ms)


def answer_join(
    turn: Turn,
    group: ClassicGroup,
    member: ClassicMember,
    error_code: ErrorCode,
    member_id: MemberId = NO_MEMBER_ID,
) -> None:
    """Ends a member's wait in JoinGroup, if it waits, with an error."""
    parked = group.take_join(member)
    if parked is not None:
        turn.outcome.reply(parked.token, join_failed(parked, error_code, member_id))


def answer_sync(turn: Turn, member: ClassicMember, error_code: ErrorCode) -> bool:
    """Ends a member's wait in SyncGroup, if it waits, with an error; tells whether it did."""
    parked, member.parked_sync = member.parked_sync, None
    if parked is None:
        return False
    turn.outcome.reply(parked.token, sync_failed(error_code))
    return True


def rebalance(turn: Turn, group: ClassicGroup, reason: str) -> None:
    """Starts a rebalance, or goes on with the one that is under way."""
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_join_if_all_have_joined(turn, group)
    else:
        prepare_rebalance(turn, group, reason)


def prepare_rebalance(turn: Turn, group: ClassicGroup, reason: str) -> None:
    """Opens the barrier at which all members have to join."""
    if group.state is GroupState.COMPLETING_REBALANCE:
        drop_assignments(turn, group, ErrorCode.REBALANCE_IN_PROGRESS)
    group.pending_sync.clear()
    turn.stop_timer(Timer(TimerKind.SYNC, group.group_id))
    was_empty = group.state is GroupState.EMPTY
    group.enter(GroupState.PREPARING_REBALANCE, turn.now_ms)
    if group.rebalance is None:
        group.rebalance = OngoingRebalance(turn.now_ms, reason)
    turn.outcome.say(
        f"group {group.group_id!r} rebalances after generation {group.generation}"
        f" with {len(group.members)} members: {reason}"
    )
    if was_empty:
        _wait_for_first_members(turn, group)
    elif group.all_have_joined:
        complete_join(turn, group)
    else:
        turn.start_timer(Timer(TimerKind.JOIN, group.group_id), group.rebalance_timeout_ms)


def complete_join_if_all_have_joined(turn: Turn, group: ClassicGroup) -> None:
    """Closes the barrier early; the wait for first members runs its full time."""
    if (
        group.state is GroupState.PREPARING_REBALANCE
        and group.all_have_joined
        and not group.is_initial_rebalance
    ):
        complete_join(turn, group)


def complete_join(turn: Turn, group: ClassicGroup) -> None:
    """Closes the barrier: those who are there make the next generation."""
    turn.stop_timer(Timer(TimerKind.JOIN, group.group_id))
    group.is_initial_rebalance = False
    _remove_absent_members(turn, group)
    if not group.members:
        _become_empty(turn, group)
    elif not _elect_leader(turn, group):
        # Only static members are left, and all of them are away.
        delay_ms = max(group.rebalance_timeout_ms, REJOIN_WAIT_MIN_MS)
        turn.start_timer(Timer(TimerKind.JOIN, group.group_id), delay_ms)
    else:
        _begin_generation(turn, group)


def remove_member(turn: Turn, group: ClassicGroup, member: ClassicMember, why: str) -> None:
    """Lets a member go; whatever it waited for gets UNKNOWN_MEMBER_ID, so that it joins anew.

    The caller decides what follows for the group.
    """
    answer_join(turn, group, member, ErrorCode.UNKNOWN_MEMBER_ID)
    answer_sync(turn, member, ErrorCode.UNKNOWN_MEMBER_ID)
    group.remove(member.member_id)
    turn.stop_timer(session_timer(group, member.member_id))
    turn.outcome.say(f"member {member.member_id!r} is out of group {group.group_id!r}: {why}")
    if group.rebalance is not None:
        group.rebalance.lose(member.member_id, why)


def remove_pending_member(turn: Turn, group: ClassicGroup, member_id: MemberId) -> None:
    """Forgets an id that was handed out; a barrier may have waited for nobody else."""
    group.remove(member_id)
    turn.stop_timer(session_timer(group, member_id))
    complete_join_if_all_have_joined(turn, group)


def drop_assignments(turn: Turn, group: ClassicGroup, error_code: ErrorCode) -> None:
    """Ends the wait for the leader: this generation will not become Stable."""
    for member in group.members.values():
        member.assignment = b""
        if answer_sync(turn, member, error_code):
            renew_session(turn, group, member)


def session_expired(turn: Turn, group: ClassicGroup, member_id: MemberId) -> None:
    """A member, or a pending one, was not heard of for its session timeout."""
    if member_id in group.pending_members:
        turn.outcome.say(
            f"pending member {member_id!r} is out of group {group.group_id!r}:"
            " it did not come back with its id within its session timeout"
        )
        remove_pending_member(turn, group, member_id)
        return
    member = group.members.get(member_id)
    if member is None or member.is_excused_from_heartbeat:
        # An excused member's session starts again with the answer that it waits for.
        return
    why = f"no heartbeat for {member.session_timeout_ms} ms"
    if member.is_new:
        why = f"its first JoinGroup waited {turn.config.new_member_join_timeout_ms} ms"
    remove_member(turn, group, member, why)
    if group.state is not GroupState.PREPARING_REBALANCE:
        prepare_rebalance(turn, group, f"member {member_id!r} is out: {why}")
    else:
        complete_join_if_all_have_joined(turn, group)


def join_expired(turn: Turn, group: ClassicGroup) -> None:
    """The wait at the barrier is over."""
    if group.is_initial_rebalance and group.has_new_member:
        group.has_new_member = False
        if _prolong_wait_for_first_members(turn, group):
            return
    complete_join(turn, group)


def sync_expired(turn: Turn, group: ClassicGroup) -> None:
    """Not all of a generation's members have sent SyncGroup in time."""
    for member_id in sorted(group.pending_sync):
        member = group.members[member_id]
        why = f"no SyncGroup in generation {group.generation}"
        remove_member(turn, group, member, f"{why} for {member.rebalance_timeout_ms} ms")
    prepare_rebalance(turn, group, "members did not sync in time")


def _wait_for_first_members(turn: Turn, group: ClassicGroup) -> None:
    """An empty group got a member: others may be about to come (KIP-134)."""
    delay_ms = turn.config.group_initial_rebalance_delay_ms
    if delay_ms == 0:
        complete_join(turn, group)
        return
    group.is_initial_rebalance = True
    group.has_new_member = False
    turn.start_timer(Timer(TimerKind.JOIN, group.group_id), delay_ms)


def _prolong_wait_for_first_members(turn: Turn, group: ClassicGroup) -> bool:
    """Waits once more for the delay, as long as the rebalance timeout allows; tells whether."""
    assert group.rebalance is not None
    left_ms = group.rebalance.began_ms + group.rebalance_timeout_ms - turn.now_ms
    delay_ms = min(turn.config.group_initial_rebalance_delay_ms, left_ms)
    if delay_ms <= 0:
        return False
    turn.start_timer(Timer(TimerKind.JOIN, group.group_id), delay_ms)
    return True


def _remove_absent_members(turn: Turn, group: ClassicGroup) -> None:
    """Removes the dynamic members that have not joined again."""
    for member in list(group.members.values()):
        if member.parked_join is None and not member.is_static:
            waited_ms = member.rebalance_timeout_ms
            remove_member(turn, group, member, f"no JoinGroup for {waited_ms} ms of rebalance")


def _elect_leader(turn: Turn, group: ClassicGroup) -> bool:
    """Makes sure that the leader is there; False when nobody is."""
    leader = None if group.leader_id is None else group.members.get(group.leader_id)
    if leader is not None and leader.parked_join is not None:
        return True
    for member in group.members.values():
        if member.parked_join is not None:
            group.leader_id = member.member_id
            turn.outcome.say(f"member {member.member_id!r} leads group {group.group_id!r} now")
            return True
    return False


def _become_empty(turn: Turn, group: ClassicGroup) -> None:
    group.generation += 1
    group.protocol_name = None
    group.note_subscriptions()
    group.rebalance = None
    group.enter(GroupState.EMPTY, turn.now_ms)
    turn.outcome.append(group_metadata_record(group.group_id, group.image({}, turn.now_ms)))
    turn.outcome.say(f"group {group.group_id!r} is empty in generation {group.generation}")


def _begin_generation(turn: Turn, group: ClassicGroup) -> None:
    group.generation += 1
    group.protocol_name = group.vote()
    group.note_subscriptions()
    group.enter(GroupState.COMPLETING_REBALANCE, turn.now_ms)
    group.pending_sync = set(group.members)
    for member in group.members.values():
        member.is_new = False
        renew_session(turn, group, member)
        parked = group.take_join(member)
        if parked is not None:
            turn.outcome.reply(parked.token, joined(group, member.member_id))
    turn.start_timer(Timer(TimerKind.SYNC, group.group_id), group.rebalance_timeout_ms)
