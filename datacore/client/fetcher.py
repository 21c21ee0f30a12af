"""Reading partitions from given offsets on, one round of Fetch at a time.

Rules: every leader is asked at once and then waited for; control batches are skipped; a batch whose
CRC does not match is an error, never skipped. Without sessions (KIP-227): each request is whole.
Of committed records only (KIP-98), brokers send no open transactions and say which ones among the
batches were aborted; to leave those out is the reader's work.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import (
    AbortedTransaction,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.client.errors import ClientError, UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition
from datacore.record.batch import BatchHeader, iterate_headers, verify_crc
from datacore.record.control import ControlType, decode_end_transaction_marker
from datacore.record.errors import RecordError
from datacore.record.records import Record, iterate_records

_FETCH_BYTES: Final = 8 << 20
_PARTITION_BYTES: Final = 1 << 20
_BATCHES_FROM: Final = 4
_TOPIC_IDS_FROM: Final = 13


class Fetched(NamedTuple):
    """What one partition answered: its records, and where to go on."""

    where: TopicPartition
    records: list[Record]
    next_offset: int
    high_watermark: int


class OffsetOutOfRangeError(ClientError):
    """The partition holds nothing at the offset: it was deleted, or never written."""

    def __init__(self, where: TopicPartition, offset: int) -> None:
        super().__init__(f"{where.topic}-{where.partition} has no offset {offset} now")
        self.where = where


class Fetcher:
    """Reads partitions of a cluster."""

    def __init__(self, cluster: Cluster, *, read_committed: bool = False) -> None:
        """Reads nothing yet.

        Args:
            cluster: Where the partitions are.
            read_committed: Whether to leave out records of open and aborted transactions.
        """
        self._cluster = cluster
        self._read_committed = read_committed

    def fetch(self, positions: Mapping[TopicPartition, int], *, max_wait_ms: int) -> list[Fetched]:
        """Reads every partition at its position, waiting for at least one record for a while.

        Raises:
            OffsetOutOfRangeError: A position is outside its partition's log.
            KafkaError: A partition cannot be read.
            ClientError: What came cannot be read.
        """
        return self._cluster.retrying(lambda: self._fetch(positions, max_wait_ms))

    def _fetch(self, positions: Mapping[TopicPartition, int], max_wait_ms: int) -> list[Fetched]:
        asked = [
            (
                connection := self._cluster.broker(leader_id),
                *self._post(connection, led, positions, max_wait_ms),
            )
            for leader_id, led in self._cluster.by_leader(positions).items()
        ]
        fetched: list[Fetched] = []
        for connection, version, correlation_id in asked:
            response = connection.take(FetchResponse, version, correlation_id)
            check(response.error_code)
            fetched += self._read(response, version, positions)
        return fetched

    def _post(
        self,
        connection: Connection,
        partitions: list[TopicPartition],
        positions: Mapping[TopicPartition, int],
        max_wait_ms: int,
    ) -> tuple[int, int]:
        version = connection.version(FetchRequest)
        if version < _BATCHES_FROM:
            raise UnsupportedRequestError(
                f"the broker at {connection.address} serves Fetch up to {version}: "
                f"record batches need {_BATCHES_FROM}"
            )
        topics: dict[str, FetchTopic] = {}
        for where in partitions:
            topic = topics.setdefault(
                where.topic,
                FetchTopic(topic=where.topic, topic_id=self._cluster.topic_id(where.topic)),
            )
            topic.partitions.append(
                FetchPartition(
                    partition=where.partition,
                    fetch_offset=positions[where],
                    partition_max_bytes=_PARTITION_BYTES,
                )
            )
        request = FetchRequest(
            max_wait_ms=max_wait_ms,
            min_bytes=1,
            max_bytes=_FETCH_BYTES,
            isolation_level=int(self._read_committed),
            topics=list(topics.values()),
        )
        return version, connection.post(request, version)

    def _read(
        self, response: FetchResponse, version: int, positions: Mapping[TopicPartition, int]
    ) -> list[Fetched]:
        names = {self._cluster.topic_id(where.topic): where.topic for where in positions}
        fetched = []
        for topic in response.responses:
            name = names.get(topic.topic_id) if version >= _TOPIC_IDS_FROM else topic.topic
            for partition in topic.partitions:
                where = TopicPartition(name or "", partition.partition_index)
                if where not in positions:
                    raise ClientError(f"the broker answered for {name}, which was not asked for")
                fetched.append(_read_partition(where, partition, positions[where]))
        return fetched


def _read_partition(where: TopicPartition, data: PartitionData, position: int) -> Fetched:
    if data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
        raise OffsetOutOfRangeError(where, position)
    check(data.error_code, f"{where.topic}-{where.partition}")
    records: list[Record] = []
    next_offset = position
    buffer = memoryview(data.records or b"")
    aborted = _AbortedTransactions(data.aborted_transactions or ())
    try:
        for at, header in iterate_headers(buffer):
            batch = buffer[at : at + header.size]
            if not verify_crc(batch, header):
                raise ClientError(
                    f"{where.topic}-{where.partition}: the batch at offset {header.base_offset} "
                    "is corrupt: its CRC does not match"
                )
            next_offset = max(next_offset, header.next_offset)
            if not (aborted.hide(batch, header) or header.is_control):
                records += (r for r in iterate_records(batch, header) if r.offset >= position)
    except RecordError as error:
        raise ClientError(f"{where.topic}-{where.partition}: unreadable records: {error}") from None
    return Fetched(where, records, next_offset, data.high_watermark)


class _AbortedTransactions:
    """Which batches of a partition belong to transactions that were aborted.

    A producer's records are hidden from the first offset of its aborted transaction to the marker
    that ends it. Brokers list such transactions for readers of committed records only.
    """

    def __init__(self, listed: Sequence[AbortedTransaction]) -> None:
        self._to_come = deque(sorted(listed, key=lambda each: each.first_offset))
        self._producer_ids: set[int] = set()

    def hide(self, batch: memoryview, header: BatchHeader) -> bool:
        """Whether the next batch of the log is to be left out."""
        while self._to_come and self._to_come[0].first_offset < header.next_offset:
            self._producer_ids.add(self._to_come.popleft().producer_id)
        if header.producer_id not in self._producer_ids:
            return False
        if header.is_control:
            if decode_end_transaction_marker(batch, header).control_type is ControlType.ABORT:
                self._producer_ids.discard(header.producer_id)
            return True
        return header.is_transactional
