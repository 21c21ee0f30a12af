"""The partitions that this broker leads: from a topic's name or id to an open log."""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from datacore._generated.errors import ErrorCode
from datacore.log.config import Compression, LogConfig
from datacore.log.error_codes import kafka_error
from datacore.log.partition_log import PartitionLog
from datacore.metadata.configs import broker_int, topic_value
from datacore.metadata.image import RESOURCE_TOPIC
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName
from datacore.record.compression import Codec
from datacore.storage.engine import FileHandling, LogName, SegmentLimits, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from datacore.metadata.image import ClusterImage, PartitionImage, TopicImage
    from datacore.storage.engine import Engine

T = TypeVar("T")

logger = logging.getLogger("datacore.broker")

_NAME_PART_MAX: Final = 200
"""Log names have room for 249 characters: a topic's name, the partition, the topic's id."""

_ENCODED_ID_LENGTH: Final = 22
_LOGS_AT_ONCE: Final = 64
"""That are opened or closed at a time: each waits for worker threads, syncs or a network."""

LOOKED_AFTER_EVERY_S: Final = 60.0


def log_name(topic: TopicImage, partition: int) -> LogName:
    """The engine's name of a partition's log.

    The topic's id is part of it, so a topic that is deleted and made again never meets the data
    of its predecessor, whatever a crash left behind.
    """
    topic_id = urlsafe_b64encode(topic.topic_id).decode().rstrip("=")
    return LogName(f"{topic.name[:_NAME_PART_MAX]}-{partition}.{topic_id}")


def _topic_id_of(name: LogName) -> TopicId | None:
    """The topic's id in the name of a log; None where there is none."""
    encoded = name.rpartition(".")[2]
    if len(encoded) != _ENCODED_ID_LENGTH:
        return None
    return TopicId(urlsafe_b64decode(encoded + "=="))


