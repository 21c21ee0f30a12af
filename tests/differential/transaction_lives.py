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

import msgspec

from datacore._generated.describe_producers import DescribeProducersRequest, TopicRequest
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from datacore.coordinator.transaction.records import decode
from datacore.record.batch import iterate_headers
from datacore.record.records import iterate_records
from tests.coordinator.group.twin import Wire
from tests.differential.transactional_producer import PRODUCE, READY_TIMEOUT_S, Producer, Told

ONE_SHARD = {
    "transaction.state.log.num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    "num.partitions": "2",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    # The coordinator's log is read in the end, with all that was ever written to it.
    "log.cleaner.enable": "false",
}
REPLICAS = {
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "offsets.topic.replication.factor": "1",
}
SHORT_MS = 100
"""Of a transaction that nobody goes on with."""
_RETRIABLE = {14, 15, 16}


class Life(Producer):
    """The scripts."""

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
        self.wait_until(lambda state: state == "CompleteAbort")
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
