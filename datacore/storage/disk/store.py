"""What all logs of one disk engine share."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
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
    """Removes files that nobody needs any more, in a thread: a gigabyte takes a while to unlink."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="datacore-disk-janitor")
        self._numbers = itertools.count()

    def unique_suffix(self) -> str:
        """For the new name of a file that is to go, so that its old name is free at once."""
        return f".{os.getpid()}-{next(self._numbers)}.deleted"

    def remove_files(self, paths: Iterable[Path]) -> None:
        """Removes files; missing ones are fine."""
        self._thread.submit(self._logged, [path.unlink for path in paths])

    def remove_folder(self, path: Path) -> None:
        """Removes a folder and all that is in it."""
        self._thread.submit(self._logged, [lambda: shutil.rmtree(path)])

    def stop(self) -> None:
        """Finishes what was asked for."""
        self._thread.shutdown()

    def _logged(self, removals: list[Callable[[], None]]) -> None:
        for remove in removals:
            try:
                remove()
            except FileNotFoundError:
                continue
            except OSError as error:
                LOGGER.warning("cannot remove, the next start will try again: %s", error)


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
