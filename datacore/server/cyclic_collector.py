"""Python's cyclic collector, set for a process that serves.

A collection stops everybody, and the larger ones go through every object that there is: with what a
broker has imported and opened, 15 ms and more. Requests make no cycles, so there is little to find;
but those that are parked for durability look like growth, and set collections off.
"""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 10_000
"""More than there are before the collector looks for cycles among them: some thousand parked
requests fit. Python's own number is 700."""


def spare_lasting_objects() -> None:
    """Has the collector pass over all that exists by now: it lasts as long as the process."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
