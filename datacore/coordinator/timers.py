"""Deadlines of a coordinator: named, ordered, moved cheaply, and fired by whoever has a clock.

Rules: one deadline a name; scheduling a name again replaces its deadline; what fires, and in which
order, follows from the calls alone. A heartbeat moves its session's deadline to a later time,
which touches a dict and not the heap: the heap's entry is moved when its old time comes up.

Kafka's counterpart is ``CoordinatorTimer``.
"""

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Timers(Generic[Name]):
    """A set of named deadlines in ms."""

    __slots__ = ("_due_ms", "_heap", "_queued_ms", "_sequence")

    def __init__(self) -> None:
        self._due_ms: dict[Name, int] = {}
        # The earliest heap entry of each name: never later than its deadline.
        self._queued_ms: dict[Name, int] = {}
        self._heap: list[tuple[int, int, Name]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._due_ms)

    def __contains__(self, name: Name) -> bool:
        return name in self._due_ms

    def schedule(self, name: Name, due_ms: int) -> None:
        """Sets or moves the deadline of a name."""
        self._due_ms[name] = due_ms
        queued_ms = self._queued_ms.get(name)
        if queued_ms is None or due_ms < queued_ms:
            self._push(name, due_ms)

    def cancel(self, name: Name) -> None:
        """Forgets a name's deadline, if it has one."""
        self._due_ms.pop(name, None)

    def deadline(self) -> int | None:
        """The next deadline; None when there is none."""
        self._settle_head()
        return self._heap[0][0] if self._heap else None

    def may_be_due_before(self, ms: int) -> bool:
        """Whether a deadline may lie before ``ms``; False is certain, and costs next to nothing."""
        return bool(self._heap) and self._heap[0][0] < ms

    def pop_due(self, now_ms: int) -> Name | None:
        """Takes the first name whose deadline is not after ``now_ms``; None when there is none."""
        self._settle_head()
        if not self._heap or self._heap[0][0] > now_ms:
            return None
        _, _, name = heappop(self._heap)
        del self._queued_ms[name]
        del self._due_ms[name]
        return name

    def _push(self, name: Name, due_ms: int) -> None:
        self._queued_ms[name] = due_ms
        heappush(self._heap, (due_ms, self._sequence, name))
        self._sequence += 1

    def _settle_head(self) -> None:
        """Makes the head of the heap a deadline that holds."""
        while self._heap:
            queued_ms, _, name = self._heap[0]
            due_ms = self._due_ms.get(name)
            is_latest_entry = self._queued_ms.get(name) == queued_ms
            if is_latest_entry and due_ms == queued_ms:
                return
            heappop(self._heap)
            if is_latest_entry:
                del self._queued_ms[name]
                if due_ms is not None:
                    self._push(name, due_ms)
