"""Transactions: which shard answers, the topic that remembers, and what prepared ones are owed.

A transactional id belongs to one partition of ``__transaction_state``, by its hash as Kafka has it.
The topic is made when the first client looks for a coordinator.

The order that nothing may break: a partition is named in the coordinator's log, durably, before
anything of the transaction lies in the partition's own (``admit``); and the transaction's fate is
durable before the first marker is written. So a crash at any moment leaves a log that says where
markers are owed, and the next start writes them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.describe_transactions import (
    DescribeTransactionsResponse,
    TransactionState,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_transactions import ListTransactionsResponse
from datacore.broker.shards import Shards
from datacore.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, NewTopic
from datacore.coordinator.outcome import Producer
from datacore.coordinator.transaction.config import TransactionConfig
from datacore.coordinator.transaction.metadata import TopicPartition, by_topic
from datacore.coordinator.transaction.shard import TransactionShard
from datacore.coordinator.transaction.state import WriteMarkers
from datacore.metadata.configs import broker_int, broker_value
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.record.control import ControlType, EndTransactionMarker
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from datacore._generated.add_offsets_to_txn import (
        AddOffsetsToTxnRequest,
        AddOffsetsToTxnResponse,
    )
    from datacore._generated.describe_transactions import DescribeTransactionsRequest
    from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
    from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
    from datacore._generated.list_transactions import ListTransactionsRequest
    from datacore.broker.context import RequestContext
    from datacore.broker.runtime import ShardRuntime
    from datacore.broker.topics import Topics
    from datacore.broker.transactions.markers import TransactionMarkers
    from datacore.broker.transactions.producer_ids import ProducerIds
    from datacore.coordinator.group.shard import GroupShard
    from datacore.log.partition_log import PartitionLog
    from datacore.metadata.image import TopicImage
    from datacore.protocol.message import Message

ResponseT = TypeVar("ResponseT", bound="Message")

logger = logging.getLogger("datacore.broker.transactions")

MARKERS_AGAIN_MIN_S: Final = 0.05
MARKERS_AGAIN_MAX_S: Final = 5.0
"""Between two attempts to write a marker that a partition did not take."""

SEVERAL_TRANSACTIONS_SINCE: Final = 4

_GONE: Final = frozenset(
    {
        # The topic was deleted, or another took the producer's place there: nothing is owed.
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_PRODUCER_EPOCH,
    }
)


def transaction_config(broker_values: Mapping[str, str]) -> TransactionConfig:
    """The limits and timings of transactions that the broker's configs say."""

    def value(name: str) -> int:
        return broker_int(name, broker_values)

    return TransactionConfig(
        transaction_max_timeout_ms=value("transaction.max.timeout.ms"),
        transactional_id_expiration_ms=value("transactional.id.expiration.ms"),
        transaction_remove_expired_transaction_cleanup_interval_ms=value(
            "transaction.remove.expired.transaction.cleanup.interval.ms"
        ),
    )


