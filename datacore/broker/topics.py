"""Topics: made, widened and deleted, each as one atomic change of the cluster's metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore._generated.records.config_record import ConfigRecord
from datacore._generated.records.remove_topic_record import RemoveTopicRecord
from datacore._generated.records.topic_record import TopicRecord
from datacore.broker.replicas import check_replicas
from datacore.metadata.configs import InvalidConfig, broker_int, check_topic_configs
from datacore.metadata.image import RESOURCE_TOPIC, PartitionImage, TopicImage
from datacore.metadata.summary import partition_record
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from datacore.broker.cluster_metadata import ClusterMetadata
    from datacore.broker.partitions import Partitions
    from datacore.metadata.records import MetadataRecord

OFFSETS_TOPIC: Final = TopicName("__consumer_offsets")
TRANSACTIONS_TOPIC: Final = TopicName("__transaction_state")
INTERNAL_TOPICS: Final = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})
PARTITIONS_PER_CHANGE_MAX: Final = 10_000
"""Kafka's limit for one request to its controller."""

_NAME_LENGTH_MAX: Final = 249
_NAME: Final = re.compile(r"[a-zA-Z0-9._-]+")


def check_topic_name(name: str) -> None:
    """Refuses what cannot be a topic's name.

    Raises:
        KafkaError: INVALID_TOPIC_EXCEPTION, with the reason.
    """
    if not name:
        reason = "the empty string is not allowed"
    elif name in {".", ".."}:
        reason = f"'{name}' is not allowed"
    elif len(name) > _NAME_LENGTH_MAX:
        reason = f"its length is above the maximum of {_NAME_LENGTH_MAX}"
    elif not _NAME.fullmatch(name):
        reason = "it has a character other than ASCII alphanumerics, '.', '_' and '-'"
    else:
        return
    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {reason}")


@dataclass(slots=True)
class NewTopic:
    """What a topic shall be; -1 stands for the broker's default."""

    name: TopicName
    num_partitions: int = -1
    replication_factor: int = -1
    assignments: Sequence[tuple[int, Sequence[int]]] = ()
    """Partitions and their replicas; empty: the broker chooses."""
    configs: dict[str, str] = field(default_factory=dict)
    null_configs: Sequence[str] = ()
    """Names of configs that were given without a value, which cannot be."""

    def partition_count(self, default: int) -> int:
        """How many partitions it shall have."""
        count = len(self.assignments) or self.num_partitions
        return default if count == -1 else count


def _check_configs(new: NewTopic) -> None:
    """Refuses impossible configs, and writes the others in the one way.

    Raises:
        KafkaError: INVALID_CONFIG.
    """
    if new.null_configs:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Null value not supported for topic configs: {', '.join(new.null_configs)}",
        )
    try:
        new.configs = check_topic_configs(new.configs)
    except InvalidConfig as error:
        raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None


