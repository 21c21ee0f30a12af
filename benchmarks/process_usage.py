"""What a process has used, from the operating system's own accounting (Linux)."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2
"""The kernel's name of the clock that counts what a process was scheduled for (CPUCLOCK_SCHED)."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU seconds: all of them to the nanosecond, their kinds to the tick of 10 ms."""

    total_s: float
    user_ticks: int
    system_ticks: int

    @property
    def user_s(self) -> float:
        """The share that was not spent in the kernel."""
        ticks = self.user_ticks + self.system_ticks
        return self.total_s * self.user_ticks / ticks if ticks else self.total_s

    def since(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(
            self.total_s - earlier.total_s,
            self.user_ticks - earlier.user_ticks,
            self.system_ticks - earlier.system_ticks,
        )


def cpu_time(pid: int) -> CpuTime:
    """CPU time of all threads of a process so far, of those that have ended too."""
    # The second field, the program's name, may hold spaces; it ends with the last bracket.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return CpuTime(time.clock_gettime((~pid << 3) | _SCHEDULED), int(fields[11]), int(fields[12]))


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory, whole and anonymous, in MiB."""
    values = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in {"VmRSS", "RssAnon"}:
            values[name] = int(value.split()[0]) / 1024
    return values


def take_back_free_memory(folder: Path, size: int) -> None:
    """Has the kernel's next so many bytes of page cache be memory that this machine has at hand.

    A hypervisor takes free memory away and brings each page back at its first touch: on the
    machine of docs/performance.md a new GB of page cache costs any writer 1.9 CPU seconds of the
    kernel, and 0.2 when the pages belonged to a file until a moment ago. Whichever broker a run
    begins with is not to pay for that.
    """
    chunk = bytes(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(-(-size // len(chunk))):
            file.write(chunk)


def drop_from_page_cache(folder: Path) -> None:
    """Makes every file of a folder one that must be read from its device."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
