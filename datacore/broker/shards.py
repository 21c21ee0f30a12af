"""The shards of one coordinator: the topic that remembers, and a machine for each partition of it.

An id (of a group, of a transaction) belongs to one partition of the topic by its hash, as Kafka has
it. The topic is made when the first client looks for a coordinator.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Generic

from datacore._generated.errors import ErrorCode
from datacore.broker.runtime import MachineT, ResponseT, ShardRuntime
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping

    from datacore.broker.context import RequestContext
    from datacore.broker.topics import NewTopic, Topics
    from datacore.coordinator.context import RequestContext as CoordinatorContext
    from datacore.coordinator.outcome import Outcome
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.names import TopicName
    from datacore.storage.pending import Pending


_REMEMBERED_CHARS_MAX: Final = 255
"""Longer ids are nobody's habit, and would fill the memory."""


def partition_for(coordinated_id: str, partitions: int) -> int:
    """The partition of the coordinator's topic that an id belongs to.

    Kafka's rule: ``abs(String.hashCode) % partitions``, where the smallest int32 counts as 0.
    """
    is_short = len(coordinated_id) <= _REMEMBERED_CHARS_MAX
    code = _short_hash_code(coordinated_id) if is_short else _hash_code(coordinated_id)
    return (0 if code == -(1 << 31) else abs(code)) % partitions


def _hash_code(text: str) -> int:
    """Java's ``String.hashCode``."""
    code = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        code = (31 * code + (units[at] << 8 | units[at + 1])) & 0xFFFF_FFFF
    return code - (1 << 32) if code >= 1 << 31 else code


# Every heartbeat of every member asks.
_short_hash_code = lru_cache(maxsize=8192)(_hash_code)


class Shards(Generic[MachineT]):
    """All shards of one coordinator.

    Args:
        topic: Its topic, as it is made when it is missing.
        topics: Makes it.
        logs: Of all topics that are there.
        new_machine: Makes a machine that knows nothing yet.
        now_ms: The clock.
        spawn: Runs a task.
        logger: Where the machines' sentences go.
        begin: Begins an effect of the machine in the partition of that number.
    """

    def __init__(
        self,
        topic: NewTopic,
        topics: Topics,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
        new_machine: Callable[[], MachineT],
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
        logger: logging.Logger,
        begin: Callable[[int, object], None] | None = None,
    ) -> None:
        self._topic = topic
        self._topics = topics
        self._logs = logs
        self._new_machine = new_machine
        self._now_ms = now_ms
        self._spawn = spawn
        self._logger = logger
        self._begin = begin
        self._by_partition: dict[int, ShardRuntime[MachineT]] = {}

    def __getitem__(self, partition: int) -> ShardRuntime[MachineT]:
        return self._by_partition[partition]

    def __iter__(self) -> Iterator[ShardRuntime[MachineT]]:
        """Those of now, whatever changes meanwhile."""
        return iter(list(self._by_partition.values()))

    # --- life

    async def start(self) -> None:
        """Replays the shards of a topic that is there; those that run go on."""
        fresh = {
            partition: ShardRuntime(
                log,
                self._new_machine,
                self._now_ms,
                self._spawn,
                self._logger,
                None if self._begin is None else partial(self._begin, partition),
            )
            for partition, log in self._logs.get(self._topic.name, {}).items()
            if partition not in self._by_partition
        }
        # All at once: an id's shard depends on how many there are.
        self._by_partition |= fresh
        for shard in fresh.values():
            await shard.start()

    def stop(self) -> None:
        """Answers what is parked: another broker, or this one later, goes on."""
        for shard in self:
            shard.stop()

    async def create_topic_if_missing(self) -> None:
        """Makes the topic and its shards.

        Raises:
            KafkaError: The topic cannot be made.
        """
        if self._topic.name not in self._topics.by_name:
            try:
                await self._topics.create(self._topic)
            except KafkaError as error:
                # Two clients look for a coordinator at once: the other one made it.
                if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
                    raise
        await self.start()

    def forget_topic(self) -> None:
        """Without the topic nothing is known."""
        self.stop()
        self._by_partition.clear()

    # --- whose is what

    def partition_of(self, coordinated_id: str) -> int:
        """The partition that an id belongs to.

        Raises:
            KafkaError: NOT_COORDINATOR, the topic is not there.
        """
        if not self._by_partition:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return partition_for(coordinated_id, len(self._by_partition))

    def of(self, coordinated_id: str) -> ShardRuntime[MachineT]:
        """The shard that an id belongs to.

        Raises:
            KafkaError: NOT_COORDINATOR, the topic is not there.
        """
        return self._by_partition[self.partition_of(coordinated_id)]

    def get(self, partition: int) -> ShardRuntime[MachineT] | None:
        """The shard of a partition, if there is one."""
        return self._by_partition.get(partition)

    def together(self, coordinated_ids: Iterable[str]) -> list[list[str]]:
        """The same ids, put together by the shard that they belong to."""
        by_partition: dict[int, list[str]] = {}
        for coordinated_id in coordinated_ids:
            partition = partition_for(coordinated_id, len(self._by_partition) or 1)
            by_partition.setdefault(partition, []).append(coordinated_id)
        return list(by_partition.values())

    # --- questions

    def ask(
        self,
        coordinated_id: str,
        context: RequestContext,
        handle: Callable[[MachineT, CoordinatorContext], Outcome],
        *,
        api_version: int | None = None,
    ) -> Pending[ResponseT]:
        """Asks the machine that an id belongs to.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        return self.of(coordinated_id).call(handle, context, api_version=api_version)
