"""The connections of one engine: to where, with which settings, and what goes wrong with them.

Rules: what goes wrong is a ``StorageError``. ``Unavailable`` may be tried again: the database may
not have seen the statement, or may have done it without a word. No message shows a password.
Nothing waits for ever: a server that is silent, or a network that swallows what it is given, looks
like one that refuses, after a while.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import CannotStart
from datacore.storage.postgresql.refusal import one_line, place_of, refusal
from datacore.storage.postgresql.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.storage.postgresql.config import PostgresqlConfig

INSTANCE_LOCK: Final = 0x6463
"""First key of the advisory locks that show which engines live."""

ACQUIRE_TIMEOUT_S: Final = 10.0
"""How long a connection may take to be free or to be made."""
RELEASE_TIMEOUT_S: Final = 1.0
"""How long a statement that was given up may take to end, before its connection is cut."""
LIFE_TIMEOUT_S: Final = 10.0
"""How long the connection that shows life may be silent, and connections to part."""

_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # where a connection is lost while it is given back
    OSError,
)


class Connections:
    """One pool of connections to one schema, and one connection that shows that its engine lives.

    Attributes:
        instance: The number of this engine, which no other that lives has.
    """

    def __init__(self, config: PostgresqlConfig) -> None:
        self.instance = 0
        self._config = config
        self._pool: asyncpg.Pool | None = None
        self._alive: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Connects, brings the schema up to date, and shows that this engine lives.

        Raises:
            CannotStart: The database cannot be used; nothing was made there.
            Unavailable: Not now.
        """
        config = self._config
        if _SCHEMA_NAME.fullmatch(config.schema) is None:
            message = f"{config.schema!r} cannot name a schema: a-z, 0-9 and _ are what can"
            raise CannotStart(message)
        try:
            async with self._trouble(f"{self.place} cannot be used now"):
                await self._connect_and_migrate()
        except (Unavailable, ValueError) as error:  # the latter for an address that is none
            await self.close()
            cause = error.__cause__ if isinstance(error, Unavailable) else error
            raise refusal(cause, config) or error from None
        except BaseException:
            await self.close()
            raise

    async def _connect_and_migrate(self) -> None:
        config = self._config
        self._alive = await self._connect()
        await migrate(self._alive, config.schema)
        await self._show_life(self._alive)
        self._pool = await asyncpg.create_pool(
            **self._address(),
            min_size=0,  # it is asked for connections when there is something to do
            max_size=config.pool,
            command_timeout=config.statement_timeout_s,
            server_settings=self._settings(),
            reset=_keep_as_it_is,
        )

    async def close(self) -> None:
        """Lets go of every connection."""
        pool, self._pool = self._pool, None
        alive, self._alive = self._alive, None
        with suppress(TimeoutError):  # they are cut then
            if pool is not None:
                async with asyncio.timeout(LIFE_TIMEOUT_S):
                    await pool.close()
        with suppress(TimeoutError):
            if alive is not None:
                await alive.close(timeout=LIFE_TIMEOUT_S)

    async def keep_alive(self) -> None:
        """Shows again that this engine lives, where the connection that did so is lost.

        Raises:
            Unavailable: Not now.
        """
        if self._alive is None:
            return
        async with self._trouble("PostgreSQL cannot be reached"):
            if not self._alive.is_closed():
                try:
                    await self._alive.fetchval("select 1", timeout=LIFE_TIMEOUT_S)
                except TimeoutError:
                    self._alive.terminate()
                    raise
                return
            connection = await self._connect()
            try:
                await self._show_life(connection)
            except BaseException:
                connection.terminate()
                raise
            self._alive = connection

    async def _show_life(self, connection: asyncpg.Connection) -> None:
        if self.instance == 0:
            self.instance = await connection.fetchval("select nextval('instance')")
        await connection.execute("select pg_advisory_lock($1, $2)", INSTANCE_LOCK, self.instance)

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            **self._address(),
            command_timeout=self._config.statement_timeout_s,
            server_settings=self._settings(),
        )

    def _address(self) -> dict[str, Any]:
        config = self._config
        if config.dsn is not None:
            return {"dsn": config.dsn, "timeout": ACQUIRE_TIMEOUT_S}
        return {
            "host": config.host,
            "port": config.port,
            "database": config.database,
            "user": config.user,
            "password": config.password,
            "timeout": ACQUIRE_TIMEOUT_S,
        }

    def _settings(self) -> dict[str, str]:
        # A round is acknowledged when its commit is on the device, whatever the server's default.
        return {
            "search_path": self._config.schema,
            "synchronous_commit": "on",
            "application_name": "datacore",
            # The server notices in seconds that this machine is gone: others may have its logs.
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "3",
        }

    @property
    def place(self) -> str:
        """Which schema of which database, without user and password."""
        return place_of(self._config)

    async def fetch(
        self, statement: str, *values: object, timeout_s: float | None = None
    ) -> list[asyncpg.Record]:
        """The rows that a statement returns, in a transaction of its own.

        Raises:
            Unavailable: It failed, or nobody knows.
        """
        async with self._trouble("PostgreSQL has failed"):
            loop = asyncio.get_running_loop()
            timeout_s = timeout_s or self._config.statement_timeout_s
            until_s = loop.time() + timeout_s
            async with self._connection(timeout_s) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(
                    statement, *values, timeout=until_s - loop.time()
                )
            return rows

    @asynccontextmanager
    async def _connection(self, timeout_s: float) -> AsyncIterator[asyncpg.Connection]:
        pool = self._open_pool()
        connection = await pool.acquire(timeout=min(timeout_s, ACQUIRE_TIMEOUT_S))
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=RELEASE_TIMEOUT_S)

    def _open_pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise Unavailable("the connections to PostgreSQL are closed")
        return self._pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction, which commits when its block ends.

        Raises:
            Unavailable: It failed, or nobody knows.
        """
        async with (
            self._trouble("PostgreSQL has failed"),
            self._connection(ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            yield connection

    @asynccontextmanager
    async def _trouble(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except _TROUBLE as error:
            message = f"{what}: {one_line(error)}"
            raise Unavailable(message) from error


async def _keep_as_it_is(_: asyncpg.Connection) -> None:
    """Statements leave nothing behind that the next one could meet: no question resets it."""
