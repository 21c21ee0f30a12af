"""A runtime for tests: a list as the log, an int as the clock, and every message through its codec.

What is appended is durable at the next ``flush``, which comes by itself unless a test holds it
back; a crash loses what is not. Markers are written when a test says so: until then they are owed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest
from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    TransactionState,
)
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from datacore.coordinator.context import RequestContext
from datacore.coordinator.outcome import Outcome, Record, Reply
from datacore.coordinator.transaction.config import TransactionConfig
from datacore.coordinator.transaction.metadata import TopicPartition, TransactionMetadata
from datacore.coordinator.transaction.records import transaction_record
from datacore.coordinator.transaction.shard import TransactionShard
from datacore.coordinator.transaction.state import WriteMarkers
from datacore.protocol.names import TopicName

ID = "x"
P0, P1 = TopicPartition(TopicName("t"), 0), TopicPartition(TopicName("t"), 1)
OFFSETS = TopicPartition(TopicName("__consumer_offsets"), 3)
FIRST_PRODUCER_ID = 1_000

Then = Callable[[Any], None]


class Driver:
    """One shard, its log, its clock, all that it answered, and the markers that it owes."""

    def __init__(self, *, holds: bool = False, **config: int) -> None:
        self.config = TransactionConfig(**config)
        self.holds = holds
        self.log: list[Record] = []
        self.durable = 0
        self.held: list[tuple[int, Reply | WriteMarkers]] = []
        self.owed: list[WriteMarkers] = []
        self.now_ms = 1_000_000
        self.answers: dict[int, Any] = {}
        self.versions: dict[int, int] = {}
        self.then: dict[int, Then] = {}
        self.sentences: list[str] = []
        self.last_token = 0
        self.next_producer_id = FIRST_PRODUCER_ID
        self.shard = TransactionShard(self.config)
        self.take(self.shard.load(self.now_ms))

    # The runtime's part.

    def take(self, outcome: Outcome) -> None:
        for record in outcome.records:
            self.log.append(record)
            self.shard.apply(record.key, record.value)
        effects = cast("list[WriteMarkers]", outcome.effects)
        self.held += [(len(self.log), reply) for reply in outcome.replies]
        self.held += [(len(self.log), effect) for effect in effects]
        self.sentences += outcome.sentences
        if not self.holds:
            self.durable = len(self.log)
        self._let_go()

    def flush(self) -> None:
        """What was appended is durable, and what waited for that is let go."""
        self.durable = len(self.log)
        self._let_go()

    def _let_go(self) -> None:
        while self.held and self.held[0][0] <= self.durable:
            _, each = self.held.pop(0)
            if isinstance(each, WriteMarkers):
                self.owed.append(each)
            else:
                self._answer(each)

    def _answer(self, reply: Reply) -> None:
        token = cast("int", reply.token)
        assert token not in self.answers, "a request is answered once"
        self.answers[token] = _through_codec(reply.message, self.versions[token])
        if token in self.then:
            self.then.pop(token)(self.answers[token])

    def markers_written(self, owed: WriteMarkers) -> None:
        """All partitions of a prepared transaction have their markers, durably."""
        self.owed.remove(owed)
        self.take(self.shard.markers_durable(owed, self.now_ms))
        self.take(self.shard.complete(owed, self.now_ms))

    def write_markers(self) -> list[WriteMarkers]:
        """Does so for all that are owed."""
        written = list(self.owed)
        for owed in written:
            self.markers_written(owed)
        return written

    def advance(self, ms: int) -> None:
        """Lets time pass, and everything fire when it is due."""
        end_ms = self.now_ms + ms
        while (due_ms := self.shard.deadline()) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.take(self.shard.expire(self.now_ms))
        self.now_ms = end_ms

    def restart(self) -> None:
        """Ends the coordinator in order; another one takes the log over."""
        self.flush()
        outcome = self.shard.fail_all(ErrorCode.NOT_COORDINATOR)
        for reply in outcome.replies:
            self._answer(reply)
        self.crash()

    def crash(self) -> None:
        """Loses what is not durable, and whoever was parked or not yet answered."""
        del self.log[self.durable :]
        self.held.clear()
        self.owed.clear()
        self.then.clear()
        self.shard = self.replayed()
        self.take(self.shard.load(self.now_ms))

    def replayed(self) -> TransactionShard:
        shard = TransactionShard(self.config)
        for record in self.log:
            shard.apply(record.key, record.value)
        return shard

    def at_epoch(self, epoch: int) -> tuple[int, int]:
        """A producer that has had all epochs before this one."""
        producer_id, _ = self.begun()
        record = transaction_record(ID, replace(self.metadata(), producer_epoch=epoch))
        self.take(Outcome(records=[record]))
        return producer_id, epoch

    def metadata(self, transactional_id: str = ID) -> TransactionMetadata:
        return self.shard.state.transactions[transactional_id]

    # Requests: they give their token.

    def ask_init(
        self,
        transactional_id: str = ID,
        *,
        producer: tuple[int, int] = (-1, -1),
        timeout_ms: int = 60_000,
        version: int = 5,
        then: Then | None = None,
    ) -> int:
        request = InitProducerIdRequest(
            transactional_id=transactional_id,
            transaction_timeout_ms=timeout_ms,
            producer_id=producer[0],
            producer_epoch=producer[1],
        )
        context = self.context(version, then)
        fresh = self._fresh() if self.shard.init_needs_producer_id(request) else None
        request = _through_codec(request, version)
        self.take(self.shard.init_producer_id(request, context, fresh))
        return self.last_token

    def ask_add(
        self,
        producer: tuple[int, int],
        *partitions: TopicPartition,
        transactional_id: str = ID,
        version: int = 3,
        verify_only: bool = False,
        then: Then | None = None,
    ) -> int:
        topics = [
            AddPartitionsToTxnTopic(name=each.topic, partitions=[each.partition])
            for each in partitions
        ]
        if version < 4:
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=transactional_id,
                v3_and_below_producer_id=producer[0],
                v3_and_below_producer_epoch=producer[1],
                v3_and_below_topics=topics,
            )
        else:
            transaction = AddPartitionsToTxnTransaction(
                transactional_id=transactional_id,
                producer_id=producer[0],
                producer_epoch=producer[1],
                verify_only=verify_only,
                topics=topics,
            )
            request = AddPartitionsToTxnRequest(transactions=[transaction])
        context = self.context(version, then)
        self.take(self.shard.add_partitions_to_txn(_through_codec(request, version), context))
        return self.last_token

    def ask_end(
        self,
        producer: tuple[int, int],
        *,
        committed: bool,
        transactional_id: str = ID,
        version: int = 5,
        then: Then | None = None,
    ) -> int:
        request = EndTxnRequest(
            transactional_id=transactional_id,
            producer_id=producer[0],
            producer_epoch=producer[1],
            committed=committed,
        )
        context = self.context(version, then)
        needs_id = self.shard.end_needs_producer_id(request, version)
        fresh = self._fresh() if needs_id else None
        self.take(self.shard.end_txn(_through_codec(request, version), context, fresh))
        return self.last_token

    # Requests and their answers, where nothing holds them back.

    def init(self, *args: Any, **kwargs: Any) -> tuple[ErrorCode, tuple[int, int]]:
        """The error, and the producer's id and epoch."""
        return init_answer(self.answers[self.ask_init(*args, **kwargs)])

    def begun(self, **kwargs: Any) -> tuple[int, int]:
        """A producer that may begin."""
        error_code, producer = self.init(**kwargs)
        assert error_code is ErrorCode.NONE
        return producer

    def add(self, *args: Any, **kwargs: Any) -> set[ErrorCode]:
        """The errors of all partitions."""
        return add_answer(self.answers[self.ask_add(*args, **kwargs)])

    def end(self, *args: Any, **kwargs: Any) -> tuple[ErrorCode, tuple[int, int]]:
        """The error, and the producer's id and epoch from now on; its markers are written."""
        token = self.ask_end(*args, **kwargs)
        self.write_markers()
        return end_answer(self.answers[token])

    def end_now(self, *args: Any, **kwargs: Any) -> ErrorCode:
        """The error that is there at once: no markers are written."""
        return end_answer(self.answers[self.ask_end(*args, **kwargs)])[0]

    def add_offsets(
        self, producer: tuple[int, int], *, transactional_id: str = ID, version: int = 4
    ) -> ErrorCode:
        request = AddOffsetsToTxnRequest(
            transactional_id=transactional_id,
            producer_id=producer[0],
            producer_epoch=producer[1],
            group_id="g",
        )
        context = self.context(version, None)
        request = _through_codec(request, version)
        self.take(self.shard.add_offsets_to_txn(request, context, OFFSETS))
        return ErrorCode(self.answers[self.last_token].error_code)

    def describe(self, transactional_id: str = ID) -> TransactionState:
        request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
        context = self.context(0, None)
        self.take(self.shard.describe_transactions(_through_codec(request, 0), context))
        described: TransactionState = self.answers[self.last_token].transaction_states[0]
        return described

    def list_transactions(
        self,
        *,
        states: Iterable[str] = (),
        producer_ids: Iterable[int] = (),
        duration_ms: int = -1,
        pattern: str | None = None,
    ) -> ListTransactionsResponse:
        request = ListTransactionsRequest(
            state_filters=list(states),
            producer_id_filters=list(producer_ids),
            duration_filter=duration_ms,
            transactional_id_pattern=pattern,
        )
        context = self.context(2, None)
        self.take(self.shard.list_transactions(_through_codec(request, 2), context))
        response: ListTransactionsResponse = self.answers[self.last_token]
        return response

    def context(self, version: int, then: Then | None) -> RequestContext:
        self.last_token += 1
        self.versions[self.last_token] = version
        if then is not None:
            self.then[self.last_token] = then
        return RequestContext(api_version=version, token=self.last_token, now_ms=self.now_ms)

    def _fresh(self) -> int:
        self.next_producer_id += 1
        return self.next_producer_id


def init_answer(response: InitProducerIdResponse) -> tuple[ErrorCode, tuple[int, int]]:
    return ErrorCode(response.error_code), (response.producer_id, response.producer_epoch)


def end_answer(response: EndTxnResponse) -> tuple[ErrorCode, tuple[int, int]]:
    return ErrorCode(response.error_code), (response.producer_id, response.producer_epoch)


def add_answer(response: Any) -> set[ErrorCode]:
    topics = response.results_by_topic_v3_and_below or [
        topic for result in response.results_by_transaction for topic in result.topic_results
    ]
    return {
        ErrorCode(each.partition_error_code)
        for topic in topics
        for each in topic.results_by_partition
    }


def _through_codec(message: Any, version: int) -> Any:
    decoded, _ = type(message).decode(message.encode(version), version)
    return decoded