class Transactions:
    """Every transactional id of this broker."""

    def __init__(
        self,
        topics: Topics,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
        group_shards: Shards[GroupShard],
        markers: TransactionMarkers,
        producer_ids: ProducerIds,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._group_shards = group_shards
        self._markers = markers
        self._producer_ids = producer_ids
        self._spawn = spawn
        self._broker_values = broker_values
        config = transaction_config(broker_values)
        partitions = broker_int("transaction.state.log.num.partitions", broker_values)
        topic_configs = {
            "cleanup.policy": "compact",
            "compression.type": "uncompressed",
            "segment.bytes": broker_value("transaction.state.log.segment.bytes", broker_values),
        }
        self.shards: Shards[TransactionShard] = Shards(
            NewTopic(TRANSACTIONS_TOPIC, partitions, 1, configs=topic_configs),
            topics,
            logs,
            lambda: TransactionShard(config),
            now_ms,
            spawn,
            logger,
            self._begin,
        )

    @property
    def verifies_partitions(self) -> bool:
        """Whether producers that add partitions themselves are believed only after a look."""
        name = "transaction.partition.verification.enable"
        return broker_value(name, self._broker_values) == "true"

    def forget_topic(self, topic: TopicImage) -> None:
        """Without their own topic, nothing is known of any transaction."""
        if topic.name == TRANSACTIONS_TOPIC:
            self.shards.forget_topic()

    # --- producers

    async def init_producer_id(
        self, context: RequestContext, request: InitProducerIdRequest
    ) -> InitProducerIdResponse:
        """Gives a transactional id to a producer, and fences those before it.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        shard = self.shards.of(request.transactional_id or "")
        fresh = None
        if _loaded(shard).init_needs_producer_id(request):
            fresh = await self._producer_ids.allocate()
        return await shard.call(
            lambda machine, asker: machine.init_producer_id(request, asker, fresh), context
        )

    async def add_partitions(
        self, context: RequestContext, request: AddPartitionsToTxnRequest
    ) -> AddPartitionsToTxnResponse:
        """Names partitions that transactions will write to; the caller has seen that they exist.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS, of the one transaction of
                versions below 4.
        """
        if context.api_version < SEVERAL_TRANSACTIONS_SINCE:
            return await self._add_partitions(
                context, request.v3_and_below_transactional_id, request
            )
        response = AddPartitionsToTxnResponse()
        for asked in request.transactions:
            single = AddPartitionsToTxnRequest(transactions=[asked])
            answer = await self._add_partitions(context, asked.transactional_id, single)
            response.results_by_transaction += answer.results_by_transaction
        return response

    def _add_partitions(
        self, context: RequestContext, transactional_id: str, request: AddPartitionsToTxnRequest
    ) -> Pending[AddPartitionsToTxnResponse]:
        return self.shards.ask(
            transactional_id,
            context,
            lambda machine, asker: machine.add_partitions_to_txn(request, asker),
        )

    def admit(
        self,
        context: RequestContext,
        transactional_id: str,
        producer: Producer,
        partitions: Sequence[TopicPartition],
        *,
        adds: bool,
    ) -> Pending[dict[TopicPartition, ErrorCode]]:
        """Asks the coordinator for partitions, on behalf of their leader.

        What is written in a callback of the answer is part of the transaction: whatever ends it
        comes later. What is written after another turn of the event loop may be late.

        Args:
            context: Of the request that wants to write.
            transactional_id: Whose transaction it is.
            producer: Likewise.
            partitions: Where to.
            adds: Adds the partitions to the transaction; else it asks whether that was done.

        Returns:
            Why not, for those that may not be written to.
        """
        verdict: Pending[dict[TopicPartition, ErrorCode]] = Pending()
        request = AddPartitionsToTxnRequest(
            transactions=[
                AddPartitionsToTxnTransaction(
                    transactional_id=transactional_id,
                    producer_id=producer.producer_id,
                    producer_epoch=producer.producer_epoch,
                    verify_only=not adds,
                    topics=[
                        AddPartitionsToTxnTopic(name=topic, partitions=indexes)
                        for topic, indexes in by_topic(partitions).items()
                    ],
                )
            ]
        )

        def settle(answer: Pending[AddPartitionsToTxnResponse]) -> None:
            try:
                (result,) = answer.result().results_by_transaction
            except KafkaError as error:
                verdict.resolve(dict.fromkeys(partitions, error.code))
                return
            verdict.resolve(
                {
                    TopicPartition(TopicName(topic.name), each.partition_index): ErrorCode(
                        each.partition_error_code
                    )
                    for topic in result.topic_results
                    for each in topic.results_by_partition
                    if each.partition_error_code != ErrorCode.NONE
                }
            )

        try:
            answer: Pending[AddPartitionsToTxnResponse] = self.shards.ask(
                transactional_id,
                context,
                lambda machine, asker: machine.add_partitions_to_txn(request, asker),
                api_version=AddPartitionsToTxnRequest.max_version,
            )
        except KafkaError as error:
            verdict.resolve(dict.fromkeys(partitions, error.code))
        else:
            answer.then(settle)
        return verdict

    async def add_offsets(
        self, context: RequestContext, request: AddOffsetsToTxnRequest
    ) -> AddOffsetsToTxnResponse:
        """Names the partition of ``__consumer_offsets`` that a group's offsets go to.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        await self._group_shards.create_topic_if_missing()
        offsets_partition = TopicPartition(
            OFFSETS_TOPIC, self._group_shards.partition_of(request.group_id)
        )
        return await self.shards.ask(
            request.transactional_id,
            context,
            lambda machine, asker: machine.add_offsets_to_txn(request, asker, offsets_partition),
        )

    async def end(self, context: RequestContext, request: EndTxnRequest) -> EndTxnResponse:
        """Commits or aborts a transaction.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        shard = self.shards.of(request.transactional_id)
        fresh = None
        if _loaded(shard).end_needs_producer_id(request, context.api_version):
            fresh = await self._producer_ids.allocate()
        return await shard.call(
            lambda machine, asker: machine.end_txn(request, asker, fresh), context
        )

    # --- operators

    async def describe(
        self, context: RequestContext, request: DescribeTransactionsRequest
    ) -> DescribeTransactionsResponse:
        """Transactions by id; a shard that cannot answer fails its own ids only."""
        response = DescribeTransactionsResponse()
        for transactional_id in request.transactional_ids:
            request.transactional_ids = [transactional_id]
            try:
                answer: DescribeTransactionsResponse = await self.shards.ask(
                    transactional_id,
                    context,
                    lambda machine, asker: machine.describe_transactions(request, asker),
                )
            except KafkaError as error:
                response.transaction_states.append(
                    TransactionState(transactional_id=transactional_id, error_code=error.code)
                )
            else:
                response.transaction_states += answer.transaction_states
        return response

    async def list_all(
        self,
        context: RequestContext,
        request: ListTransactionsRequest,
    ) -> ListTransactionsResponse:
        """Every transactional id that the filters let through.

        Raises:
            KafkaError: COORDINATOR_LOAD_IN_PROGRESS, a shard cannot tell.
        """
        response = ListTransactionsResponse()
        for shard in self.shards:
            answer: ListTransactionsResponse = await shard.call(
                lambda machine, asker: machine.list_transactions(request, asker), context
            )
            if answer.error_code != ErrorCode.NONE:
                return answer
            response.unknown_state_filters = answer.unknown_state_filters
            response.transaction_states += answer.transaction_states
        return response

    # --- what prepared transactions are owed

    def _begin(self, index: int, effect: object) -> None:
        assert isinstance(effect, WriteMarkers)
        self._spawn(self._write_markers(self.shards[index], effect))

    async def _write_markers(
        self, shard: ShardRuntime[TransactionShard], owed: WriteMarkers
    ) -> None:
        """Writes the markers of a prepared transaction, however long that takes."""
        machine = shard.machine

        def is_wanted() -> bool:
            # A machine that follows this one asks again. To go on for both would be wrong: the
            # first to be ready lets the producer begin anew, and a late marker would end that.
            return machine is not None and shard.machine is machine

        producer = Producer(owed.producer_id, owed.producer_epoch)
        control_type = ControlType.COMMIT if owed.is_commit else ControlType.ABORT
        marker = EndTransactionMarker(control_type, shard.log.leader_epoch)
        left = list(owed.partitions)
        delay_s = MARKERS_AGAIN_MIN_S
        tries = 0
        while is_wanted():
            error_codes = await self._markers.write(producer, marker, left, is_wanted)
            left = [each for each in left if _is_still_owed(owed, each, error_codes.get(each))]
            if not left:
                break
            tries += 1
            if tries & (tries - 1) == 0:  # seldomer and seldomer
                logger.warning(
                    "The transaction of %r waits for %d markers, the first of them in %s-%d: %s",
                    owed.transactional_id,
                    len(left),
                    left[0].topic,
                    left[0].partition,
                    error_codes.get(left[0], ErrorCode.NONE).name,
                )
            await anyio.sleep(delay_s)
            delay_s = min(delay_s * 2, MARKERS_AGAIN_MAX_S)
        if is_wanted():
            shard.perform(lambda machine, now_ms: machine.markers_durable(owed, now_ms))
        if is_wanted():
            shard.perform(lambda machine, now_ms: machine.complete(owed, now_ms))


def _is_still_owed(owed: WriteMarkers, at: TopicPartition, error_code: ErrorCode | None) -> bool:
    """Whether a partition has to get its marker yet; None: it was not tried."""
    if error_code is ErrorCode.NONE:
        return False
    if error_code in _GONE:
        logger.info(
            "The transaction of %r needs no marker in %s-%d: %s",
            owed.transactional_id,
            at.topic,
            at.partition,
            error_code.name,
        )
        return False
    return True


def _loaded(shard: ShardRuntime[TransactionShard]) -> TransactionShard:
    if shard.machine is None:
        raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    return shard.machine
