"""Producer ids: handed out from blocks that the cluster's metadata grants (KIP-730).

A crash wastes the rest of a block; no id is ever handed out twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.records.producer_ids_record import ProducerIdsRecord

if TYPE_CHECKING:
    from datacore.broker.cluster_metadata import ClusterMetadata

BLOCK_SIZE: Final = 1000


class ProducerIds:
    """The source of producer ids."""

    def __init__(self, metadata: ClusterMetadata, broker_id: int) -> None:
        self._metadata = metadata
        self._broker_id = broker_id
        self._next = 0
        self._end = 0

    async def allocate(self) -> int:
        """A producer id that nobody else has.

        Raises:
            KafkaError: A new block could not be made durable.
        """
        if self._next == self._end:
            async with self._metadata.lock:
                if self._next == self._end:
                    first = self._metadata.image.next_producer_id
                    record = ProducerIdsRecord(
                        broker_id=self._broker_id, next_producer_id=first + BLOCK_SIZE
                    )
                    await self._metadata.commit([record])
                    self._next, self._end = first, first + BLOCK_SIZE
        producer_id = self._next
        self._next += 1
        return producer_id
