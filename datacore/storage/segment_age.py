"""When an extent of a log is too old for another append, as ``SegmentLimits`` has it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datacore.storage.engine import SegmentLimits

NEVER_MS: Final = 1 << 63
"""No timestamp is above it."""


def last_timestamp_ms(limits: SegmentLimits | None, first_timestamp_ms: int) -> int:
    """The largest timestamp that still belongs to an extent whose first one this is.

    Jitter is thrown here, once for each extent: logs that were made together do not roll together.
    """
    if limits is None or first_timestamp_ms < 0:
        return NEVER_MS
    jitter_ms = min(limits.jitter_ms, limits.age_ms)
    if jitter_ms:
        jitter_ms = random.randrange(jitter_ms)  # noqa: S311  # nobody gains by guessing it
    return first_timestamp_ms + limits.age_ms - jitter_ms
