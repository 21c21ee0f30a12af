"""The PostgreSQL engine beside a list of batches, while the database is not to be relied on.

Rules: what goes wrong is real where it can be: connections are cut before a commit, and the server
crashes. An answer that is lost after a commit, a statement that takes too long and a serialization
failure are made up. A call that fails is made again, as whoever uses an engine would.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from datacore.storage.chunked.store import Unavailable
from datacore.storage.postgresql.connections import Connections
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.testing.engine_model import EngineModel
from tests.storage.postgresql_server import PostgresqlServer, running_server
from tests.storage.test_postgresql import MODEL_SETTINGS, config_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from datacore.storage.engine import Engine, EngineLog
    from datacore.testing.engine_harness import EngineHarness

TROUBLE = 0.08
"""How often a statement or a transaction goes wrong."""
ATTEMPTS = 40
CRASHES = 2
EXAMPLES = 60 if os.environ.get("DATACORE_HYPOTHESIS") else 8
KINDS = ["cut before", "late", "not serializable", "answer lost"]


class Chance:
    """What goes wrong next, the same in each run."""

    def __init__(self) -> None:
        self.troubles = dict.fromkeys(KINDS, 0)
        self._random = random.Random(20261125)

    def kind(self) -> str | None:
        if self._random.random() >= TROUBLE:
            return None
        kind = self._random.choice(KINDS)
        self.troubles[kind] += 1
        return kind


class UnreliableConnections(Connections):
    chance: Chance

    async def fetch(
        self, statement: str, *values: object, timeout_s: float | None = None
    ) -> list[asyncpg.Record]:
        kind = self.chance.kind()
        if kind == "cut before":
            async with self._open_pool().acquire() as connection:
                connection.terminate()
        async with self._trouble("the test is at work"):
            if kind == "not serializable":
                raise asyncpg.SerializationError("could not serialize access")
            if kind == "late":
                raise TimeoutError
        rows = await super().fetch(statement, *values, timeout_s=timeout_s)
        if kind == "answer lost":
            message = "the test has lost the answer"
            raise Unavailable(message)
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        kind = self.chance.kind()
        async with super().transaction() as connection:
            yield connection
            if kind == "cut before":
                connection.terminate()
            elif kind == "late":
                raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
            elif kind == "not serializable":
                raise asyncpg.SerializationError("could not serialize access")
        if kind == "answer lost":
            message = "the test has lost the answer"
            raise Unavailable(message)


async def _again(call: Callable[..., Any], *values: Any, **named: Any) -> Any:
    for _ in range(ATTEMPTS):
        try:
            return await call(*values, **named)
        except Unavailable:
            continue
    return await call(*values, **named)


class PatientLog:
    """A log whose failed calls are made again."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._log, name)
        if not asyncio.iscoroutinefunction(found):
            return found
        return lambda *values, **named: _again(found, *values, **named)

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[bytes]
    ) -> None:
        kept = [batch async for batch in batches]

        async def anew() -> AsyncIterator[bytes]:
            for batch in kept:
                yield batch

        await _again(lambda: self._log.replace(base_offset, next_offset, anew()))


class PatientEngine:
    """An engine whose failed calls are made again."""

    def __init__(self, engine: PostgresqlEngine) -> None:
        self.engine = engine

    async def start(self) -> None:
        await self.engine.start()

    async def open_log(self, name: str, *, epoch: int) -> PatientLog:
        return PatientLog(await _again(self.engine.open_log, name, epoch=epoch))

    async def delete_log(self, name: str) -> None:
        await _again(self.engine.delete_log, name)

    async def close(self) -> None:
        await _again(self.engine.close)


@dataclass(frozen=True, slots=True)
class UnreliableHarness:
    server: PostgresqlServer
    schema: str
    chance: Chance
    survives_restart: bool = True

    def __call__(self) -> Engine:
        config = replace(
            config_of(self.server),
            schema=self.schema,
            cache_bytes=1 << 20,
            flush_bytes=64 * 1024,
            flush_timeout_s=90.0,
        )
        engine = PostgresqlEngine(config)
        connections = UnreliableConnections(config)
        connections.chance = self.chance
        engine.store.connections = connections
        return PatientEngine(engine)  # type: ignore[return-value]  # as far as the model needs it


class UnreliableModel(EngineModel):
    server: PostgresqlServer
    chance: Chance
    crashes = 0

    def make_harness(self) -> EngineHarness:
        return UnreliableHarness(self.server, config_of(self.server).schema, self.chance)

    @precondition(lambda self: self.crashes < CRASHES and self.model.end_offset > 0)
    @rule()
    def crash_the_server(self) -> None:
        """It is killed while appends are under way, and comes back."""
        UnreliableModel.crashes += 1
        self.append([100], 1, 20)
        self.server.stop(mode="immediate")
        self.append([100], 1, 20)
        self.server.start()


@pytest.fixture
def own_server() -> Iterator[PostgresqlServer]:
    """A server that a test may stop."""
    with running_server() as server:
        yield server


@pytest.mark.timeout(600)
def test_over_an_unreliable_database_it_does_what_a_list_of_batches_would_do(
    own_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.chunked.flusher.RETRY_DELAY_MIN_S", 0.01)
    UnreliableModel.server, UnreliableModel.chance = own_server, Chance()
    run_state_machine_as_test(
        UnreliableModel, settings=settings(MODEL_SETTINGS, max_examples=EXAMPLES)
    )
    assert min(UnreliableModel.chance.troubles.values()) > 5
    assert UnreliableModel.crashes == CRASHES
    print(UnreliableModel.chance.troubles)
