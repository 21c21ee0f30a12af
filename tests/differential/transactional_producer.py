"""A transactional producer that speaks by single requests, and writes down what it is told."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest
from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.describe_producers import DescribeProducersRequest, TopicRequest
from datacore._generated.describe_transactions import DescribeTransactionsRequest
from datacore._generated.end_txn import EndTxnRequest
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.list_transactions import ListTransactionsRequest
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, encode_batch, iterate_records
from tests.coordinator.group.twin import Wire, plain

PRODUCE = [3, 7, 9, 11, 12, 12]
MS = 1_700_000_000_000
READY_TIMEOUT_S = 60.0
_OF_ONE_BROKER = frozenset(
    {
        "throttle_time_ms",
        "last_timestamp",
        "transaction_start_time_ms",
        "error_message",
        "unknown_tagged_fields",
        "current_leader",
        "node_endpoints",
        "log_start_offset",
        # Kafka's answer to a duplicate has its timestamp, which no client reads.
        "log_append_time_ms",
    }
)


class Told(NamedTuple):
    """What was said at a step, in comparable form."""

    step: str
    said: Any


@dataclass
class Producer:
    """A transactional producer in one version of the protocol, and what it was told."""

    port: int
    version: int
    kind: str = "id"
    timeout_ms: int = 60_000
    told: list[Told] = field(default_factory=list)
    producer_ids: list[int] = field(default_factory=list)

    @property
    def transactional_id(self) -> str:
        return f"{self.kind}-{self.version}"

    @property
    def topic(self) -> str:
        return f"topic-{self.kind}-{self.version}"

    @property
    def group(self) -> str:
        return f"group-{self.kind}-{self.version}"

    def ask(self, step: str, message: Any, version: int) -> Any:
        """Asks, and writes down what is comparable of the answer."""
        answer = Wire(self.port, message, version, "script").answer()
        self.tell(f"{step} v{version}", self._comparable(plain(answer, {})))
        return answer

    def tell(self, step: str, said: Any) -> None:
        """Writes it down as it would come out of a file."""
        self.told.append(Told(step, msgspec.json.decode(msgspec.json.encode(said))))

    def _comparable(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._comparable(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept = {name: each for name, each in value.items() if name not in _OF_ONE_BROKER}
        if kept.get("producer_id", -1) >= 0:
            kept["producer_id"] = self._named(kept["producer_id"])
        return {name: self._comparable(each) for name, each in kept.items()}

    def _named(self, producer_id: int) -> str:
        if producer_id not in self.producer_ids:
            self.producer_ids.append(producer_id)
        return f"producer {self.producer_ids.index(producer_id)}"

    # Requests.

    def init(self, step: str, producer: tuple[int, int] = (-1, -1)) -> tuple[int, int]:
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id,
            transaction_timeout_ms=self.timeout_ms,
            producer_id=producer[0],
            producer_epoch=producer[1],
        )
        answer = self.ask(step, request, self.version)
        return answer.producer_id, answer.producer_epoch

    def add(
        self,
        step: str,
        producer: tuple[int, int],
        *,
        topic: str = "",
        partitions: tuple[int, ...] = (0,),
        verify_only: bool = False,
    ) -> None:
        topics = [AddPartitionsToTxnTopic(name=topic or self.topic, partitions=list(partitions))]
        if self.version < 4:
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=self.transactional_id,
                v3_and_below_producer_id=producer[0],
                v3_and_below_producer_epoch=producer[1],
                v3_and_below_topics=topics,
            )
        else:
            transaction = AddPartitionsToTxnTransaction(
                transactional_id=self.transactional_id,
                producer_id=producer[0],
                producer_epoch=producer[1],
                verify_only=verify_only,
                topics=topics,
            )
            request = AddPartitionsToTxnRequest(transactions=[transaction])
        self.ask(step, request, self.version)

    def produce(
        self, step: str, producer: tuple[int, int], sequence: int, *, partition: int = 0
    ) -> None:
        batch = encode_batch(
            [Record(0, MS, b"k", b"v")],
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=sequence,
            transactional=True,
        )
        data = PartitionProduceData(index=partition, records=bytes(batch))
        request = ProduceRequest(
            transactional_id=self.transactional_id,
            acks=-1,
            timeout_ms=10_000,
            topic_data=[TopicProduceData(name=self.topic, partition_data=[data])],
        )
        self.ask(step, request, PRODUCE[self.version])

    def add_offsets(self, step: str, producer: tuple[int, int]) -> None:
        request = AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=producer[0],
            producer_epoch=producer[1],
            group_id=self.group,
        )
        self.ask(step, request, min(self.version, 4))

    def commit_offset(
        self,
        step: str,
        producer: tuple[int, int],
        offset: int,
        *,
        topic: str = "",
        generation: int = -1,
        member_id: str = "",
    ) -> None:
        partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        request = TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=self.group,
            producer_id=producer[0],
            producer_epoch=producer[1],
            generation_id=generation,
            member_id=member_id,
            topics=[TxnOffsetCommitRequestTopic(name=topic or self.topic, partitions=[partition])],
        )
        self.ask(step, request, self.version)

    def fetch_offset(self, step: str) -> None:
        topics = [OffsetFetchRequestTopics(name=self.topic, partition_indexes=[0])]
        for require_stable in (False, True):
            request = OffsetFetchRequest(
                groups=[OffsetFetchRequestGroup(group_id=self.group, topics=topics)],
                require_stable=require_stable,
            )
            self.ask(f"{step}, stable: {require_stable}", request, 9)

    def end(self, step: str, producer: tuple[int, int], *, committed: bool) -> tuple[int, int]:
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=producer[0],
            producer_epoch=producer[1],
            committed=committed,
        )
        answer = self.ask(step, request, self.version)
        self.settle()
        is_bumped = self.version >= 5 and answer.error_code == 0
        return (answer.producer_id, answer.producer_epoch) if is_bumped else producer

    def settle(self) -> None:
        """Waits until all markers are written."""
        self.wait_until(lambda state: not state.startswith("Prepare"))

    def wait_until(self, is_good: Callable[[str], bool]) -> None:
        request = DescribeTransactionsRequest(transactional_ids=[self.transactional_id])
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            answer = Wire(self.port, request, 0, "script").answer()
            if is_good(answer.transaction_states[0].transaction_state):
                return
            assert time.monotonic() < deadline_s

    def look(self, step: str) -> None:
        """What operators see."""
        described = DescribeTransactionsRequest(
            transactional_ids=[self.transactional_id, "nobody's", ""]
        )
        self.ask(step, described, 0)
        for number in range(3):
            states = ["Ongoing", "CompleteAbort", "Nonsense"]
            listed = ListTransactionsRequest(state_filters=states)
            if number >= 2:
                listed.transactional_id_pattern = self.transactional_id
            self.ask(step, listed, number)
        topics = [TopicRequest(name=self.topic, partition_indexes=[0, 1, 9])]
        self.ask(step, DescribeProducersRequest(topics=topics), 0)

    def read(self, step: str) -> None:
        """The topic's log as consumers of committed records get it."""
        for partition in range(2):
            batches: list[object] = []
            aborted: set[tuple[str, int]] = set()
            offset = 0
            while True:
                fetched = self._fetch(partition, offset)
                records = bytes(fetched.records or b"")
                for at, header in iterate_headers(records):
                    offset = header.next_offset
                    batches.append(
                        (
                            header.base_offset,
                            header.is_control,
                            header.is_transactional,
                            self._named(header.producer_id),
                            header.producer_epoch,
                            header.base_sequence,
                            [
                                (record.key, record.value) if header.is_control else ()
                                for record in iterate_records(records[at:], header)
                            ],
                        )
                    )
                aborted |= {
                    (self._named(each.producer_id), each.first_offset)
                    for each in fetched.aborted_transactions or ()
                }
                if not records:
                    break
            ends = fetched.high_watermark, fetched.last_stable_offset
            self.tell(f"{step} {partition}", (batches, sorted(aborted), *ends))

    def _fetch(self, partition: int, offset: int) -> Any:
        wanted = FetchPartition(
            partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20
        )
        request = FetchRequest(
            max_bytes=1 << 20,
            isolation_level=1,
            topics=[FetchTopic(topic=self.topic, partitions=[wanted])],
        )
        answer = Wire(self.port, request, 11, "script").answer()
        return answer.responses[0].partitions[0]
