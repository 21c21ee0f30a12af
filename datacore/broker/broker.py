"""The broker: its services, put together, started and stopped in order.

Doors (the Kafka listener today) hold a ``Broker`` and call its services; services never know a
door. What varies from run to run, time and chance, enters here and nowhere else.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
import uuid
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

from datacore._generated.errors import ErrorCode
from datacore._generated.records.config_record import ConfigRecord
from datacore.broker.client_telemetry import ClientTelemetry
from datacore.broker.cluster_metadata import ClusterMetadata
from datacore.broker.compaction import Compaction
from datacore.broker.configs.effective import CLUSTER_ID_KEY, BrokerConfigs, static_broker_configs
from datacore.broker.configs.service import Configs
from datacore.broker.features import Features
from datacore.broker.fetch_reading import Readable
from datacore.broker.fetch_sessions import FetchSessions
from datacore.broker.fetching import Fetching
from datacore.broker.groups.offsets import GroupOffsets
from datacore.broker.groups.service import Groups
from datacore.broker.log_dirs import LogDirs
from datacore.broker.partitions import Partitions
from datacore.broker.quorum import Quorum
from datacore.broker.quotas import Quotas
from datacore.broker.replicas import Replicas
from datacore.broker.retention import Retention
from datacore.broker.topics import NewTopic, Topics
from datacore.broker.transactions.markers import TransactionMarkers
from datacore.broker.transactions.offsets import TransactionalOffsets
from datacore.broker.transactions.producer_ids import ProducerIds
from datacore.broker.transactions.service import Transactions
from datacore.metadata.configs import broker_int, broker_value
from datacore.metadata.image import RESOURCE_BROKER
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId
from datacore.storage.engine import StorageError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from anyio.abc import TaskGroup

    from datacore.broker.context import Endpoint, Session
    from datacore.config import Config
    from datacore.metadata.image import TopicImage
    from datacore.storage.engine import Engine

log = logging.getLogger("datacore.broker")

T = TypeVar("T")


@functools.lru_cache(maxsize=8)
def _names_consumer(protocols: str) -> bool:
    """Whether a list of protocols has KIP-848's; each heartbeat asks."""
    return "consumer" in protocols.split(",")


def now_ms() -> int:
    """Milliseconds since the epoch, as Kafka's timestamps count them."""
    return time.time_ns() // 1_000_000


def steady_clock_ms() -> Callable[[], int]:
    """A clock that starts at the wall clock's time and then goes on evenly.

    Sessions, rebalances and offsets' ages are measured by it: when somebody sets the wall clock,
    no member is late by an hour, and none gets an hour more.
    """
    began_ms = now_ms() - time.monotonic_ns() // 1_000_000
    return lambda: began_ms + time.monotonic_ns() // 1_000_000


def new_uuid() -> bytes:
    """A random UUID that Kafka would take: its text form does not start with a dash."""
    while True:
        value = uuid.uuid4().bytes
        if not urlsafe_b64encode(value).startswith(b"-"):
            return value


