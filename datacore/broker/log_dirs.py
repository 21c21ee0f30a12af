"""Log directories as Kafka's tools see them: this broker has one, the place of its engine.

Kafka's counterpart is ``LogManager`` with one of its ``log.dirs``. Whatever keeps the logs, a
folder or a database, is shown as that one directory; replicas cannot leave it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore.storage.engine import Space, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore.broker.partitions import Partitions
    from datacore.protocol.names import TopicName
    from datacore.storage.engine import Engine


class LogDir(NamedTuple):
    """The one log directory and the logs in it."""

    path: str
    error_code: ErrorCode
    space: Space
    """Without sizes where there is an error."""
    sizes_bytes: dict[TopicName, dict[int, int]]
    """Of each log that was asked for and is there, by topic and partition."""


class LogDirs:
    """Where the logs of this broker lie."""

    def __init__(self, engine: Engine, partitions: Partitions) -> None:
        self._engine = engine
        self._partitions = partitions

    async def describe(self, asked: Iterable[tuple[TopicName, int]] | None) -> LogDir:
        """The directory with the logs of some partitions; None: of all.

        Partitions that are not there are left out, as in Kafka.
        """
        path = self._engine.place
        try:
            space = await self._engine.space()
        except StorageError:
            return LogDir(path, ErrorCode.KAFKA_STORAGE_ERROR, Space(-1, -1), {})
        by_topic = self._partitions.by_topic
        if asked is None:
            asked = [(topic, index) for topic, logs in by_topic.items() for index in logs]
        sizes_bytes: dict[TopicName, dict[int, int]] = defaultdict(dict)
        for topic, index in asked:
            log = by_topic.get(topic, {}).get(index)
            if log is not None:
                sizes_bytes[topic][index] = log.size_bytes
        return LogDir(path, ErrorCode.NONE, space, dict(sizes_bytes))

    def move(self, topic: TopicName, partition: int, path: str) -> ErrorCode:
        """Why a replica cannot go to a directory; NONE where it lies there already."""
        if path != self._engine.place:
            return ErrorCode.LOG_DIR_NOT_FOUND
        if partition not in self._partitions.by_topic.get(topic, {}):
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return ErrorCode.NONE
