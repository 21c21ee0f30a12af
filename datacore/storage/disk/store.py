"""What all logs of one disk engine share."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from datacore.storage.disk.buffer_pool import BufferPool
    from datacore.storage.disk.config import DiskConfig
    from datacore.storage.disk.durable_ends import DurableEnds
    from datacore.storage.disk.files import Files
    from datacore.storage.disk.flusher import Flusher
    from datacore.storage.disk.segment import OpenFiles

LOGGER: Final = logging.getLogger("datacore.storage.disk")


class Janitor:
    """Removes files that nobody needs any more, in a thread: a gigabyte takes a while to unlink.

    Whoever asks has given them names that recovery removes (``unique_suffix``), so what is not due
    when the process ends goes at the next start. Kafka's counterpart: its scheduled deletion of
    ``.deleted`` files and ``-delete`` folders.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._lock = threading.Condition()
        self._due: list[tuple[float, int, list[Callable[[], None]]]] = []
        """A heap, by the time on the monotonic clock."""
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="datacore-disk-janitor", daemon=True)
        self._thread.start()

    def unique_suffix(self) -> str:
        """For the new name of a file that is to go, so that its old name is free at once."""
        return f".{os.getpid()}-{next(self._numbers)}.deleted"

    def remove_files(self, paths: Iterable[Path], *, delay_ms: int) -> None:
        """Removes files after a while; missing ones are fine."""
        self._add([path.unlink for path in paths], delay_ms)

    def remove_folder(self, path: Path, *, delay_ms: int) -> None:
        """Removes a folder and all that is in it after a while."""
        self._add([lambda: shutil.rmtree(path)], delay_ms)

    def stop(self) -> None:
        """Finishes what is due; waits for it."""
        with self._lock:
            self._is_stopping = True
            self._lock.notify()
        self._thread.join()

    def _add(self, removals: list[Callable[[], None]], delay_ms: int) -> None:
        due_s = time.monotonic() + delay_ms / 1000
        with self._lock:
            heapq.heappush(self._due, (due_s, next(self._numbers), removals))
            self._lock.notify()

    def _run(self) -> None:
        while (removals := self._next_due()) is not None:
            for remove in removals:
                try:
                    remove()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    LOGGER.warning("cannot remove, the next start will try again: %s", error)

    def _next_due(self) -> list[Callable[[], None]] | None:
        """Waits for the next removals; None at the end."""
        with self._lock:
            while True:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                if self._is_stopping:
                    return None
                self._lock.wait(None if wait_s is None else min(wait_s, threading.TIMEOUT_MAX))


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of an engine that its logs use."""

    config: DiskConfig
    files: Files
    flusher: Flusher
    open_files: OpenFiles
    pool: BufferPool
    janitor: Janitor
    durable_ends: DurableEnds
