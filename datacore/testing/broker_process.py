"""A broker as a process of its own, for crash tests, benchmarks and clients of other languages.

Rules: started by the real command line; ready when it has printed its ready line; ended by its own
process id. After ``stop`` or ``kill`` it may be started again, on the same port and data.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from datacore.testing.broker import BrokerError
from datacore.testing.overrides import command_line, dotted_keys

_LISTENER: Final = re.compile(r"\w+://(\S+):(\d+)")
_LAST_WORDS_CHARS: Final = 4000


class BrokerProcess:
    """A broker process on the disk engine; ``with`` starts it, and ends it with its data.

    Attributes:
        start_up_s: From the start of the process to its ready line, the last time.
    """

    def __init__(self, *, start_timeout_s: float = 30.0, **overrides: object) -> None:
        """Starts nothing yet.

        Args:
            start_timeout_s: How long it may take to be ready.
            overrides: Configuration, as for ``Broker``; without ``data_dir`` the data goes into a
                temporary directory that ``close`` removes.

        Raises:
            TypeError: There is no such setting.
        """
        self._flags = dotted_keys(overrides)
        if "broker.listeners" not in self._flags:
            self._flags.setdefault("broker.port", 0)
        self._start_timeout_s = start_timeout_s
        self._directory = tempfile.TemporaryDirectory(prefix="datacore-")
        self._log_file = Path(self._directory.name, "broker.log")
        self._flags.setdefault("broker.data_dir", str(Path(self._directory.name, "data")))
        self._process: subprocess.Popen[bytes] | None = None
        self._addresses: list[tuple[str, int]] = []
        self.start_up_s = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process.

        Raises:
            BrokerError: It is not running.
        """
        if self._process is None:
            raise BrokerError("the broker is not running: call start() or use it in `with`")
        return self._process

    @property
    def pid(self) -> int:
        """Its process id, to read its CPU time and memory by."""
        return self.process.pid

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` of every listener, as clients take it."""
        return ",".join(f"{host}:{port}" for host, port in self._addresses)

    @property
    def host(self) -> str:
        """The first listener's host."""
        return self._addresses[0][0].strip("[]")

    @property
    def port(self) -> int:
        """The first listener's port."""
        return self._addresses[0][1]

    @property
    def data_dir(self) -> Path:
        """Where the disk engine writes."""
        return Path(str(self._flags["broker.data_dir"]))

    def log(self) -> str:
        """Everything that the process has written to standard error, over all its starts."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts the process and returns when it has printed its ready line.

        Raises:
            BrokerError: It runs already, ended, or was not ready in time; holds its last words.
        """
        if self._process is not None:
            raise BrokerError("the broker is running already")
        command = [sys.executable, "-m", "datacore", "broker", "start"]
        started_s = time.monotonic()
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                command + command_line(self._flags),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
            )
        try:
            ready_line = self._ready_line(self._process, started_s + self._start_timeout_s)
        except BaseException:
            self.kill()
            raise
        self.start_up_s = time.monotonic() - started_s
        self._addresses = [(host, int(port)) for host, port in _LISTENER.findall(ready_line)]
        if "broker.port" in self._flags:
            self._flags["broker.port"] = self.port

    def stop(self, timeout_s: float = 30.0) -> int:
        """Ends the process as an operator does (SIGTERM); returns its exit status.

        Raises:
            BrokerError: It is not running, or did not end and was killed.
        """
        process = self.process
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError(f"SIGTERM did not end it: {self._last_words()}") from None
        self._forget(process)
        return status

    def kill(self) -> None:
        """Ends the process as a crash does (SIGKILL)."""
        process = self.process
        process.kill()
        process.wait()
        self._forget(process)

    def close(self) -> None:
        """Ends the process if it runs, and removes its log and temporary data."""
        if self._process is not None:
            self.kill()
        self._directory.cleanup()

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            process.stdout.close()
        self._process = None

    def _ready_line(self, process: subprocess.Popen[bytes], deadline_s: float) -> str:
        assert process.stdout is not None
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(deadline_s - time.monotonic()):
                    raise BrokerError(f"not ready in time: {self._last_words()}")
                received = os.read(process.stdout.fileno(), 65536)
                if not received:
                    status = process.wait()
                    raise BrokerError(f"it ended with status {status}: {self._last_words()}")
                line += received
        return line.decode()

    def _last_words(self) -> str:
        return self.log()[-_LAST_WORDS_CHARS:].strip()


def _environment() -> dict[str, str]:
    """Ours without settings for a broker, and with this very package to be found first."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DATACORE_")}
    here = str(Path(__file__).resolve().parents[2])
    there = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([here, there] if there else [here])
    return environment