class Topics:
    """The topics of the cluster."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        partitions: Partitions,
        broker_id: int,
        broker_values: Mapping[str, str],
        new_topic_id: Callable[[], TopicId],
    ) -> None:
        self.by_name = metadata.image.topics
        self.by_id = metadata.image.topics_by_id
        self._metadata = metadata
        self._partitions = partitions
        self._broker_id = broker_id
        self._broker_values = broker_values
        self._new_topic_id = new_topic_id

    async def create(
        self,
        new: NewTopic,
        *,
        validate_only: bool = False,
        charge: Callable[[int], None] | None = None,
    ) -> TopicImage:
        """Makes a topic that can be produced to as soon as this returns.

        Args:
            new: What it shall be.
            validate_only: Whether it is not to be made.
            charge: Told the number of partitions before anything is made; may refuse.

        Raises:
            KafkaError: Why it cannot be made.
        """
        async with self._metadata.lock:
            self._check_new(new)
            count = new.partition_count(broker_int("num.partitions", self._broker_values))
            if charge is not None:
                charge(count)
            topic = TopicImage(new.name, self._new_topic_id())
            topic.partitions = self._new_partitions(range(count))
            if validate_only:
                return topic
            records: list[MetadataRecord] = [TopicRecord(name=topic.name, topic_id=topic.topic_id)]
            records += [
                ConfigRecord(
                    resource_type=RESOURCE_TOPIC, resource_name=topic.name, name=name, value=value
                )
                for name, value in new.configs.items()
            ]
            records += self._partition_records(topic)
            await self._commit_with_logs(topic, records, new.configs)
            return self.by_name[new.name]

    async def delete(self, topic: TopicImage) -> None:
        """Deletes a topic; its space comes back soon after.

        Raises:
            KafkaError: UNKNOWN_TOPIC_ID when somebody else was quicker.
        """
        async with self._metadata.lock:
            if topic.topic_id not in self.by_id:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, None)
            await self._metadata.commit([RemoveTopicRecord(topic_id=topic.topic_id)])
            await self._partitions.delete_topic(topic)

    async def create_partitions(
        self,
        name: TopicName,
        count: int,
        assignments: Sequence[Sequence[int]] | None,
        *,
        validate_only: bool,
        charge: Callable[[int], None] | None = None,
    ) -> None:
        """Widens a topic to ``count`` partitions.

        ``charge`` is told the number of new ones before anything is made, and may refuse.

        Raises:
            KafkaError: Why that cannot be.
        """
        async with self._metadata.lock:
            topic = self.by_name.get(name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None)
            if name in INTERNAL_TOPICS:
                # A group finds its partition by their number: with another, its offsets are lost.
                raise KafkaError(
                    ErrorCode.INVALID_PARTITIONS,
                    f"The number of partitions of {name} is fixed when it is made.",
                )
            present = len(topic.partitions)
            if count <= present:
                raise KafkaError(
                    ErrorCode.INVALID_PARTITIONS,
                    f"The topic {name} has {present} partitions, {count} would not be more.",
                )
            if assignments is not None:
                if len(assignments) != count - present:
                    raise KafkaError(
                        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                        f"{count - present} partitions are new, "
                        f"{len(assignments)} have an assignment.",
                    )
                for replicas in assignments:
                    self._check_replicas(replicas)
            if charge is not None:
                charge(count - present)
            self._check_size(count - present)
            if validate_only:
                return
            added = self._new_partitions(range(present, count))
            widened = TopicImage(topic.name, topic.topic_id, added)
            values = self._metadata.image.configs.get((RESOURCE_TOPIC, name), {})
            await self._commit_with_logs(widened, self._partition_records(widened), values)

    async def _commit_with_logs(
        self,
        topic: TopicImage,
        records: Sequence[MetadataRecord],
        topic_values: Mapping[str, str],
    ) -> None:
        """Makes the logs of new partitions, then the partitions, then both visible at once."""
        logs = await self._partitions.make_logs(topic, topic.partitions.values(), topic_values)
        try:
            await self._metadata.commit(records)
        except KafkaError:
            await self._partitions.drop_logs(topic, logs)
            raise
        self._partitions.show(topic, logs)

    def _check_new(self, new: NewTopic) -> None:
        check_topic_name(new.name)
        if new.name in self.by_name:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{new.name}' already exists.")
        twin = new.name.replace(".", "_")
        if "_" in twin:
            for name in self.by_name:
                if name.replace(".", "_") == twin:
                    raise KafkaError(
                        ErrorCode.INVALID_TOPIC_EXCEPTION,
                        f"Topic '{new.name}' collides with existing topic: {name}",
                    )
        _check_configs(new)
        if new.assignments:
            self._check_assignments(new)
        else:
            self._check_numbers(new)

    def _check_assignments(self, new: NewTopic) -> None:
        if new.num_partitions != -1 or new.replication_factor != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, so the number of partitions "
                "and the replication factor must be -1.",
            )
        if sorted(index for index, _ in new.assignments) != list(range(len(new.assignments))):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "Partitions must be a consecutive 0-based integer sequence.",
            )
        for _, replicas in new.assignments:
            self._check_replicas(replicas)

    def _check_numbers(self, new: NewTopic) -> None:
        if new.replication_factor == 0 or new.replication_factor < -1:
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0.",
            )
        if new.num_partitions == 0 or new.num_partitions < -1:
            raise KafkaError(
                ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid value."
            )
        if new.replication_factor > 1:
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"The target replication factor of {new.replication_factor} cannot be reached "
                "because only 1 broker(s) are registered.",
            )

    def check_total(self, topics: Iterable[NewTopic]) -> None:
        """Refuses to make too many partitions by one request.

        Raises:
            KafkaError: POLICY_VIOLATION.
        """
        default = broker_int("num.partitions", self._broker_values)
        self._check_size(sum(max(0, new.partition_count(default)) for new in topics))

    def _check_size(self, partitions: int) -> None:
        if partitions > PARTITIONS_PER_CHANGE_MAX:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION,
                f"Excessively large number of partitions per request, "
                f"the limit is {PARTITIONS_PER_CHANGE_MAX}.",
            )

    def _check_replicas(self, replicas: Sequence[int]) -> None:
        check_replicas(self._broker_id, replicas)

    def _new_partitions(self, indexes: range) -> dict[int, PartitionImage]:
        own = self._broker_id
        return {index: PartitionImage(index, own, 0, [own], [own]) for index in indexes}

    def _partition_records(self, topic: TopicImage) -> list[MetadataRecord]:
        return [
            partition_record(topic.topic_id, partition) for partition in topic.partitions.values()
        ]
