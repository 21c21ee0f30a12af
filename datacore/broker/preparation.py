"""Produced batches made ready for their append: at once where that is quick, else in a thread.

Rules: what a batch holds decides, not its size as it came: a small one that holds much is large. A
large batch makes its request wait, and with it the connection behind it; nobody else waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.log.preparation import INLINE_BYTES_MAX, Prepared, needs_preparation, prepare
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from datacore._generated.produce import PartitionProduceData, ProduceRequest
    from datacore.broker.broker import Broker
    from datacore.log.config import LogConfig


@dataclass(slots=True)
class Preparation:
    """What is known of a request's batches before they are appended."""

    prepared: dict[TopicPartition, Prepared] = field(default_factory=dict)
    refused: dict[TopicPartition, KafkaError] = field(default_factory=dict)

    def keep(self, request: ProduceRequest) -> None:
        """Copies the request's batches, so that they outlive its frame."""
        for topic in request.topic_data:
            for data in topic.partition_data:
                data.records = bytearray(data.records or b"")
        for where, (records, oldest_timestamp_ms) in self.prepared.items():
            self.prepared[where] = Prepared(memoryview(bytearray(records)), oldest_timestamp_ms)


NOTHING_PREPARED: Final = Preparation()
"""For requests whose batches need no preparation; nobody adds to it."""


class LargeBatch(NamedTuple):
    """A batch that would take long."""

    where: TopicPartition
    data: PartitionProduceData
    config: LogConfig
    has_transactional_id: bool


def prepare_small(
    broker: Broker, request: ProduceRequest, preparation: Preparation
) -> list[LargeBatch]:
    """Prepares what is quick, and returns what is not."""
    large = []
    has_transactional_id = request.transactional_id is not None
    for topic in request.topic_data:
        image = broker.topics.by_id.get(TopicId(topic.topic_id))
        name = TopicName(topic.name) if image is None else image.name
        logs = broker.partitions.by_topic.get(name, {})
        for data in topic.partition_data:
            log = logs.get(data.index)
            records = memoryview(data.records or b"")
            if log is None or not needs_preparation(records, log.config):
                continue
            where = TopicPartition(name, data.index)
            prepared = None
            if len(records) <= INLINE_BYTES_MAX:
                try:
                    prepared = prepare(
                        records,
                        log.config,
                        has_transactional_id=has_transactional_id,
                        max_bytes=INLINE_BYTES_MAX,
                    )
                except KafkaError as error:
                    preparation.refused[where] = error
                    continue
            if prepared is not None:
                preparation.prepared[where] = prepared
            else:
                large.append(LargeBatch(where, data, log.config, has_transactional_id))
    return large


async def prepare_large(batches: list[LargeBatch], preparation: Preparation) -> None:
    """Prepares batches in a worker thread."""
    for batch in batches:
        try:
            prepared = await anyio.to_thread.run_sync(_prepare, batch)
        except KafkaError as error:
            preparation.refused[batch.where] = error
        else:
            assert prepared is not None, "a batch may hold as much as any"
            preparation.prepared[batch.where] = prepared


def _prepare(batch: LargeBatch) -> Prepared | None:
    records = memoryview(batch.data.records or b"")
    return prepare(records, batch.config, has_transactional_id=batch.has_transactional_id)
