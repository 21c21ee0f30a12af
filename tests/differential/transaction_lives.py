"""Scripts of a transactional producer's life, for Apache Kafka 4.1.1 and for DataCore.

Each protocol version from 0 to 5 lives the same life with an id, a group and topics of its own;
every answer is compared, and in the end the logs: batches, markers, aborted transactions, and the
records of ``__transaction_state``. Producer ids are compared by the order in which they appear.
Another producer is silent until its time is over (Kafka looks every 10 s, unless it is told so).

Where DataCore means to differ, the scripts leave it out: EndTxn is answered when the markers are
written (Kafka answers before, and refuses the next transaction until then).
"""

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
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.list_transactions import ListTransactionsRequest
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
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
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from datacore.coordinator.transaction.records import decode
from datacore.record.batch import iterate_headers
from datacore.record.records import Record, encode_batch, iterate_records
from tests.coordinator.group.twin import Wire, plain

ONE_SHARD = {
    "transaction.state.log.num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    "num.partitions": "2",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
}
REPLICAS = {
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "offsets.topic.replication.factor": "1",
}
PRODUCE = [3, 7, 9, 11, 12, 12]
MS = 1_700_000_000_000
READY_TIMEOUT_S = 60.0
SHORT_MS = 100
"""Of a transaction that nobody goes on with."""
_RETRIABLE = {14, 15, 16}
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
class Life:
    """A script's progress at one broker."""

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
        self._wait_until(lambda state: not state.startswith("Prepare"))

    def _wait_until(self, is_good: Callable[[str], bool]) -> None:
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

    # The script.

    def live(self) -> None:
        producer = self.init("first init")
        producer = self.init("second init")
        self._add_and_produce(producer)
        producer = self._end_and_repeat(producer)
        producer = self._abort(producer)
        producer = self._be_fenced(producer)
        if self.version >= 3:
            bumped = self.init("init that names itself", producer)
            assert self.init("the same again", producer) == bumped
            self.init("a stranger's init", (producer[0] + 777, 0))
            self.init("an init of long ago", (producer[0], 0))
        self.read("the log")

    def _add_and_produce(self, producer: tuple[int, int]) -> None:
        stale, early = (producer[0], producer[1] - 1), (producer[0], producer[1] + 1)
        self.produce("produce before adding", producer, 0)
        self.add("add, stale", stale)
        self.add("add, early", early)
        self.add("add of another producer", (producer[0] + 777, producer[1]))
        self.add("add of an unknown topic", producer, topic="unknown")
        self.add("add of a partition too many", producer, partitions=(0, 9))
        self.add("add", producer)
        self.add("add again", producer)
        if self.version >= 4:
            self.add("verify", producer, verify_only=True)
            self.add("verify another", producer, partitions=(0, 1), verify_only=True)
        first = 1 if PRODUCE[self.version] >= 12 else 0
        self.produce("produce", producer, first)
        self.produce("produce the same", producer, first)
        self.produce("produce, stale", stale, first + 1)
        self.produce("produce with a gap", producer, first + 5)
        self.produce("produce elsewhere", producer, 0, partition=1)
        if self.version >= 5:
            self.commit_offset("implicit commit", producer, 11)
        self.add_offsets("add offsets, stale", stale)
        self.add_offsets("add offsets", producer)
        self.commit_offset("commit", producer, 17)
        self.commit_offset("commit, stale", stale, 18)
        self.commit_offset("commit of an unknown topic", producer, 18, topic="unknown")
        if self.version >= 3:
            self.commit_offset("commit of a stranger", producer, 18, generation=3, member_id="m")
            self.commit_offset("commit of a member", producer, 17, member_id="m")
        self.fetch_offset("offsets while it is open")
        self.look("while it is open")
        self.read("the log while it is open")

    def _end_and_repeat(self, producer: tuple[int, int]) -> tuple[int, int]:
        self.end("end, stale", (producer[0], producer[1] - 1), committed=True)
        self.end("end, early", (producer[0], producer[1] + 1), committed=True)
        self.end("end of another producer", (producer[0] + 777, producer[1]), committed=True)
        ended = self.end("commit it", producer, committed=True)
        self.end("commit it again", producer, committed=True)
        self.end("abort what is committed", producer, committed=False)
        if self.version >= 5:
            self.end("commit nothing", ended, committed=True)
            ended = self.end("abort nothing", ended, committed=False)
        self.fetch_offset("offsets when it is committed")
        self.look("when it is committed")
        return ended

    def _abort(self, producer: tuple[int, int]) -> tuple[int, int]:
        self.add("add for the second", producer)
        next_sequence = {0: 1, 4: 2}.get(self.version, 1) if self.version < 5 else 0
        self.produce("produce for the second", producer, next_sequence)
        self.add_offsets("add offsets for the second", producer)
        self.commit_offset("commit for the second", producer, 99)
        ended = self.end("abort it", producer, committed=False)
        self.end("abort it again", producer, committed=False)
        self.end("commit what is aborted", producer, committed=True)
        self.fetch_offset("offsets when it is aborted")
        self.read("the log when it is aborted")
        return ended

    def _be_fenced(self, producer: tuple[int, int]) -> tuple[int, int]:
        self.add("add for the third", producer)
        marker = WritableTxnMarker(
            producer_id=producer[0],
            producer_epoch=producer[1],
            topics=[WritableTxnMarkerTopic(name=self.topic, partition_indexes=[1, 9])],
        )
        self.ask("an operator's marker", WriteTxnMarkersRequest(markers=[marker]), 1)
        self.init("init while it is open")
        self.settle()
        self.end("end of the fenced", producer, committed=True)
        self.add("add of the fenced", producer)
        return self.init("init when it is aborted")

    def be_silent(self) -> None:
        """Nothing is asked between a transaction's start and its end by the broker."""
        producer = self.init("init of a short transaction")
        self.add("add of the silent", producer)
        self._come_after_its_end(producer)

    def be_silent_after_offsets(self) -> None:
        """The same of a transaction of offsets alone."""
        producer = self.init("init of a short transaction")
        self.add_offsets("add offsets of the silent", producer)
        self._come_after_its_end(producer)

    def be_overtaken(self) -> None:
        """Another producer comes while a transaction is open, and does not come again yet."""
        producer = self.init("init")
        self.add("add", producer)
        self.init("init of another")
        self._come_after_its_end(producer)

    def be_overtaken_after_offsets(self) -> None:
        """The same of a transaction of offsets alone."""
        producer = self.init("init")
        self.add_offsets("add offsets", producer)
        self.init("init of another")
        self._come_after_its_end(producer)

    def _come_after_its_end(self, producer: tuple[int, int]) -> None:
        self._wait_until(lambda state: state == "CompleteAbort")
        self.look("when it is over")
        self.read("the log when it is over")
        self.end("commit after the end", producer, committed=True)
        self.end("abort after the end", producer, committed=False)
        self.add("add after the end", producer)
        self.produce("produce after the end", producer, 0)
        self.add_offsets("add offsets after the end", producer)
        if self.version >= 3:
            self.init("init that names itself after the end", producer)
        self.init("init of the next")
        self.read("the log in the end")


