"""The PostgreSQL engine, and a broker over it, when the server is silent and nothing is closed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import LogName, StorageError
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.testing.broker import Broker
from datacore.testing.engine_harness import (
    LOG,
    append,
    append_durably,
    append_one,
    on_loop,
    running,
)
from datacore.testing.engine_harness import read as read_log
from tests.storage.stalling_proxy import running_stalling_proxy
from tests.storage.test_postgresql import PostgresqlHarness, config_of
from tests.test_what_a_log_promises import TOPIC, read, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from datacore.storage.postgresql.config import PostgresqlConfig
    from tests.storage.postgresql_server import PostgresqlServer
    from tests.storage.stalling_proxy import StallingProxy

T = TypeVar("T")


@pytest.fixture
def proxy(postgresql_server: PostgresqlServer) -> Iterator[StallingProxy]:
    with running_stalling_proxy(f"{postgresql_server.host}/.s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def config(postgresql_server: PostgresqlServer, proxy: StallingProxy) -> PostgresqlConfig:
    return replace(
        config_of(postgresql_server),
        host="127.0.0.1",
        port=proxy.port,
        pool=4,
        flush_timeout_s=60.0,
        unflushed_bytes_max=1 << 20,
    )


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short timeouts; and who shows that the engine lives is the test alone."""
    monkeypatch.setattr("datacore.storage.postgresql.engine.KEEP_ALIVE_INTERVAL_S", 1 << 20)
    for name in ("ACQUIRE_TIMEOUT_S", "LIFE_TIMEOUT_S", "RELEASE_TIMEOUT_S"):
        monkeypatch.setattr(f"datacore.storage.postgresql.connections.{name}", 1.0)


@on_loop
async def test_appends_wait_for_a_silent_server_up_to_a_bound_and_lose_nothing(
    config: PostgresqlConfig, proxy: StallingProxy
) -> None:
    async with running(PostgresqlHarness(config)) as engine:
        assert isinstance(engine, PostgresqlEngine)
        log = await engine.open_log(LOG, epoch=0)
        data = await append_durably(log, 100)
        proxy.stall()
        waiting = [append_one(log)]
        await asyncio.to_thread(proxy.has_swallowed.wait)
        while engine.flusher.unflushed_bytes + 161 <= config.unflushed_bytes_max:
            waiting.append(append_one(log))
        with pytest.raises(StorageError, match="behind"):
            append(log, 100)
        assert not any(each.is_settled for each in waiting)
        assert len(await log.read(1, max_bytes=1 << 20, before_offset=1 << 40)) > 1
        proxy.go_on()
        for each in waiting:
            await each
        assert log.durable_end_offset == log.end_offset == 1 + len(waiting)
        assert (await read_log(log, 0)).startswith(data)


@on_loop
async def test_appends_of_many_logs_fail_in_time_and_all_go_on_by_themselves(
    config: PostgresqlConfig, proxy: StallingProxy
) -> None:
    config = replace(config, flush_timeout_s=1.0)
    names = [LogName(f"many-{at}") for at in range(20)]
    async with running(PostgresqlHarness(config)) as engine:
        logs = [await engine.open_log(name, epoch=0) for name in names]
        for log in logs:
            await append_durably(log, 100)
        proxy.stall()
        lost = [append_one(log) for log in logs]
        async with asyncio.timeout(30):  # not a second or two for each log
            for each in lost:
                with pytest.raises(Unavailable):
                    await each
        proxy.go_on()
        for log in logs:
            await settled(log.load_snapshot)
            append(log, 200)
            await log.close()
    async with running(PostgresqlHarness(config)) as engine:
        for name in names:
            log = await engine.open_log(name, epoch=0)
            # What was given up may have been done, if the server heard of it in the end.
            assert log.end_offset in {2, 3}
            assert len(await read_log(log, 0)) >= 161 + 261


@pytest.mark.usefixtures("impatience")
@on_loop
async def test_every_statement_fails_in_time_and_connections_come_back(
    config: PostgresqlConfig, proxy: StallingProxy
) -> None:
    engine = PostgresqlEngine(replace(config, statement_timeout_s=1.0))
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    data = await append_durably(log, 100)
    connections = engine.store.connections
    proxy.stall()
    async with asyncio.timeout(30):
        asked = [connections.fetch("select 1") for _ in range(3 * config.pool)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
        for act in (log.load_snapshot, connections.keep_alive, connections.keep_alive):
            with pytest.raises(Unavailable):
                await act()
    proxy.go_on()
    await settled(connections.keep_alive)
    assert await settled(lambda: log.read(0, max_bytes=1, before_offset=1))
    assert await settled(log.load_snapshot) is None
    data += await append_durably(log, 200)
    assert await read_log(log, 0) == data
    await engine.close()


@pytest.mark.usefixtures("impatience")
@on_loop
async def test_an_engine_can_be_closed_while_the_server_is_silent(
    config: PostgresqlConfig, proxy: StallingProxy
) -> None:
    engine = PostgresqlEngine(replace(config, statement_timeout_s=1.0, flush_timeout_s=0.5))
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    proxy.stall()
    lost = append_one(log)
    async with asyncio.timeout(30):
        with pytest.raises(StorageError):
            await engine.close()
    assert lost.is_settled


def test_a_producer_waits_for_a_silent_server_and_is_acknowledged_afterwards(
    config: PostgresqlConfig, proxy: StallingProxy
) -> None:
    with (
        Broker(
            storage_engine="postgresql",
            postgresql_host=config.host,
            postgresql_port=config.port,
            postgresql_schema=config.schema,
            postgresql_flush_timeout_ms=60_000,
        ) as broker,
        Cluster(broker.bootstrap_servers) as cluster,
        Cluster(broker.bootstrap_servers) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        admin.create_topic(cluster, TOPIC, partitions=1)
        write(cluster, b"before")
        proxy.stall()
        written = threads.submit(write, cluster, b"meanwhile")
        proxy.has_swallowed.wait()
        try:
            assert [record.value for record in read(other, 1)] == [b"before"]
            assert not written.done()
        finally:
            proxy.go_on()
        written.result()
        assert [record.value for record in read(other, 2)] == [b"before", b"meanwhile"]


async def settled(act: Callable[[], Awaitable[T]]) -> T:
    """What a call answers as soon as the store does."""
    while True:
        try:
            return await act()
        except Unavailable:
            continue
