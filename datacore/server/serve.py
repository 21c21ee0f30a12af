"""A whole broker inside an asyncio program: engine, services and listeners put together.

Rules: the listeners are bound first, so that a port that is taken costs nothing; then the engine
and the broker start, then connections are accepted. The way back is the same in reverse. Engines
are named in one literal table, or by module and factory, and imported when they are asked for.
"""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacore.broker.broker import Broker
from datacore.handlers.table import TABLE
from datacore.server.kafka_server import KafkaServer
from datacore.server.limits import ConnectionLimits
from datacore.server.listener import bind_listeners
from datacore.storage.engine import CannotStart, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from datacore.broker.context import Endpoint
    from datacore.config import Config
    from datacore.storage.engine import Engine


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that accepts connections.

    Attributes:
        broker: Its services, for callers in the same process.
        listeners: Where each listener is reached from this machine, by name.
    """

    broker: Broker
    listeners: Mapping[str, Endpoint]

    @property
    def bootstrap_servers(self) -> str:
        """What clients on this machine take as their bootstrap servers."""
        return ",".join(map(str, self.listeners.values()))


@asynccontextmanager
async def serve(config: Config) -> AsyncIterator[RunningBroker]:
    """Runs a broker for as long as the context is open, and stops it gracefully.

    Raises:
        ListenError: An address cannot be listened on.
        StorageError: The engine cannot keep its contract; nothing is served then.
        ValueError: A setting in ``[kafka]`` is no value that it can have.
    """
    limits = ConnectionLimits.from_kafka_configs(config.kafka)
    bound = await bind_listeners(config.broker.resolved_listeners())
    try:
        broker = Broker(config, _engine(config))
        broker.advertised_listeners = {each.name: each.advertised for each in bound}
        server = KafkaServer(broker, TABLE.values(), limits)

        def relimit() -> None:
            server.limits = ConnectionLimits.from_kafka_configs(broker.config_values)

        def take_quotas() -> None:
            server.rates = broker.quotas.in_force

        broker.broker_configs.when_changed(relimit)
        broker.quotas.when_changed(take_quotas)
        async with broker.running(), server.accepting(bound):
            try:
                yield RunningBroker(broker, {each.name: each.bound for each in bound})
            finally:
                # A member that waits for its group would keep the connections open for as long.
                broker.groups.shards.stop()
    finally:
        for listener in bound:
            listener.socket.close()


def _engine(config: Config) -> Engine:
    name = config.storage.engine
    return _ENGINES[name](config) if name in _ENGINES else _other_engine(name, config)


def _other_engine(name: str, config: Config) -> Engine:
    """An engine that is none of ours: what ``module:factory`` makes of the configuration."""
    module_name, _, factory_name = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        message = f"storage.engine names what cannot be imported: {error}"
        raise CannotStart(message) from None
    engine: Engine = factory(config)
    return engine


def _memory_engine(_: Config) -> Engine:
    from datacore.storage.memory import MemoryEngine  # noqa: PLC0415  # one engine is imported

    return MemoryEngine()


def _disk_engine(config: Config) -> Engine:
    from datacore.storage.disk.config import DiskConfig  # noqa: PLC0415  # one engine is imported
    from datacore.storage.disk.engine import DiskEngine  # noqa: PLC0415

    return DiskEngine(
        DiskConfig(
            data_dir=Path(config.broker.data_dir),
            sync=config.disk.sync,
            segment_bytes=config.disk.segment_bytes,
        )
    )


def _postgresql_engine(config: Config) -> Engine:
    try:
        from datacore.storage.postgresql.config import PostgresqlConfig  # noqa: PLC0415  # see above
        from datacore.storage.postgresql.engine import PostgresqlEngine  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"the postgresql engine needs {error.name}: pip install 'datacore[postgres]'"
        raise StorageError(message) from None
    section = config.postgresql
    return PostgresqlEngine(
        PostgresqlConfig(
            dsn=section.dsn,
            host=section.host,
            port=section.port,
            database=section.database,
            user=section.user,
            password=section.password,
            schema=section.schema,
            pool=section.pool,
            cache_bytes=section.cache_bytes,
            flush_timeout_s=section.flush_timeout_ms / 1000,
        )
    )


def _s3_engine(config: Config) -> Engine:
    try:
        from datacore.storage.s3.config import S3Config  # noqa: PLC0415  # see above
        from datacore.storage.s3.engine import S3Engine  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"the s3 engine needs {error.name}: pip install 'datacore[s3]'"
        raise StorageError(message) from None
    section = config.s3
    return S3Engine(
        S3Config(
            bucket=section.bucket,
            prefix=section.prefix,
            endpoint=section.endpoint,
            region=section.region,
            access_key=section.access_key,
            secret_key=section.secret_key,
            profile=section.profile,
            ca_file=section.ca_file,
            linger_s=section.linger_ms / 1000,
            cache_bytes=section.cache_bytes,
            disk_cache_dir=Path(section.disk_cache_dir) if section.disk_cache_dir else None,
            disk_cache_bytes=section.disk_cache_bytes,
            flush_timeout_s=section.flush_timeout_ms / 1000,
            rewrite_interval_s=section.rewrite_interval_ms / 1000,
            grace_s=section.grace_ms / 1000,
        )
    )


_ENGINES: Final[Mapping[str, Callable[[Config], Engine]]] = {
    "memory": _memory_engine,
    "disk": _disk_engine,
    "postgresql": _postgresql_engine,
    "s3": _s3_engine,
}
