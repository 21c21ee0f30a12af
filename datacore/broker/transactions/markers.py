"""Markers that end transactions: written to the partitions that this broker leads, and awaited.

The partitions of ``__consumer_offsets`` get theirs through the shards of groups, which learn by
them what becomes of a transaction's offsets; all others straight into their logs.

Two call here: this broker's transaction coordinator, and WriteTxnMarkers, by which a coordinator
elsewhere or an operator asks for the same. Kafka's counterparts are ``handleWriteTxnMarkers`` and
the receiving side of ``TransactionMarkerChannelManager``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from datacore._generated.errors import ErrorCode
from datacore.broker.topics import OFFSETS_TOPIC
from datacore.log.error_codes import kafka_error
from datacore.protocol.errors import KafkaError
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datacore.broker.partitions import Partitions
    from datacore.broker.shards import Shards
    from datacore.coordinator.group.shard import GroupShard
    from datacore.coordinator.outcome import Producer
    from datacore.coordinator.transaction.metadata import TopicPartition
    from datacore.record.control import EndTransactionMarker
    from datacore.storage.pending import Pending

AT_ONCE: Final = 100
"""Markers written before everybody else has a turn."""

_LOADING: Final = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


class TransactionMarkers:
    """The way of markers into logs."""

    def __init__(
        self,
        partitions: Partitions,
        group_shards: Shards[GroupShard],
        now_ms: Callable[[], int],
    ) -> None:
        self._partitions = partitions
        self._group_shards = group_shards
        self._now_ms = now_ms

    async def write(
        self,
        producer: Producer,
        marker: EndTransactionMarker,
        partitions: Sequence[TopicPartition],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> dict[TopicPartition, ErrorCode]:
        """Writes a producer's markers, and waits until they are durable.

        Args:
            producer: Whose transaction ends, and its epoch from now on.
            marker: How it ends.
            partitions: Where.
            is_wanted: Asked before each bundle of markers: whether they are still to be written.
                What was not written is not in the result.

        Returns:
            How it went with each. NOT_LEADER_OR_FOLLOWER: its shard of groups cannot be asked now.
        """
        error_codes: dict[TopicPartition, ErrorCode] = {}
        rounds: dict[TopicPartition, Pending[None]] = {}
        for at in range(0, len(partitions), AT_ONCE):
            if at:
                await checkpoint()
            if not is_wanted():
                break
            for partition in partitions[at : at + AT_ONCE]:
                error_codes[partition] = ErrorCode.NONE
                try:
                    durable = self._append(partition, producer, marker)
                except KafkaError as error:
                    error_codes[partition] = _as_coordinators_know(error.code)
                else:
                    if durable is not None:
                        rounds[partition] = durable
        for partition, durable in rounds.items():
            try:
                await durable
            except StorageError as error:
                error_codes[partition] = kafka_error(error).code
        return error_codes

    def _append(
        self, partition: TopicPartition, producer: Producer, marker: EndTransactionMarker
    ) -> Pending[None] | None:
        if partition.topic == OFFSETS_TOPIC:
            shard = self._group_shards.get(partition.partition)
            if shard is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return shard.append_marker(producer, marker)
        log = self._partitions.log(partition.topic, partition.partition)
        try:
            return log.append_marker(
                producer.producer_id, producer.producer_epoch, marker, self._now_ms()
            ).durable
        except KafkaError:
            self._partitions.recover_soon(log)
            raise


def _as_coordinators_know(code: ErrorCode) -> ErrorCode:
    """A transaction coordinator expects leaders, and no other coordinators, to be away."""
    return ErrorCode.NOT_LEADER_OR_FOLLOWER if code in _LOADING else code
