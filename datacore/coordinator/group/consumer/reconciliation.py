"""One member's next step towards its target, as a pure function (Kafka: CurrentAssignmentBuilder).

What is taken away is given up before anything new is given: first the member is told to revoke, and
stays in its epoch; when it says that it no longer owns those partitions, it moves to the target's
epoch and gets what nobody else owns; what others still own it gets once they have given it up.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.consumer.member import (
    NO_PARTITIONS,
    ConsumerMember,
    MemberState,
    Partitions,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId

IsFree = Callable[[TopicId, int], bool]

_NONE: Final[frozenset[int]] = frozenset()


def reconcile(
    member: ConsumerMember,
    target_epoch: int,
    target: Partitions,
    owned: Partitions | None,
    is_free: IsFree,
) -> ConsumerMember:
    """The member after its next step; the same one where there is none to take.

    Args:
        member: As it is.
        target_epoch: The epoch of the newest target.
        target: What it shall have.
        owned: What it says to own; None where it says nothing, so that it may own anything.
        is_free: Whether nobody owns a partition.

    Raises:
        KafkaError: FENCED_MEMBER_EPOCH: a newer coordinator left it in a state that is unknown
            here, so it has to begin again.
    """
    if member.is_reconciled_to(target_epoch):
        return member
    match member.state:
        case MemberState.UNREVOKED_PARTITIONS:
            if _owns_any(owned, member.pending_revocation):
                return member
            # Of what it was told to revoke it owns nothing: one epoch on, and from there to the
            # target, which may take more away.
            return _step(member, member.epoch + 1, target_epoch, target, owned, is_free)
        case MemberState.UNKNOWN:
            if owned is None or owned:
                raise KafkaError(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    "The consumer group member is in a unknown state. "
                    "The member must abandon all its partitions and rejoin.",
                )
            return _step(member, target_epoch, target_epoch, target, owned, is_free)
        case MemberState.STABLE | MemberState.UNRELEASED_PARTITIONS:
            return _step(member, member.epoch, target_epoch, target, owned, is_free)


def _step(
    member: ConsumerMember,
    epoch: int,
    target_epoch: int,
    target: Partitions,
    owned: Partitions | None,
    is_free: IsFree,
) -> ConsumerMember:
    kept, revoked, given = {}, {}, {}
    is_missing_some = False
    for topic_id, had in member.assigned.items():
        wanted = target.get(topic_id, _NONE)
        if stays := had & wanted:
            kept[topic_id] = stays
        if goes := had - wanted:
            revoked[topic_id] = goes
    for topic_id, wanted in target.items():
        comes = wanted - kept.get(topic_id, _NONE)
        free = frozenset(index for index in comes if is_free(topic_id, index))
        is_missing_some |= len(free) < len(comes)
        if free:
            given[topic_id] = free
    if revoked and _owns_any(owned, revoked):
        return _moved(
            member,
            epoch,
            MemberState.UNREVOKED_PARTITIONS,
            _same_if_equal(member.assigned, kept),
            revoked,
        )
    for topic_id, indexes in given.items():
        kept[topic_id] = kept.get(topic_id, _NONE) | indexes
    state = MemberState.UNRELEASED_PARTITIONS if is_missing_some else MemberState.STABLE
    return _moved(member, target_epoch, state, _same_if_equal(member.assigned, kept), NO_PARTITIONS)


def _moved(
    member: ConsumerMember,
    epoch: int,
    state: MemberState,
    assigned: Partitions,
    pending_revocation: Partitions,
) -> ConsumerMember:
    return replace(
        member,
        epoch=epoch,
        previous_epoch=member.epoch,
        state=state,
        assigned=assigned,
        pending_revocation=pending_revocation,
    )


def _same_if_equal(before: Partitions, after: Partitions) -> Partitions:
    return before if before == after else after


def _owns_any(owned: Partitions | None, partitions: Partitions) -> bool:
    return owned is None or any(
        not indexes.isdisjoint(owned.get(topic_id, _NONE))
        for topic_id, indexes in partitions.items()
    )