class Broker:
    """One broker of a cluster."""

    def __init__(self, config: Config, engine: Engine) -> None:
        self.broker_id = config.broker.broker_id
        self.advertised_listeners: dict[str, Endpoint] = {}
        """Where clients of each listener find this broker; set before it runs."""
        self.cluster_id = ""
        self.now_ms = now_ms
        self._engine = engine
        steady_now_ms = steady_clock_ms()
        self._tasks: TaskGroup | None = None
        self.metadata = ClusterMetadata(engine, now_ms)
        self.broker_configs = BrokerConfigs(
            static_broker_configs(config), self.metadata.image, self.broker_id
        )
        self.config_values: Mapping[str, str] = self.broker_configs.values
        self.metadata.growth_bytes_max = broker_int(
            "metadata.log.max.record.bytes.between.snapshots", self.config_values
        )
        self.partitions = Partitions(engine, self.metadata.image, self.config_values, self.spawn)
        self.topics = Topics(
            self.metadata,
            self.partitions,
            self.broker_id,
            self.config_values,
            lambda: TopicId(new_uuid()),
        )
        self.client_telemetry = ClientTelemetry(
            self.metadata.image, self.config_values, steady_now_ms, new_uuid
        )
        self.configs = Configs(
            self.metadata,
            self.partitions,
            self.broker_id,
            self.broker_configs,
            self.client_telemetry,
        )
        self.quotas = Quotas(self.metadata, self.config_values, steady_now_ms)
        self.features = Features(self.metadata, self.broker_id)
        self.quorum = Quorum(self.metadata, self.broker_id, lambda: self.cluster_id, now_ms)
        self.replicas = Replicas(self.topics.by_name, self.broker_id)
        self.log_dirs = LogDirs(engine, self.partitions)
        self.retention = Retention(
            self.partitions,
            broker_int("log.retention.check.interval.ms", self.config_values),
            now_ms,
        )
        self.compaction = Compaction(self.partitions, self.config_values, now_ms)
        self.producer_ids = ProducerIds(self.metadata, self.broker_id)
        self.fetching = Fetching(
            Readable(
                self.partitions.by_topic,
                self.metadata.image.topics_by_id,
                broker_int("fetch.max.bytes", self.config_values),
            ),
            FetchSessions(
                broker_int("max.incremental.fetch.session.cache.slots", self.config_values),
                steady_now_ms,
                lambda: secrets.randbelow(2**31 - 1) + 1,
            ),
            self.spawn,
        )
        self.groups = Groups(
            self.topics,
            self.partitions.by_topic,
            self.metadata.image,
            self.config_values,
            steady_now_ms,
            self.spawn,
        )
        self.group_offsets = GroupOffsets(self.groups.shards, self.partitions.by_topic)
        self.transaction_markers = TransactionMarkers(self.partitions, self.groups.shards, now_ms)
        self.transactions = Transactions(
            self.topics,
            self.partitions.by_topic,
            self.groups.shards,
            self.transaction_markers,
            self.producer_ids,
            self.config_values,
            steady_now_ms,
            self.spawn,
        )
        self.transactional_offsets = TransactionalOffsets(
            self.groups.shards, self.transactions, self.partitions.by_topic
        )

    # --- configuration

    @property
    def auto_creates_topics(self) -> bool:
        """Whether a client's Metadata request may make a topic."""
        return broker_value("auto.create.topics.enable", self.config_values) == "true"

    def check_consumer_protocol(self) -> None:
        """Whether groups speak KIP-848's protocol here.

        Raises:
            KafkaError: UNSUPPORTED_VERSION: an operator has turned it off, by config or feature.
        """
        spoken = broker_value("group.coordinator.rebalance.protocols", self.config_values)
        if not _names_consumer(spoken) or self.features.level("group.version") < 1:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)

    def endpoint_for(self, session: Session) -> Endpoint:
        """Where the client of a session finds this broker."""
        return self.advertised_listeners[session.listener_name].seen_from(session)

    # --- life

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Replays the logs, then every service is ready; leaving makes everything durable.

        What cannot be closed is logged and leaves the others closed, and the engine released.

        Raises:
            StorageError: The engine cannot be used; the message says why.
        """
        failure: Exception | None = None
        try:
            await self._engine.start()
            await self.metadata.start()
            self.broker_configs.refresh()
            self.quotas.refresh()
            self._check_broker_id()
            await self._learn_cluster_id()
            await self.partitions.open_all()
            async with anyio.create_task_group() as self._tasks:
                try:
                    await self.groups.shards.start()
                    await self.transactions.shards.start()
                    self.spawn(self.partitions.keep_in_order(now_ms))
                    self.spawn(self.retention.run())
                    self.spawn(self.compaction.run())
                    yield
                except Exception as error:  # noqa: BLE001  # raised below, not in an exception group
                    failure = error
                finally:
                    self.transactions.shards.stop()
                    self.groups.shards.stop()
                    self._tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            with anyio.CancelScope(shield=True):
                try:
                    await self.partitions.close()
                    await self.metadata.close()
                finally:
                    await self._engine.close()
        if failure is not None:
            raise failure

    def _check_broker_id(self) -> None:
        """Clients ask Metadata who leads; a leader of another id would be nowhere."""
        leaders = {
            partition.leader
            for topic in self.topics.by_name.values()
            for partition in topic.partitions.values()
        }
        if leaders - {self.broker_id}:
            raise StorageError(
                f"the data belongs to broker {min(leaders)}: start it with that broker_id, "
                f"not with {self.broker_id}"
            )

    async def _learn_cluster_id(self) -> None:
        values = self.metadata.image.configs.get((RESOURCE_BROKER, ""), {})
        if CLUSTER_ID_KEY not in values:
            cluster_id = urlsafe_b64encode(new_uuid()).decode().rstrip("=")
            record = ConfigRecord(
                resource_type=RESOURCE_BROKER,
                resource_name="",
                name=CLUSTER_ID_KEY,
                value=cluster_id,
            )
            async with self.metadata.lock:
                await self.metadata.commit([record])
            values = self.metadata.image.configs[RESOURCE_BROKER, ""]
        self.cluster_id = values[CLUSTER_ID_KEY]

    # --- tasks

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Runs a coroutine in the broker's task group; what it raises ends nothing but itself."""
        assert self._tasks is not None

        async def run() -> None:
            try:
                await work
            except Exception:
                log.exception("A background task of the broker failed.")

        self._tasks.start_soon(run)

    def eventually(self, work: Coroutine[object, object, T]) -> Pending[T]:
        """Runs a coroutine and promises its result."""
        pending: Pending[T] = Pending()

        async def run() -> None:
            try:
                value = await work
            except Exception as error:  # noqa: BLE001  whoever waits is told, whatever it is
                pending.fail(error)
            else:
                pending.resolve(value)

        self.spawn(run())
        return pending

    async def delete_topic(self, topic: TopicImage) -> None:
        """Deletes a topic and what groups remember of it.

        Raises:
            KafkaError: It is gone already, or the engine failed.
        """
        await self.topics.delete(topic)
        self.groups.forget_topic(topic)
        self.transactions.forget_topic(topic)

    async def create_topic_if_missing(self, new: NewTopic) -> None:
        """Makes a topic unless somebody else was quicker.

        Raises:
            KafkaError: It cannot be made.
        """
        if new.name not in self.topics.by_name:
            await self.topics.create(new)
