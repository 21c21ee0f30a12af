"""All connections of one broker process: admission, idleness, tasks of ``async`` handlers, stop.

Rules: one task group holds whatever runs beside the connections; one timer looks after all of
them. A stop refuses newcomers, handles no further request, lets every handler that runs finish and
sends every answer that is due, all within the limit, and only then closes. Kafka's counterpart:
``SocketServer``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Generic

import anyio

from datacore.handlers.api import BrokerT
from datacore.server.connection import Connection
from datacore.server.dispatch import Dispatch
from datacore.server.limits import ConnectionLimits
from datacore.server.open_files import connections_that_fit
from datacore.server.receive import new_scratch
from datacore.server.refusals import RefusalLog
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence

    from anyio.abc import TaskGroup

    from datacore.broker.quotas import ClientRates
    from datacore.handlers.api import Api
    from datacore.protocol.message import Message
    from datacore.server.listener import BoundListener

logger = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_SWEEP_INTERVAL_MAX_S: Final = 10.0
_SWEEPS_PER_IDLE_SPAN: Final = 4


class KafkaServer(Generic[BrokerT]):
    """Serves a handler table on any number of listeners.

    Attributes:
        dispatch: The table as connections use it.
        limits: What connections may take.
        rates: The quotas of clients; None where nobody has one.
        scratch: The receive buffer that connections share.
    """

    def __init__(
        self,
        broker: BrokerT,
        table: Iterable[Api[BrokerT, Any, Any]],
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.dispatch: Dispatch[Any] = Dispatch(broker, table)
        self.limits = limits or ConnectionLimits()
        self.rates: ClientRates | None = None
        self.scratch = new_scratch()
        self._connections: set[Connection] = set()
        self._count_by_host: dict[str, int] = {}
        self._refusals = RefusalLog(time.monotonic)
        self._connections_that_fit = connections_that_fit()
        self._is_stopping = False
        self._running_handlers = 0
        self._all_ended = anyio.Event()
        self._tasks: TaskGroup

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @asynccontextmanager
    async def accepting(self, listeners: Sequence[BoundListener]) -> AsyncIterator[None]:
        """Accepts connections; leaving stops gracefully."""
        loop = asyncio.get_running_loop()
        failure: Exception | None = None
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._keep_sweeping)
            servers: list[asyncio.Server] = []
            try:
                for listener in listeners:
                    name = listener.name
                    servers.append(
                        await loop.create_server(
                            lambda name=name: Connection(self, name, loop),  # type: ignore[misc]
                            sock=listener.socket,
                            backlog=_BACKLOG,
                        )
                    )
                yield
            except Exception as error:  # noqa: BLE001  # raised below, not in an exception group
                failure = error
            finally:
                with anyio.CancelScope(shield=True):
                    await self._stop(servers)
                self._tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    # What connections call.

    def admit(self, connection: Connection) -> str | None:
        """Counts the connection in, or says why it cannot be had."""
        limits = self.limits
        host = connection.session.client_host
        count = self._count_by_host.get(host, 0)
        if self._is_stopping:
            return "the broker stops"
        if len(self._connections) >= limits.connections_max:
            return f"there are max.connections={limits.connections_max} already"
        if len(self._connections) >= self._connections_that_fit:
            return "the rest of the files that the process may open (ulimit -n) is for its logs"
        per_ip_max = limits.connections_by_ip_max.get(host, limits.connections_per_ip_max)
        if count >= per_ip_max:
            return f"it has max.connections.per.ip={per_ip_max} already"
        if self.rates is not None and self.rates.connected(host):
            return "it has used up its connection_creation_rate"
        self._connections.add(connection)
        self._count_by_host[host] = count + 1
        return None

    def forget(self, connection: Connection) -> None:
        """Counts a connection out that was admitted."""
        host = connection.session.client_host
        self._connections.discard(connection)
        self._count_by_host[host] -= 1
        if not self._count_by_host[host]:
            del self._count_by_host[host]
        self._tell_whether_all_ended()

    def refused(self, line: str) -> None:
        """Logs why a connection was closed, unless too many were."""
        self._refusals.warning(line)

    def spawn(self, coroutine: Coroutine[Any, Any, Message]) -> Pending[Message | None]:
        """Runs an ``async`` handler as a task of the server."""
        pending: Pending[Message | None] = Pending()
        self._running_handlers += 1
        self._tasks.start_soon(self._settle, coroutine, pending)
        return pending

    async def _settle(
        self, coroutine: Coroutine[Any, Any, Message], pending: Pending[Message | None]
    ) -> None:
        """Carries a coroutine's end over to whoever waits for it."""
        try:
            response = await coroutine
        except Exception as error:  # noqa: BLE001  # goes on to whoever waits
            pending.fail(error)
        else:
            pending.resolve(response)
        finally:
            self._running_handlers -= 1
            self._tell_whether_all_ended()

    # Looking after connections.

    def sweep(self, now_s: float) -> None:
        """Drops connections that were idle for too long, and memory that nobody needs."""
        idle_max_s = self.limits.idle_max_ms / 1000
        for connection in tuple(self._connections):
            if connection.has_read or connection.is_waiting_for_broker:
                connection.has_read = False
                connection.idle_since_s = now_s
            elif now_s - connection.idle_since_s >= idle_max_s:
                logger.debug("closing idle connection %s", connection.session.connection_id)
                connection.abort()
            connection.shrink()
        self._refusals.turn_span()

    async def _keep_sweeping(self) -> None:
        idle_max_s = self.limits.idle_max_ms / 1000
        interval_s = min(_SWEEP_INTERVAL_MAX_S, idle_max_s / _SWEEPS_PER_IDLE_SPAN)
        while True:
            await anyio.sleep(interval_s)
            self.sweep(anyio.current_time())

    async def _stop(self, servers: Sequence[asyncio.Server]) -> None:
        self._is_stopping = True
        for server in servers:
            server.close()
        for connection in tuple(self._connections):
            connection.stop()
        self._tell_whether_all_ended()
        with anyio.move_on_after(self.limits.stop_timeout_ms / 1000):
            await self._all_ended.wait()
        if not self._all_ended.is_set():
            logger.warning(
                "%d connections and %d requests did not end in time",
                len(self._connections),
                self._running_handlers,
            )
            for connection in tuple(self._connections):
                connection.abort()

    def _tell_whether_all_ended(self) -> None:
        if self._is_stopping and not self._connections and not self._running_handlers:
            self._all_ended.set()
