"""How the calls of a shard go, whatever the shard keeps.

One call at a time: each gets a turn, and the records that it decided on are applied before the
next one (outcome.py says what the runtime owes to both).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from datacore.coordinator.context import RequestContext
from datacore.coordinator.outcome import Outcome


class ShardTurn(Protocol):
    """One call's hold on a shard's state."""

    outcome: Outcome


Request = TypeVar("Request")
TurnT = TypeVar("TurnT", bound=ShardTurn)


class Shard(ABC, Generic[TurnT]):
    """The frame of every call.

    Attributes:
        skipped_records: Records of types that are not known here, as newer Kafka may write them.
    """

    def __init__(self) -> None:
        self.skipped_records = 0
        self._is_live = False
        self._records_to_apply = 0

    def withdraw(self) -> None:
        """The last outcome's records were not appended, and ``is_only_records``: it never was."""
        self._records_to_apply = 0

    @abstractmethod
    def _turn(self, now_ms: int) -> TurnT:
        """A call's hold on the state."""

    def _handle(
        self,
        handler: Callable[[TurnT, Request, RequestContext], None],
        request: Request,
        context: RequestContext,
    ) -> Outcome:
        turn = self._begin(context.now_ms)
        handler(turn, request, context)
        return self._end(turn)

    def _begin(self, now_ms: int) -> TurnT:
        assert self._is_live, "a shard is loaded before it is asked"
        assert not self._records_to_apply, "an outcome's records are applied before the next call"
        return self._turn(now_ms)

    def _begin_to_lead(self, now_ms: int) -> TurnT:
        """The call before all others."""
        assert not self._is_live
        self._is_live = True
        return self._turn(now_ms)

    def _give_up(self) -> TurnT:
        """The call after all others, whatever the state; nobody asks for the time any more."""
        self._is_live = False
        return self._turn(0)

    def _applies_one(self) -> None:
        """One of the records that were decided on is being applied."""
        self._records_to_apply = max(0, self._records_to_apply - 1)

    def _end(self, turn: TurnT) -> Outcome:
        self._records_to_apply = len(turn.outcome.records)
        return turn.outcome
