"""How many files the process may open, and how many of them may be clients' sockets.

A process that runs out of file descriptors accepts nobody, rolls no log and, worst, tells neither.
So the limit is raised as far as the operating system lets a process do that itself, as Java's
virtual machine does, and what is left to the storage engine and the process is taken by no client.
"""

from __future__ import annotations

import resource
from typing import Final

_RESERVED: Final = 64
"""Listeners, the event loop, log files, state files that are open for a moment."""

_UNLIMITED: Final = 1 << 20
"""What Linux lets no process exceed unless it is told to."""


def raise_open_files_limit() -> None:
    """Lets this process open as many files as it may."""
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard_limit == resource.RLIM_INFINITY else hard_limit
    if soft_limit != resource.RLIM_INFINITY and soft_limit < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard_limit))
        except (OSError, ValueError):
            return  # macOS has a lower limit of its own: then the soft one stays


def connections_that_fit() -> int:
    """So many clients leave the storage engine its half of what the process may open."""
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft_limit == resource.RLIM_INFINITY:
        return _UNLIMITED
    return max(soft_limit // 2 - _RESERVED, 1)
