"""Produced batches made ready for their append: at once where that is quick, else in a thread.

Rules: what a batch holds decides, not its size as it came: a small one that holds much is large. A
large batch makes its request wait, and with it the connection behind it; nobody else waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.log.preparation import (
    INLINE_BYTES_MAX,
    Prepared,
    needs_preparation,
    prepare,
    prepare_message_set,
)
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName
from datacore.record.batch import is_magic_2
from datacore.record.compression import DECOMPRESSED_BYTES_MAX

if TYPE_CHECKING:
    from datacore._generated.produce import PartitionProduceData, ProduceRequest
    from datacore.broker.broker import Broker
    from datacore.log.config import LogConfig


@dataclass(slots=True)
class Preparation:
    """What is known of a request's batches before they are appended.

    A batch is known by its position among all of the request: one may name a partition twice.
    """

    prepared: dict[int, Prepared] = field(default_factory=dict)
    refused: dict[int, KafkaError] = field(default_factory=dict)
    not_added: dict[TopicPartition, KafkaError] = field(default_factory=dict)
    """Partitions that their coordinator does not have in the request's transaction."""

    def refusal(self, position: int, topic: TopicName, partition: int) -> KafkaError | None:
        """Why the batch at a position, which is for that partition, is not to be appended."""
        error = self.refused.get(position)
        if error is None and self.not_added:
            error = self.not_added.get(TopicPartition(topic, partition))
        return error

    def keep(self, request: ProduceRequest) -> None:
        """Copies the request's batches, so that they outlive its frame."""
        for topic in request.topic_data:
            for data in topic.partition_data:
                data.records = bytearray(data.records or b"")
        for position, (records, oldest_timestamp_ms) in self.prepared.items():
            self.prepared[position] = Prepared(memoryview(bytearray(records)), oldest_timestamp_ms)


NOTHING_PREPARED: Final = Preparation()
"""For requests whose batches need no preparation; nobody adds to it."""


class LargeBatch(NamedTuple):
    """A batch that would take long."""

    position: int
    data: PartitionProduceData
    way: _Way


class _Way(NamedTuple):
    """How the records of one partition are prepared."""

    config: LogConfig
    now_ms: int
    is_message_set: bool

    def prepare(self, records: memoryview, max_bytes: int) -> Prepared | None:
        if self.is_message_set:
            return prepare_message_set(records, self.config, self.now_ms, max_bytes=max_bytes)
        return prepare(records, self.config, max_bytes=max_bytes)


def prepare_small(
    broker: Broker, request: ProduceRequest, preparation: Preparation, *, has_message_sets: bool
) -> list[LargeBatch]:
    """Prepares what is quick, and returns what is not.

    Args:
        broker: Whose topics they are.
        request: What a producer sent.
        preparation: Filled in.
        has_message_sets: The request is of a version from before batches of magic 2; it may hold
            some nevertheless.
    """
    large = []
    position = -1
    now_ms = broker.now_ms()
    for topic in request.topic_data:
        image = broker.topics.by_id.get(TopicId(topic.topic_id))
        name = TopicName(topic.name) if image is None else image.name
        logs = broker.partitions.by_topic.get(name, {})
        for data in topic.partition_data:
            position += 1
            log = logs.get(data.index)
            records = memoryview(data.records or b"")
            if log is None:
                continue
            is_message_set = has_message_sets and not is_magic_2(records)
            if not is_message_set and not needs_preparation(records, log.config):
                continue
            way = _Way(log.config, now_ms, is_message_set)
            prepared = None
            if len(records) <= INLINE_BYTES_MAX:
                try:
                    prepared = way.prepare(records, INLINE_BYTES_MAX)
                except KafkaError as error:
                    preparation.refused[position] = error
                    continue
            if prepared is not None:
                preparation.prepared[position] = prepared
            else:
                large.append(LargeBatch(position, data, way))
    return large


async def prepare_large(batches: list[LargeBatch], preparation: Preparation) -> None:
    """Prepares batches in a worker thread."""
    for batch in batches:
        try:
            prepared = await anyio.to_thread.run_sync(_prepare, batch)
        except KafkaError as error:
            preparation.refused[batch.position] = error
        else:
            assert prepared is not None, "a batch may hold as much as any"
            preparation.prepared[batch.position] = prepared


def _prepare(batch: LargeBatch) -> Prepared | None:
    records = memoryview(batch.data.records or b"")
    return batch.way.prepare(records, DECOMPRESSED_BYTES_MAX)
