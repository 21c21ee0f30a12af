"""A broker in a thread of this process, for programs and tests.

Rules: port 0 and the memory engine unless told otherwise; nothing is read from the environment;
each broker has its own thread and event loop, so any number of them live side by side. A stopped
broker may be started again: on the same port, and with ``storage_engine="disk"`` on the same data.
"""

import asyncio
import tempfile
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Self

from datacore.config import Config, load_config
from datacore.testing.overrides import dotted_keys

if TYPE_CHECKING:
    from datacore.server.serve import RunningBroker

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0


class BrokerError(Exception):
    """The broker did not start or did not stop; the message says what it said."""


class Broker:
    """A broker in this process; ``with`` starts and stops it."""

    def __init__(self, **overrides: object) -> None:
        """Starts nothing yet.

        Args:
            overrides: Configuration, such as ``num_partitions=3``, ``storage_engine="disk"``,
                ``data_dir=tmp_path`` or ``kafka={"log.retention.ms": 1000}``.

        Raises:
            TypeError: There is no such setting.
            ConfigError: It cannot have that value.
        """
        self._flags = {"storage.engine": "memory"} | dotted_keys(overrides)
        self._flags = {
            name: value if isinstance(value, str | int | float | list | tuple) else str(value)
            for name, value in self._flags.items()
        }
        if "broker.listeners" not in self._flags:
            self._flags.setdefault("broker.port", 0)
        self._temporary_dir: tempfile.TemporaryDirectory[str] | None = None
        if self._flags["storage.engine"] == "disk" and "broker.data_dir" not in self._flags:
            self._temporary_dir = tempfile.TemporaryDirectory(prefix="datacore-")
            self._flags["broker.data_dir"] = self._temporary_dir.name
        self._load_config()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._running: RunningBroker | None = None

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
    def running(self) -> "RunningBroker":
        """The broker itself, whose services belong to the event loop of its thread.

        Raises:
            BrokerError: It is not running.
        """
        if self._running is None:
            raise BrokerError("the broker is not running: call start() or use it in `with`")
        return self._running

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` of every listener, as clients take it."""
        return self.running.bootstrap_servers

    @property
    def host(self) -> str:
        """The first listener's host."""
        return next(iter(self.running.listeners.values())).host

    @property
    def port(self) -> int:
        """The first listener's port."""
        return next(iter(self.running.listeners.values())).port

    def start(self) -> None:
        """Starts the broker and returns when it accepts connections.

        Raises:
            BrokerError: It runs already, or did not start; the cause is attached.
        """
        if self._thread is not None:
            raise BrokerError("the broker is running already")
        ready: Future[RunningBroker] = Future()
        config = self._load_config()
        self._thread = threading.Thread(
            target=self._run, args=(config, ready), name="datacore-broker", daemon=True
        )
        self._thread.start()
        try:
            self._running = ready.result(_START_TIMEOUT_S)
        except Exception as error:
            self._thread.join(_STOP_TIMEOUT_S)
            self._thread = None
            raise BrokerError(f"the broker did not start: {error}") from error
        if "broker.port" in self._flags:
            self._flags["broker.port"] = self.port

    def stop(self) -> None:
        """Stops the broker as an operator does; it may be started again. Twice is fine.

        Raises:
            BrokerError: It does not stop.
        """
        thread, self._thread, self._running = self._thread, None, None
        if thread is None:
            return
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        thread.join(_STOP_TIMEOUT_S)
        if thread.is_alive():
            raise BrokerError(f"the broker did not stop within {_STOP_TIMEOUT_S:.0f} s")

    def close(self) -> None:
        """Stops the broker and removes its temporary data."""
        self.stop()
        if self._temporary_dir is not None:
            self._temporary_dir.cleanup()

    def _load_config(self) -> Config:
        return load_config(flags=self._flags)

    def _run(self, config: Config, ready: "Future[RunningBroker]") -> None:
        # Imported here, so that every pytest run that loads the plugin does not import a server.
        from datacore.server.event_loop import new_event_loop  # noqa: PLC0415

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve(config, ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, config: Config, ready: "Future[RunningBroker]") -> None:
        from datacore.server.serve import serve  # noqa: PLC0415  # as above

        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with serve(config) as running:
            ready.set_result(running)
            await self._stopped.wait()
