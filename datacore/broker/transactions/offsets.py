"""Offsets that are committed in transactions: the coordinators of both, brought together.

As with a produced batch, the partition of ``__consumer_offsets`` that the offsets go to must be
part of the transaction before they lie there. From TxnOffsetCommit 5 on it is added to it here;
before, AddOffsetsToTxn has done so, which is seen to. A partition that holds records of the
transaction is part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from datacore.broker.groups.existing_partitions import take_unknown_partitions
from datacore.broker.topics import OFFSETS_TOPIC
from datacore.coordinator.group.txn_offset_commit import txn_commit_failed
from datacore.coordinator.outcome import Producer
from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.protocol.errors import KafkaError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore.broker.context import RequestContext
    from datacore.broker.shards import Shards
    from datacore.broker.transactions.service import Transactions
    from datacore.coordinator.group.shard import GroupShard
    from datacore.log.partition_log import PartitionLog
    from datacore.protocol.names import TopicName

ADDS_PARTITION_SINCE: Final = 5
ABORTABLE_SINCE: Final = 4


class TransactionalOffsets:
    """TxnOffsetCommit, as a service."""

    def __init__(
        self,
        group_shards: Shards[GroupShard],
        transactions: Transactions,
        logs: Mapping[TopicName, Mapping[int, PartitionLog]],
    ) -> None:
        self._group_shards = group_shards
        self._transactions = transactions
        self._logs = logs

    def commit(
        self, context: RequestContext, request: TxnOffsetCommitRequest
    ) -> Pending[TxnOffsetCommitResponse]:
        """Remembers offsets of partitions that exist; the others are answered one by one.

        Raises:
            KafkaError: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
        """
        unknown = take_unknown_partitions(request.topics, self._logs)
        request.topics = [topic for topic in request.topics if topic.partitions]
        response: Pending[TxnOffsetCommitResponse] = Pending()

        def answer(committed: Pending[TxnOffsetCommitResponse]) -> None:
            if committed.error is not None:
                response.fail(committed.error)
            else:
                response.resolve(_joined(committed.result(), unknown))

        if not request.topics:
            response.resolve(_joined(TxnOffsetCommitResponse(), unknown))
            return response
        if not request.group_id:
            failed = txn_commit_failed(request, ErrorCode.INVALID_GROUP_ID)
            response.resolve(_joined(failed, unknown))
            return response
        producer = Producer(request.producer_id, request.producer_epoch)
        offsets_log = self._group_shards.of(request.group_id).log
        adds = context.api_version >= ADDS_PARTITION_SINCE
        if offsets_log.has_open_transaction(*producer) or not (
            adds or self._transactions.verifies_partitions
        ):
            _check_epoch(offsets_log, producer)
            self._commit(context, request).then(answer)
            return response
        partition = TopicPartition(OFFSETS_TOPIC, self._group_shards.partition_of(request.group_id))

        def commit(verdict: Pending[dict[TopicPartition, ErrorCode]]) -> None:
            error_code = verdict.result().get(partition)
            if error_code is not None:
                failed = txn_commit_failed(request, _as_known(error_code, context.api_version))
                response.resolve(_joined(failed, unknown))
                return
            try:
                committed = self._commit(context, request)
            except KafkaError as error:
                response.fail(error)
            else:
                committed.then(answer)

        self._transactions.admit(
            context, request.transactional_id, producer, [partition], adds=adds
        ).then(commit)
        return response

    def _commit(
        self, context: RequestContext, request: TxnOffsetCommitRequest
    ) -> Pending[TxnOffsetCommitResponse]:
        return self._group_shards.ask(
            request.group_id, context, lambda shard, asker: shard.txn_offset_commit(request, asker)
        )


def _check_epoch(offsets_log: PartitionLog, producer: Producer) -> None:
    known = offsets_log.producers.by_id.get(producer.producer_id)
    if known is not None and known.epoch > producer.producer_epoch:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH)


def _as_known(error_code: ErrorCode, version: int) -> ErrorCode:
    """What a client of that version makes of the transaction coordinator's refusal."""
    if error_code is ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if error_code is ErrorCode.TRANSACTION_ABORTABLE and version < ABORTABLE_SINCE:
        return ErrorCode.INVALID_TXN_STATE
    return error_code


def _joined(
    response: TxnOffsetCommitResponse, unknown: dict[str, list[int]]
) -> TxnOffsetCommitResponse:
    answered = {topic.name: topic for topic in response.topics}
    for name, indexes in unknown.items():
        if name not in answered:
            answered[name] = TxnOffsetCommitResponseTopic(name=name)
            response.topics.append(answered[name])
        answered[name].partitions += [
            TxnOffsetCommitResponsePartition(
                partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            )
            for index in indexes
        ]
    return response
