"""How much of something happens a second, as Kafka measures it for quotas.

Rules: time comes in as an argument, in milliseconds. Kafka's counterparts: ``Rate`` over
``SampledStat``, ``TokenBucket``, ``QuotaUtils``.
"""

from __future__ import annotations

from collections import deque
from typing import Final

THROTTLE_MS_MAX: Final = 2**31 - 1


class WindowedRate:
    """The rate over some windows of a fixed length.

    A window begins with what is recorded first behind the one before. The rate is what all windows
    hold, by the time since the oldest began, but at least by one window: a burst of one window is
    free after a silence. Kafka frees as much as all windows but one could hold, ten seconds' worth
    by default, and lets a fast client through at a tenth more than its quota for minutes
    (``docs/decisions/0022-a-burst-of-one-window.md``).
    """

    __slots__ = ("_samples", "_window_ms", "_windows")

    def __init__(self, windows: int, window_ms: int) -> None:
        self._windows = windows
        self._window_ms = window_ms
        self._samples: deque[list[float]] = deque(maxlen=windows)
        """Each: when it began, and how much it holds."""

    def record(self, amount: float, now_ms: float) -> None:
        """Counts what has just happened."""
        samples = self._samples
        if samples and now_ms - samples[-1][0] < self._window_ms:
            samples[-1][1] += amount
        else:
            samples.append([now_ms, amount])

    def throttle_ms(self, limit: float, now_ms: float) -> int:
        """How long nothing may happen for the rate to be down at the limit."""
        samples = self._samples
        while samples and now_ms - samples[0][0] >= self._windows * self._window_ms:
            samples.popleft()
        if not samples:
            return 0
        span_ms = max(now_ms - samples[0][0], self._window_ms)
        total = sum(amount for _, amount in samples)
        over = total * 1000 / span_ms - limit
        return min(round(over / limit * span_ms), THROTTLE_MS_MAX) if over > 0 else 0


class TokenBucket:
    """Tokens that come back at a rate, up to a burst; they may be overdrawn once (KIP-599)."""

    __slots__ = ("_burst_s", "_filled_ms", "_tokens")

    def __init__(self, windows: int, window_ms: int) -> None:
        self._burst_s = windows * window_ms / 1000
        self._tokens = float("inf")
        self._filled_ms = 0.0

    def record(self, amount: float, now_ms: float) -> None:
        """Takes tokens."""
        del now_ms  # the bucket was filled up by whoever asked whether it may
        self._tokens -= amount

    def throttle_ms(self, limit: float, now_ms: float) -> int:
        """How long it takes for no token to be owed."""
        gained = (now_ms - self._filled_ms) / 1000 * limit
        self._tokens = min(self._tokens + gained, limit * self._burst_s)
        self._filled_ms = now_ms
        return min(round(-self._tokens / limit * 1000), THROTTLE_MS_MAX) if self._tokens < 0 else 0
