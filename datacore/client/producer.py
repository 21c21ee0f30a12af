"""Writing records to a topic, one request at a time.

Rules:

- A record with a key goes where Kafka's Java clients would send it; those without one stay together
  and go to one partition after the other, a batch each.
- With acks=all the producer is idempotent (KIP-98): what is retried after a lost answer is stored
  once. With acks=1 it may be stored twice, with acks=0 it may be lost.
- One request is in flight; a batch holds about half a megabyte at most, unless one record is
  larger, so that a broker's default limits take it.

This is for people at a terminal and for tests. Programs that need throughput have Kafka's clients.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import UnsupportedRequestError, check
from datacore.client.partitioner import partition_of
from datacore.record.compression import Codec
from datacore.record.records import Record, encode_batch

ACKS_ALL: Final = -1

_BATCH_BYTES: Final = 512 * 1024
_RECORD_OVERHEAD_BYTES: Final = 32
_TIMEOUT_MS: Final = 30_000
_BATCHES_FROM: Final = 3
_ZSTD_FROM: Final = 7
_SEQUENCE_MASK: Final = 0x7FFFFFFF


class Written(NamedTuple):
    """Where a batch was stored; offset -1 where the broker was not asked (acks=0)."""

    partition: int
    base_offset: int
    records: int


class Producer:
    """Writes to one topic, which brokers may create at the first write."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        *,
        acks: int = ACKS_ALL,
        codec: Codec = Codec.NONE,
        partition: int | None = None,
    ) -> None:
        """Looks the topic up.

        Args:
            cluster: Where the topic lives.
            topic: Its name.
            acks: 0, 1, or ``ACKS_ALL``.
            codec: How batches are compressed.
            partition: Where every record goes; None lets keys decide.

        Raises:
            KafkaError: The topic does not exist and is not created by being asked for.
        """
        self._cluster = cluster
        self._topic = topic
        self._acks = acks
        self._codec = codec
        self._partition = partition
        found = cluster.retrying(lambda: cluster.topic(topic, may_create=True), expect_topic=True)
        self._partition_count = len(found.partitions)
        self._topic_id = found.topic_id
        self._next_keyless = 0
        self._producer_id = -1
        self._producer_epoch = -1
        self._sequences: dict[int, int] = {}

    def write(self, records: Sequence[Record]) -> list[Written]:
        """Writes records, in order within each partition, and waits for the acknowledgements.

        Raises:
            KafkaError: A batch was refused; those before it are stored.
        """
        if self._acks == ACKS_ALL and self._producer_id < 0:
            self._cluster.retrying(self._take_producer_id)
        return [
            self._write_batch(partition, batch)
            for partition, batch in self._batches(self._by_partition(records))
        ]

    def _by_partition(self, records: Sequence[Record]) -> dict[int, list[Record]]:
        keyless = self._next_keyless
        self._next_keyless = (keyless + 1) % self._partition_count
        split: dict[int, list[Record]] = {}
        for record in records:
            if self._partition is not None:
                partition = self._partition
            elif record.key is not None:
                partition = partition_of(record.key, self._partition_count)
            else:
                partition = keyless
            split.setdefault(partition, []).append(record)
        return split

    def _batches(self, split: dict[int, list[Record]]) -> Iterator[tuple[int, list[Record]]]:
        for partition, records in split.items():
            batch: list[Record] = []
            size = 0
            for record in records:
                size += _size(record)
                if batch and size > _BATCH_BYTES:
                    yield partition, batch
                    batch, size = [], _size(record)
                batch.append(record)
            yield partition, batch

    def _write_batch(self, partition: int, records: list[Record]) -> Written:
        sequence = self._sequences.get(partition, 0) if self._producer_id >= 0 else -1
        batch = encode_batch(
            records,
            codec=self._codec,
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            base_sequence=sequence,
        )
        base_offset = self._cluster.retrying(lambda: self._send(partition, batch))
        if sequence >= 0:
            self._sequences[partition] = (sequence + len(records)) & _SEQUENCE_MASK
        return Written(partition, base_offset, len(records))

    def _send(self, partition: int, batch: bytearray) -> int:
        connection = self._cluster.leader(self._topic, partition)
        version = connection.version(ProduceRequest)
        needed = _ZSTD_FROM if self._codec is Codec.ZSTD else _BATCHES_FROM
        if version < needed:
            raise UnsupportedRequestError(
                f"the broker at {connection.address} serves Produce up to {version}: "
                f"{self._codec.name.lower()} batches need {needed}"
            )
        request = ProduceRequest(
            acks=self._acks,
            timeout_ms=_TIMEOUT_MS,
            topic_data=[
                TopicProduceData(
                    name=self._topic,
                    topic_id=self._topic_id,
                    partition_data=[PartitionProduceData(index=partition, records=batch)],
                )
            ],
        )
        if self._acks == 0:
            connection.post(request, version)
            return -1
        response = connection.send(request, ProduceResponse, version)
        (stored,) = response.responses[0].partition_responses
        if stored.error_code != ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
            check(stored.error_code, stored.error_message)
        return stored.base_offset

    def _take_producer_id(self) -> None:
        response = self._cluster.any_broker().send(
            InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=_TIMEOUT_MS),
            InitProducerIdResponse,
        )
        check(response.error_code)
        self._producer_id = response.producer_id
        self._producer_epoch = response.producer_epoch


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + _RECORD_OVERHEAD_BYTES
