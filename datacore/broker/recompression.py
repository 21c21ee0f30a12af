"""Produced batches in their topics' codecs: at once where that is quick, else in a worker thread.

Rules: what a batch holds decides, not its size as it came: a small one that holds much is large. A
large batch makes its request wait, and with it the connection behind it; nobody else waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.log.recompression import INLINE_BYTES_MAX, needs_recompression, recompress
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacore._generated.produce import PartitionProduceData, ProduceRequest
    from datacore.broker.broker import Broker
    from datacore.log.config import LogConfig


class LargeBatch(NamedTuple):
    """A batch that would take long."""

    where: TopicPartition
    data: PartitionProduceData
    """Gets the recompressed batch, as a request's records."""
    config: LogConfig
    has_transactional_id: bool


def take_large(broker: Broker, request: ProduceRequest) -> list[LargeBatch]:
    """Recompresses what is small, in the request itself, and returns what is not.

    A batch that is refused is left as it is: its append finds the same.
    """
    large = []
    has_transactional_id = request.transactional_id is not None
    for topic in request.topic_data:
        image = broker.topics.by_id.get(TopicId(topic.topic_id))
        name = TopicName(topic.name) if image is None else image.name
        logs = broker.partitions.by_topic.get(name, {})
        for data in topic.partition_data:
            log = logs.get(data.index)
            records = memoryview(data.records or b"")
            if log is None or not needs_recompression(records, log.config):
                continue
            done = None
            if len(records) <= INLINE_BYTES_MAX:
                try:
                    done = recompress(
                        records,
                        log.config,
                        has_transactional_id=has_transactional_id,
                        max_bytes=INLINE_BYTES_MAX,
                    )
                except KafkaError:
                    continue
            if done is not None:
                data.records = done
            else:
                where = TopicPartition(name, data.index)
                large.append(LargeBatch(where, data, log.config, has_transactional_id))
    return large


async def recompress_large(
    batches: Iterable[LargeBatch],
) -> dict[TopicPartition, KafkaError]:
    """Recompresses batches in a worker thread; which of them are refused, and why."""
    refused = {}
    for batch in batches:
        try:
            batch.data.records = await anyio.to_thread.run_sync(_recompress, batch)
        except KafkaError as error:
            refused[batch.where] = error
    return refused


def _recompress(batch: LargeBatch) -> bytearray | None:
    records = memoryview(batch.data.records or b"")
    return recompress(records, batch.config, has_transactional_id=batch.has_transactional_id)