class Partitions:
    """Open logs, by topic name and partition index."""

    def __init__(
        self,
        engine: Engine,
        image: ClusterImage,
        broker_values: Mapping[str, str],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self.by_topic: dict[TopicName, dict[int, PartitionLog]] = {}
        self._engine = engine
        self._image = image
        self._broker_values = broker_values
        self._spawn = spawn
        self._recovering: set[PartitionLog] = set()
        self._opening = anyio.Semaphore(_LOGS_AT_ONCE)
        self.prepares_batches = False
        """Whether some topic needs more of produced batches than their headers, or has needed."""

    def log(self, topic: TopicName, partition: int) -> PartitionLog:
        """The log of a partition that this broker leads.

        Raises:
            KafkaError: UNKNOWN_TOPIC_OR_PARTITION.
        """
        try:
            return self.by_topic[topic][partition]
        except KeyError:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None) from None

    def recover_soon(self, log: PartitionLog) -> None:
        """Lets a log whose engine has failed take appends again; nothing where none has."""
        if log.needs_recovery and log not in self._recovering:
            self._recovering.add(log)
            self._spawn(self._recover(log))

    async def _recover(self, log: PartitionLog) -> None:
        try:
            await log.recover()
        except KafkaError:
            logger.exception("A partition cannot be recovered yet; the next append tries again.")
        finally:
            self._recovering.discard(log)

    def log_config(self, topic_values: Mapping[str, str]) -> LogConfig:
        """What a topic's configs say to its logs."""

        def value(name: str) -> str:
            return topic_value(name, topic_values, self._broker_values)

        policies = [policy.strip() for policy in value("cleanup.policy").split(",")]
        segment_age_ms = int(value("segment.ms"))
        max_compaction_lag_ms = int(value("max.compaction.lag.ms"))
        if "compact" in policies:
            # What is written to is not compacted, so it must end in time.
            segment_age_ms = min(segment_age_ms, max_compaction_lag_ms)
        return LogConfig(
            max_message_bytes=int(value("max.message.bytes")),
            log_append_time=value("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms=int(value("message.timestamp.before.max.ms")),
            timestamp_after_max_ms=int(value("message.timestamp.after.max.ms")),
            compression=_compression(value),
            compacted="compact" in policies,
            deletes="delete" in policies,
            retention_ms=int(value("retention.ms")),
            retention_bytes=int(value("retention.bytes")),
            min_cleanable_dirty_ratio=float(value("min.cleanable.dirty.ratio")),
            min_compaction_lag_ms=int(value("min.compaction.lag.ms")),
            max_compaction_lag_ms=max_compaction_lag_ms,
            delete_retention_ms=int(value("delete.retention.ms")),
            segments=SegmentLimits(
                size_bytes=int(value("segment.bytes")),
                age_ms=segment_age_ms,
                jitter_ms=int(value("segment.jitter.ms")),
                files=FileHandling(
                    index_interval_bytes=int(value("index.interval.bytes")),
                    preallocates=value("preallocate") == "true",
                    delete_delay_ms=int(value("file.delete.delay.ms")),
                    flush_messages=int(value("flush.messages")),
                    flush_ms=int(value("flush.ms")),
                ),
            ),
        )

    def _config_of(self, topic: TopicName, topic_values: Mapping[str, str]) -> LogConfig:
        config = self.log_config(topic_values)
        # The broker's own topics, which are compacted, take no batches of producers.
        if not topic.startswith("__") and (config.looks_into_records or config.compression):
            self.prepares_batches = True
        return config

    def reconfigure(self, topic: TopicName, topic_values: Mapping[str, str]) -> None:
        """Lets a topic's logs obey its configs, from their next append on."""
        config = self._config_of(topic, topic_values)
        for log in self.by_topic.get(topic, {}).values():
            log.reconfigure(config)

    async def open_all(self) -> None:
        """Opens the log of every partition of the image, and deletes logs of topics that are gone.

        Raises:
            StorageError: A log cannot be opened; whatever could be is as it was.
        """
        topics = self._image.topics.values()
        wanted = {log_name(topic, index) for topic in topics for index in topic.partitions}
        for name in await self._engine.list_logs():
            if name not in wanted and "." in name:
                await self._delete_unowned(name)
        self._image.removed_topic_ids.clear()  # nothing is left of their logs
        await _each(list(topics), self._open_topic)

    async def _open_topic(self, topic: TopicImage) -> None:
        values = self._image.configs.get((RESOURCE_TOPIC, topic.name), {})
        self.show(topic, await self._open_logs(topic, topic.partitions.values(), values))

    async def _delete_unowned(self, name: LogName) -> None:
        """Deletes what a crash left of a topic's making or deletion, and nothing else.

        Records in a log of which the metadata knows nothing at all mean that metadata was lost,
        and then they are the last thing to throw away.
        """
        if _topic_id_of(name) not in self._image.removed_topic_ids:
            try:
                log = await self._engine.open_log(name, epoch=0)
                holds_records = log.end_offset > 0
                await log.close()
            except StorageError as error:
                logger.warning("Log %s belongs to no topic and is kept: %s", name, error)
                return
            if holds_records:
                logger.warning(
                    "Log %s holds records of a topic that the metadata has never heard of; "
                    "it is kept. Was the metadata's log lost?",
                    name,
                )
                return
        await self._engine.delete_log(name)

    async def make_logs(
        self,
        topic: TopicImage,
        partitions: Iterable[PartitionImage],
        topic_values: Mapping[str, str],
    ) -> dict[int, PartitionLog]:
        """Makes the logs of new partitions without showing them to anybody yet.

        Raises:
            KafkaError: KAFKA_STORAGE_ERROR, the engine could not; what this call made is gone.
        """
        try:
            return await self._open_logs(topic, partitions, topic_values)
        except StorageError as error:
            await self.drop_logs(topic, topic.partitions)
            raise kafka_error(error) from error

    async def _open_logs(
        self,
        topic: TopicImage,
        partitions: Iterable[PartitionImage],
        topic_values: Mapping[str, str],
    ) -> dict[int, PartitionLog]:
        config = self._config_of(topic.name, topic_values)
        logs: dict[int, PartitionLog] = {}

        async def open_one(partition: PartitionImage) -> None:
            async with self._opening:  # of all topics together
                engine_log = await self._engine.open_log(
                    log_name(topic, partition.index), epoch=partition.leader_epoch
                )
                log = await PartitionLog.open(engine_log, config, partition.leader_epoch)
            log.when_grown = self._sum_up_soon
            logs[partition.index] = log

        await _each(list(partitions), open_one)
        return dict(sorted(logs.items()))

    def show(self, topic: TopicImage, logs: dict[int, PartitionLog]) -> None:
        """Lets clients reach opened logs."""
        self.by_topic.setdefault(topic.name, {}).update(logs)

    async def drop_logs(self, topic: TopicImage, partitions: Iterable[int]) -> bool:
        """Deletes logs of partitions that are not, or no longer, part of the metadata.

        Returns:
            Whether all are deleted. What the engine cannot delete now, the next start does.
        """
        are_deleted = True
        for index in partitions:
            try:
                await self._engine.delete_log(log_name(topic, index))
            except StorageError as error:
                logger.warning("Left behind until the next start: %s", error)
                are_deleted = False
        return are_deleted

    async def delete_topic(self, topic: TopicImage) -> None:
        """Takes a topic's partitions away from clients, then deletes their logs."""
        logs = self.by_topic.pop(topic.name, {})
        for log in logs.values():
            log.wake_watchers()
        if await self.drop_logs(topic, topic.partitions):
            self._image.removed_topic_ids.discard(topic.topic_id)

    async def keep_in_order(self, now_ms: Callable[[], int]) -> None:
        """Looks after all logs for as long as it is not cancelled."""
        while True:
            await anyio.sleep(LOOKED_AFTER_EVERY_S)
            self.put_in_order(now_ms())

    def put_in_order(self, now_ms: int) -> None:
        """Forgets silent producers."""
        expiration_ms = broker_int("producer.id.expiration.ms", self._broker_values)
        for logs in self.by_topic.values():
            for log in logs.values():
                log.producers.expire(now_ms - expiration_ms)

    def _sum_up_soon(self, log: PartitionLog) -> None:
        self._spawn(self._sum_up(log))

    @staticmethod
    async def _sum_up(log: PartitionLog) -> None:
        """Has a log that has grown summed up: a crash should not cost the next start more."""
        try:
            await log.save_snapshot()
        except StorageError as error:
            logger.warning("A log cannot be summed up: %s", error)

    async def close(self) -> None:
        """Makes every log durable and lets go of it."""
        logs = [log for logs in self.by_topic.values() for log in logs.values()]
        self.by_topic.clear()
        await _each(logs, PartitionLog.close)


def _compression(value: Callable[[str], str]) -> Compression | None:
    """What compression.type and the level of its codec say."""
    match value("compression.type"):
        case "producer":
            return None
        case "uncompressed":
            return Compression(Codec.NONE)
        case "snappy":
            return Compression(Codec.SNAPPY)
        case name:
            return Compression(Codec[name.upper()], int(value(f"compression.{name}.level")))


async def _each(items: list[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Acts on each item, several at a time.

    Raises:
        StorageError: What the first one that failed said; no other was begun after it.
    """
    items.reverse()
    failures: list[StorageError] = []

    async def act_on_some() -> None:
        while items and not failures:
            try:
                await act(items.pop())
            except StorageError as error:
                failures.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(min(_LOGS_AT_ONCE, len(items))):
            tasks.start_soon(act_on_some)
    if failures:
        raise failures[0]