LIVES: tuple[tuple[str, Callable[[Life], None], int], ...] = (
    ("id", Life.live, 60_000),
    ("silent", Life.be_silent, SHORT_MS),
    ("silent-offsets", Life.be_silent_after_offsets, SHORT_MS),
    ("overtaken", Life.be_overtaken, 60_000),
    ("overtaken-offsets", Life.be_overtaken_after_offsets, 60_000),
)
"""What there is of each version: the ids' names, the script, and the transactions' timeout."""


def lives(port: int) -> list[Told]:
    """All versions' lives, one after the other, and what is in the coordinator's log."""
    told = []
    for version in range(6):
        for kind, script, timeout_ms in LIVES:
            life = Life(port, version, kind, timeout_ms)
            _ask_until_ready(port, life)
            script(life)
            told += [Told(f"{life.transactional_id}: {step}", said) for step, said in life.told]
    ready = msgspec.json.decode(msgspec.json.encode(_transaction_log(port)))
    records = [record for record in ready if record[0] != "ready"]
    return [*told, Told("the coordinator's log", records)]


def _ask_until_ready(port: int, life: Life) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    topics = [MetadataRequestTopic(name=life.topic)]
    while Wire(port, MetadataRequest(topics=topics), 9, "setup").answer().topics[0].error_code:
        assert time.monotonic() < deadline_s
    led = DescribeProducersRequest(topics=[TopicRequest(name=life.topic, partition_indexes=[0, 1])])
    while any(p.error_code for p in Wire(port, led, 0, "setup").answer().topics[0].partitions):
        assert time.monotonic() < deadline_s
    for key_type in (0, 1):
        request = FindCoordinatorRequest(key=life.group, key_type=key_type)
        while Wire(port, request, 2, "setup").answer().error_code:
            assert time.monotonic() < deadline_s
    init = InitProducerIdRequest(transactional_id="ready", transaction_timeout_ms=1_000)
    while Wire(port, init, 4, "setup").answer().error_code in _RETRIABLE:
        assert time.monotonic() < deadline_s


def _transaction_log(port: int) -> list[tuple[object, ...]]:
    """What is comparable of the records of __transaction_state."""
    partition = FetchPartition(partition=0, partition_max_bytes=1 << 24)
    topics = [FetchTopic(topic="__transaction_state", partitions=[partition])]
    request = FetchRequest(max_bytes=1 << 24, topics=topics)
    answer = Wire(port, request, 11, "reader").answer()
    records = bytes(answer.responses[0].partitions[0].records)
    found: list[tuple[object, ...]] = []
    for at, header in iterate_headers(records):
        for record in iterate_records(records[at:], header):
            stored = decode(record.key or b"", record.value)
            assert stored is not None
            assert stored.metadata is not None
            metadata = stored.metadata
            found.append(
                (
                    stored.transactional_id,
                    metadata.producer_epoch,
                    metadata.state.label,
                    sorted(metadata.partitions),
                    metadata.timeout_ms,
                    metadata.client_version,
                    metadata.next_producer_id,
                    metadata.previous_producer_id,
                    len(record.value or b""),
                )
            )
    return found


def differences(ours: list[Told], theirs: list[Told]) -> str:
    """What DataCore and Apache Kafka said otherwise, in lines for a person."""
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    return "\n".join(
        f"{step}\n  we:    {our_said}\n  Kafka: {their_said}"
        for (step, our_said), (_, their_said) in zip(ours, theirs, strict=True)
        if our_said != their_said
    )
