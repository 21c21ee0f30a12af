"""The disk engine: the default, made for one host and one process.

::

    <data_dir>/lock                     held by the one process that may write here
    <data_dir>/ends                     up to where each log is durable (``durable_ends.py``)
    <data_dir>/deleted/                 logs that are being removed
    <data_dir>/logs/<log>/state         owner epoch, start offset, recovery point (``state.py``)
    <data_dir>/logs/<log>/snapshot      what the log's owner wants to find again (``snapshot.py``)
    <data_dir>/logs/<log>/<base offset>.log, .index, .timeindex     Kafka's segment files

Rules: ``Engine`` in ``datacore.storage.engine`` is the contract; a log itself is ``log.py``. What
may wait for a device runs in worker threads, the flusher's thread or the janitor's.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from datacore.storage.disk.buffer_pool import BufferPool
from datacore.storage.disk.durable_ends import DurableEnds
from datacore.storage.disk.files import Files
from datacore.storage.disk.flusher import Flusher
from datacore.storage.disk.log import DiskLog
from datacore.storage.disk.recovery import open_folder
from datacore.storage.disk.segment import OpenFiles
from datacore.storage.disk.store import LOGGER, Janitor, Store
from datacore.storage.engine import Fenced, LogName, Space, StorageError
from datacore.storage.log_name import check_log_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datacore.storage.disk.config import DiskConfig
    from datacore.storage.engine import EngineLog


class DiskEngine:
    """Logs in a folder of this host."""

    def __init__(self, config: DiskConfig, *, files: Files | None = None) -> None:
        """Names the store; ``start`` opens it.

        Args:
            config: Where it is, and its settings.
            files: The operating system's files, or a test's that fail.
        """
        self._config = config
        self._files = Files() if files is None else files
        self._logs_folder = config.data_dir / "logs"
        self._deleted_folder = config.data_dir / "deleted"
        self._lock_fd = -1
        self._ends = DurableEnds(self._files)
        self._store: Store | None = None
        self._names: set[LogName] = set()
        self._logs: dict[LogName, DiskLog] = {}
        self._openings: WeakValueDictionary[LogName, anyio.Lock] = WeakValueDictionary()

    @property
    def place(self) -> str:
        """See ``Engine.place``: the absolute path of the folder."""
        return str(self._config.data_dir.absolute())

    async def space(self) -> Space:
        """See ``Engine.space``: that of the file system, and of it what this process may use."""
        try:
            found = await anyio.to_thread.run_sync(os.statvfs, self._config.data_dir)
        except OSError as error:
            message = f"cannot look at {self._config.data_dir}: {error}"
            raise StorageError(message) from error
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    async def start(self) -> None:
        """See ``Engine.start``."""
        try:
            self._names = await anyio.to_thread.run_sync(self._prepare_folders)
        except OSError as error:
            message = f"cannot use {self._config.data_dir} as data_dir: {error}"
            raise StorageError(message) from error
        janitor = Janitor()
        self._store = Store(
            self._config,
            self._files,
            Flusher(asyncio.get_running_loop()),
            OpenFiles(self._open_files_max()),
            BufferPool(self._config.read_pool_buffers),
            janitor,
            self._ends,
        )
        for leftover in await anyio.to_thread.run_sync(os.listdir, self._deleted_folder):
            janitor.remove_folder(self._deleted_folder / leftover, delay_ms=0)

    async def list_logs(self) -> Sequence[LogName]:
        """See ``Engine.list_logs``."""
        return list(self._names)

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        """See ``Engine.open_log``."""
        check_log_name(name)
        self._running()
        async with self._opening(name):
            before = self._logs.get(name)
            if before is not None:
                await self._take_over(before, epoch)
            try:
                opened = await anyio.to_thread.run_sync(
                    lambda: open_folder(
                        self._files,
                        self._config,
                        self._logs_folder / name,
                        epoch=epoch,
                        durable_end=self._ends.of(name).offset,
                    )
                )
            except OSError as error:
                message = f"cannot open {name}: {error}"
                raise StorageError(message) from error
            store = self._running()
            log = DiskLog(store, name, opened)
            self._logs[name] = log
            self._names.add(name)
            return log

    async def delete_log(self, name: LogName) -> None:
        """See ``Engine.delete_log``."""
        check_log_name(name)
        store = self._running()
        async with self._opening(name):
            log = self._logs.pop(name, None)
            if log is not None:
                await self._retire_anyhow(log, StorageError(f"{name} was deleted"))
            if name not in self._names:
                return
            doomed = self._deleted_folder / f"{len(self._names)}{store.janitor.unique_suffix()}"
            try:
                await anyio.to_thread.run_sync(self._ends.forget, name)
                await anyio.to_thread.run_sync(os.rename, self._logs_folder / name, doomed)
                await anyio.to_thread.run_sync(self._files.sync_folder, self._logs_folder)
            except OSError as error:
                message = f"cannot delete {name}: {error}"
                raise StorageError(message) from error
            self._names.discard(name)
            delay_ms = 0 if log is None else log.file_handling.delete_delay_ms
            store.janitor.remove_folder(doomed, delay_ms=delay_ms)

    async def close(self) -> None:
        """See ``Engine.close``."""
        store = self._store
        if store is None:
            return
        self._store = None
        try:
            async with anyio.create_task_group() as closing:
                for log in self._logs.values():
                    if log.is_released:
                        continue
                    refusal = StorageError(f"{log.name} is closed")
                    closing.start_soon(self._retire_anyhow, log, refusal)
        finally:
            await anyio.to_thread.run_sync(store.flusher.stop)
            await anyio.to_thread.run_sync(store.janitor.stop)
            self._ends.close()
            os.close(self._lock_fd)

    async def _take_over(self, before: DiskLog, epoch: int) -> None:
        """Fences the owner that has the log open.

        Raises:
            Fenced: It has a higher epoch.
            StorageError: It has the same one.
        """
        if epoch < before.epoch:
            message = f"{before.name} was opened with epoch {before.epoch}, not {epoch}"
            raise Fenced(message)
        if before.is_open and epoch == before.epoch:
            message = f"{before.name} is open already, with the same epoch {epoch}"
            raise StorageError(message)
        await self._retire_anyhow(before, Fenced(f"{before.name} was opened with epoch {epoch}"))

    async def _retire_anyhow(self, log: DiskLog, refusal: StorageError) -> None:
        """Closes a log; what it could not make durable was reported to those who wait for it."""
        try:
            await log.retire(refusal)
        except StorageError as error:
            LOGGER.error("%s", error)

    def _running(self) -> Store:
        if self._store is None:
            message = "the disk engine is not running"
            raise StorageError(message)
        return self._store

    def _opening(self, name: LogName) -> anyio.Lock:
        """One opening or deletion of a log at a time."""
        return self._openings.setdefault(name, anyio.Lock())

    def _prepare_folders(self) -> set[LogName]:
        data_dir = self._config.data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_fd = _lock(data_dir / "lock")
        try:
            self._logs_folder.mkdir(exist_ok=True)
            self._deleted_folder.mkdir(exist_ok=True)
            self._ends.open(data_dir / "ends")
            self._files.sync_folder(data_dir)
            return {LogName(entry.name) for entry in os.scandir(self._logs_folder)}
        except BaseException:
            os.close(self._lock_fd)
            raise

    def _open_files_max(self) -> int:
        """Half of what the process may open: sockets need the rest."""
        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft_limit == resource.RLIM_INFINITY:
            return self._config.open_files_max
        return min(self._config.open_files_max, max(soft_limit // 2, 16))


def _lock(path: Path) -> int:
    """Takes the lock that keeps a second process out; it goes with the process."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise
        message = f"{path.parent} is in use by process {owner}"
        raise StorageError(message) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
