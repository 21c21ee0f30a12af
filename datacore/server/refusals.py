"""Log lines that strangers can cause, so many per span of time and the rest as a number.

Rule: whoever floods the port with garbage gets no full disk for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_LINES_MAX: Final = 20
_SPAN_S: Final = 10.0


class RefusalLog:
    """Writes at most 20 lines in 10 seconds, and how many more there would have been."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._span_ends_s = clock_s() + _SPAN_S
        self._written = 0
        self._held_back = 0

    def warning(self, line: str) -> None:
        """Writes the line, or counts it."""
        self.turn_span()
        if self._written < _LINES_MAX:
            self._written += 1
            logger.warning("%s", line)
        else:
            self._held_back += 1

    def turn_span(self) -> None:
        """Begins a new span where the old one is over, telling what the old one held back."""
        if self._clock_s() < self._span_ends_s:
            return
        if self._held_back:
            logger.warning("refused %d more connections of this kind", self._held_back)
        self._span_ends_s = self._clock_s() + _SPAN_S
        self._written = self._held_back = 0
