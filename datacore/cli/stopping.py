"""Ctrl-C and SIGTERM as a wish: the loop that sees it ends in order; a second one ends at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_wished() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether to stop, and takes the signals back at the end."""
    wished = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: object) -> None:
        nonlocal wished
        wished = True
        give_back()

    for number in before:
        signal.signal(number, stop)
    try:
        yield lambda: wished
    finally:
        give_back()
