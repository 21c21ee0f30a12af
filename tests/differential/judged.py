"""A sequence that was played at both, and what is to be thought of each difference in it.

A sequence ends with the first step that has an unexplained difference, or an explained one whose
line says that the two go separate ways from there on.
"""

from dataclasses import dataclass, field

from tests.differential.arena import Arena
from tests.differential.duel import Difference
from tests.differential.known_differences import (
    AdminDifference,
    ConfigDifference,
    admin_differences,
    config_differences,
    sequence_differences,
)
from tests.differential.sequences import Step

__all__ = ["Judged", "judged"]


@dataclass(slots=True)
class Judged:
    """What came of one sequence.

    Attributes:
        requests: How many both were asked.
        explained: Each difference that a line explains, with the line's reason.
        unexplained: The differences in its last step that none explains.
    """

    requests: int = 0
    explained: list[tuple[str, Difference]] = field(default_factory=list)
    unexplained: list[Difference] = field(default_factory=list)


def judged(place: Arena, steps: list[Step]) -> Judged:
    """Plays a sequence in an arena."""
    found = Judged()
    duel = place.duel()
    try:
        for step in (*steps, None):
            differences = duel.last_differences() if step is None else duel.differences(step)
            found.requests = duel.requests
            goes_on = [_is_compared_on(found, place.release, each) for each in differences]
            if not all(goes_on):
                return found
        return found
    finally:
        duel.close()


def _is_compared_on(found: Judged, release: str, difference: Difference) -> bool:
    """Whether a difference, which is noted, leaves anything to compare behind it."""
    known = [each for each in sequence_differences() if each.is_about(release, difference)]
    if known:
        found.explained += [(each.reason, difference) for each in known[:1]]
        return not any(each.ends for each in known)
    reason = _reason_elsewhere(difference)
    if reason is None:
        found.unexplained.append(difference)
        return False
    found.explained.append((reason, difference))
    return True


def _reason_elsewhere(difference: Difference) -> str | None:
    """Why, if the tests of single requests about the cluster know it."""
    step, theirs, ours = difference.step, difference.theirs, difference.ours
    if not step.is_about_the_cluster or "closed" in (theirs, ours):
        return None
    known: list[ConfigDifference | AdminDifference] = [*config_differences(), *admin_differences()]
    reasons = (each.reason for each in known if each.is_about(step.request, [*theirs], [*ours]))
    return next(reasons, None)
