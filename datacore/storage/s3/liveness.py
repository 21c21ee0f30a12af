"""Which engines live, so that nobody takes a log away from one that does.

Rules:

- An engine overwrites ``alive/<instance>`` every two seconds. Whoever has watched it unchanged for
  five, by its own clock, takes the engine for dead; no clock is compared with another's.
- An engine of this very machine is dead as soon as its process is gone.
- A mistake costs an owner its logs and nothing else: what fences is the journal.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacore.storage.s3.journal import uptime_s

if TYPE_CHECKING:
    from datacore.storage.s3.bucket import Bucket

ALIVE: Final = "alive/"
INTERVAL_S: Final = 2.0
DEAD_AFTER_S: Final = 5.0
LOOK_INTERVAL_S: Final = 0.25


class Liveness:
    """Shows that this engine lives, and watches others.

    Attributes:
        instance: This engine's name.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.instance = f"{_process(os.getpid())}.{uuid.uuid4().hex}"
        self._bucket = bucket
        self._beats = 0
        self._watched: dict[str, tuple[bytes, float]] = {}
        """What others' objects held, and since when."""
        self._dead: dict[str, bytes | None] = {}
        self._looking = asyncio.Lock()
        self._looked_s = -float("inf")

    @property
    def key(self) -> str:
        """Of the object that shows that this engine lives."""
        return ALIVE + self.instance

    async def beat(self) -> None:
        """Shows it once more."""
        self._beats += 1
        await self._bucket.put(self.key, str(self._beats).encode())

    async def end(self) -> None:
        """Shows that it does not any more."""
        await self._bucket.delete([self.key])

    async def lives(self, instance: str) -> bool:
        """Whether another engine lives, or has not been watched for long enough to know."""
        if _has_ended(instance):
            return False
        async with self._looking:
            if uptime_s() - self._looked_s < LOOK_INTERVAL_S:
                return instance not in self._dead
            self._looked_s = uptime_s()
            beat = await self._bucket.get(ALIVE + instance)
        if beat is None or self._dead.get(instance) == beat:
            self._dead[instance] = beat
            return False
        self._dead.pop(instance, None)
        before = self._watched.get(instance)
        if before is None or before[0] != beat:
            self._watched[instance] = (beat, uptime_s())
            return True
        if uptime_s() - before[1] < DEAD_AFTER_S:
            return True
        self._dead[instance] = beat
        return False


def _process(pid: int) -> str:
    """What tells a process of this machine from all others that were and will be; "" unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        names = Path("/proc/self/ns/pid").readlink().name
        born = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError, UnicodeError):
        return ""
    return f"{boot}.{names.strip('pid:[]')}.{pid}.{born}"


def _has_ended(instance: str) -> bool:
    """Whether it was a process of this machine, which is gone."""
    process = instance.rpartition(".")[0]
    here = _process(os.getpid())
    if not process or not here or process.split(".")[:2] != here.split(".")[:2]:
        return False
    pid = process.split(".")[2]
    return _process(int(pid)) != process
