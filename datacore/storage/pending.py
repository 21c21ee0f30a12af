"""An answer that comes later, without a task, a timer or a turn of the event loop.

Rules: a ``Pending`` is settled exactly once, on the event loop's thread; whoever waits is called
at once, in the order in which they asked. ``asyncio.Future`` defers each callback to the loop's
next turn, which costs more than the whole work of answering a produce request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")


class Pending(Generic[T]):
    """A value of type ``T``, or an error, that is not there yet."""

    __slots__ = ("_callbacks", "_error", "_value", "is_settled")

    def __init__(self) -> None:
        self.is_settled = False
        self._callbacks: list[Callable[[Pending[T]], None]] | None = None
        """None while nobody waits: most answers are there before anybody could."""
        self._error: Exception | None = None
        self._value: T | None = None

    @property
    def error(self) -> Exception | None:
        """Why there is no value; None while unsettled and on success."""
        return self._error

    def result(self) -> T:
        """The value.

        Raises:
            Exception: The error that this was failed with.
        """
        assert self.is_settled
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # settled without error: it is a T

    def resolve(self, value: T) -> None:
        """Settles with a value and calls everybody who waits."""
        assert not self.is_settled
        self._value = value
        self._settle()

    def fail(self, error: Exception) -> None:
        """Settles with an error and calls everybody who waits."""
        assert not self.is_settled
        self._error = error
        self._settle()

    def follow(self, other: Pending[T]) -> None:
        """Settles as another one has settled; a callback for its ``then``."""
        if other.error is None:
            self.resolve(other.result())
        else:
            self.fail(other.error)

    def then(self, callback: Callable[[Pending[T]], None]) -> None:
        """Calls ``callback(self)`` when this is settled; at once if it already is."""
        if self.is_settled:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def _settle(self) -> None:
        self.is_settled = True
        callbacks = self._callbacks
        if callbacks is None:
            return
        self._callbacks = None
        failure: Exception | None = None
        for callback in callbacks:
            try:
                callback(self)
            except Exception as error:  # noqa: BLE001  # raised below: the others are called first
                failure = failure or error
        if failure is not None:
            raise failure

    def __await__(self) -> Generator[object, None, T]:
        if not self.is_settled:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def wake(_: Pending[T]) -> None:
                if not future.done():
                    future.set_result(None)

            self.then(wake)
            yield from future
        return self.result()
