"""What the log tells of a rebalance when it is over: how long it took, why, and who is out by it.

One sentence, however many members were lost: the first few are named, the others counted. Nothing
of it is durable; a new coordinator begins anew.
"""

from dataclasses import dataclass, field
from typing import Final

NAMED_MAX: Final = 3


@dataclass(slots=True)
class OngoingRebalance:
    """A rebalance that goes on.

    Attributes:
        began_ms: When it began.
        reason: And why.
    """

    began_ms: int
    reason: str
    _named: list[str] = field(default_factory=list)
    _lost: int = 0

    def lose(self, member_id: str, why: str) -> None:
        """Notes a member that is out since it began."""
        self._lost += 1
        if self._lost <= NAMED_MAX:
            self._named.append(f"; member {member_id!r} is out: {why}")

    def told(self, now_ms: int) -> str:
        """The end of the sentence that tells that it is over."""
        others = self._lost - len(self._named)
        more = f"; and {others} more" if others else ""
        return f"{now_ms - self.began_ms} ms after: {self.reason}{''.join(self._named)}{more}"
