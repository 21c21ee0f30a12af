"""A broker without a server, over an engine whose durability the test may hold back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from datacore.broker.broker import Broker
from datacore.broker.context import Endpoint, RequestContext, Session
from datacore.config import load_config
from datacore.storage.engine import Space, StorageError
from datacore.storage.memory import MemoryEngine
from tests.log.held_engine import HeldLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from datacore.log.partition_log import PartitionLog
    from datacore.storage.engine import Engine, EngineLog, LogName

WAIT_MAX_S: Final = 60.0
"""Far longer than anything takes here, also on a machine that has much else to do."""


class HeldEngine:
    """Logs whose name starts with a given one are ``HeldLog``s; all others live in memory.

    Nothing is held back until a test sets ``holds`` of such a log.
    """

    def __init__(self, held_prefix: str) -> None:
        self.held: dict[LogName, HeldLog] = {}
        self.refuses_new_logs = False
        self._held_prefix = held_prefix
        self._memory = MemoryEngine()

    @property
    def only(self) -> HeldLog:
        """The one held log that exists."""
        (log,) = self.held.values()
        return log

    @property
    def place(self) -> str:
        return self._memory.place

    async def space(self) -> Space:
        return await self._memory.space()

    async def start(self) -> None:
        await self._memory.start()

    async def list_logs(self) -> Sequence[LogName]:
        return [*self.held, *await self._memory.list_logs()]

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        if not name.startswith(self._held_prefix):
            if self.refuses_new_logs:
                raise StorageError("No space left on device.")
            return await self._memory.open_log(name, epoch=epoch)
        if name not in self.held:
            self.held[name] = HeldLog(name)
            self.held[name].holds = False
        return self.held[name]

    async def delete_log(self, name: LogName) -> None:
        self.held.pop(name, None)
        await self._memory.delete_log(name)

    async def close(self) -> None:
        await self._memory.close()


async def until(condition: Callable[[], object]) -> None:
    """Lets other tasks run until the condition holds; a test that waits in vain fails."""
    with anyio.fail_after(WAIT_MAX_S):
        while not condition():
            await checkpoint()


async def until_durable(log: PartitionLog) -> None:
    """Waits until all that was appended can be read."""
    await until(lambda: log.high_watermark == log.log_end_offset)


@asynccontextmanager
async def running(engine: Engine, **kafka: object) -> AsyncIterator[Broker]:
    """A broker that has replayed what the engine holds; ``kafka`` has _ for the dots of names."""
    flags: dict[str, object] = {"storage.engine": "memory"}
    flags |= {f"kafka.{name.replace('_', '.')}": value for name, value in kafka.items()}
    broker = Broker(load_config(flags=flags), engine)
    broker.advertised_listeners = {"PLAINTEXT": Endpoint("localhost", 9092)}
    async with broker.running():
        yield broker


def request_context(api_key: int, api_version: int) -> RequestContext:
    """A request of a client that nothing is known of."""
    session = Session(
        connection_id="test",
        listener_name="PLAINTEXT",
        client_host="127.0.0.1",
        client_port=50_000,
        local_host="127.0.0.1",
        local_port=9092,
    )
    return RequestContext(session, api_key, api_version, correlation_id=1, client_id="test")
