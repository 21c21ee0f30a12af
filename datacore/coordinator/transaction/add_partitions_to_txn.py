"""AddPartitionsToTxn and AddOffsetsToTxn: what a transaction writes to, before it writes there.

A partition is named in the coordinator's log before anything of the transaction lies in its own:
so whatever happens, the coordinator knows where markers are owed. The first partition opens the
transaction, and its time begins to run.

Version 4 of AddPartitionsToTxn asks for several transactions, and is spoken between brokers: as
the leader of a partition adds it for a producer (KIP-890, transactions v2), or, with verify_only,
asks whether it has been added. AddOffsetsToTxn adds the partition of __consumer_offsets that a
group's offsets go to. Whether partitions exist is for the caller to see.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.transaction.metadata import (
    VERSION_WITH_EPOCH_BUMP,
    VERSION_WITHOUT_EPOCH_BUMP,
    TopicPartition,
    TransactionMetadata,
    TransactionState,
)
from datacore.coordinator.transaction.records import transaction_record
from datacore.coordinator.transaction.state import ShardState, Turn
from datacore.protocol.names import TopicName

SEVERAL_TRANSACTIONS_FROM = 4
PRODUCER_FENCED_FROM = 2
"""Older clients know the same thing as INVALID_PRODUCER_EPOCH."""


def add_partitions_to_txn(
    turn: Turn, request: AddPartitionsToTxnRequest, context: RequestContext
) -> None:
    """Handles AddPartitionsToTxn of one transaction; from version 4 it is the only one listed."""
    if context.api_version >= SEVERAL_TRANSACTIONS_FROM:
        (asked,) = request.transactions
        version = VERSION_WITH_EPOCH_BUMP
    else:
        asked = AddPartitionsToTxnTransaction(
            transactional_id=request.v3_and_below_transactional_id,
            producer_id=request.v3_and_below_producer_id,
            producer_epoch=request.v3_and_below_producer_epoch,
            topics=request.v3_and_below_topics,
        )
        version = VERSION_WITHOUT_EPOCH_BUMP
    if asked.verify_only:
        error_codes = _verify(turn.state, asked)
    else:
        error_code = _as_known(
            _add(
                turn,
                asked.transactional_id,
                asked.producer_id,
                asked.producer_epoch,
                _partitions(asked.topics),
                version,
            ),
            context,
        )
        error_codes = dict.fromkeys(_partitions(asked.topics), error_code)
    results = [
        AddPartitionsToTxnTopicResult(
            name=topic.name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(
                    partition_index=index,
                    partition_error_code=error_codes[TopicPartition(TopicName(topic.name), index)],
                )
                for index in topic.partitions
            ],
        )
        for topic in asked.topics
    ]
    response = AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results)
    if context.api_version >= SEVERAL_TRANSACTIONS_FROM:
        result = AddPartitionsToTxnResult(
            transactional_id=asked.transactional_id, topic_results=results
        )
        response = AddPartitionsToTxnResponse(results_by_transaction=[result])
    turn.outcome.reply(context.token, response)


def add_offsets_to_txn(
    turn: Turn,
    request: AddOffsetsToTxnRequest,
    context: RequestContext,
    offsets_partition: TopicPartition,
) -> None:
    """Handles AddOffsetsToTxn; the group's offsets are in ``offsets_partition``."""
    error_code = _add(
        turn,
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        {offsets_partition},
        VERSION_WITHOUT_EPOCH_BUMP,
    )
    response = AddOffsetsToTxnResponse(error_code=_as_known(error_code, context))
    turn.outcome.reply(context.token, response)


def _as_known(error_code: ErrorCode, context: RequestContext) -> ErrorCode:
    if error_code is ErrorCode.PRODUCER_FENCED and context.api_version < PRODUCER_FENCED_FROM:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return error_code


def _partitions(topics: Iterable[AddPartitionsToTxnTopic]) -> set[TopicPartition]:
    return {
        TopicPartition(TopicName(topic.name), index)
        for topic in topics
        for index in topic.partitions
    }


def _find(
    state: ShardState, transactional_id: str, producer_id: int, producer_epoch: int
) -> TransactionMetadata | ErrorCode:
    """The transaction that a producer may write to."""
    if not transactional_id:
        return ErrorCode.INVALID_REQUEST
    metadata = state.transactions.get(transactional_id)
    if metadata is None or metadata.producer_id != producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if metadata.producer_epoch != producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if metadata.state.is_prepared:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    return metadata


def _add(
    turn: Turn,
    transactional_id: str,
    producer_id: int,
    producer_epoch: int,
    partitions: Collection[TopicPartition],
    client_version: int,
) -> ErrorCode:
    metadata = _find(turn.state, transactional_id, producer_id, producer_epoch)
    if isinstance(metadata, ErrorCode):
        return metadata
    is_open = metadata.state is TransactionState.ONGOING
    if is_open and metadata.partitions.issuperset(partitions):
        return ErrorCode.NONE
    added = replace(
        metadata,
        state=TransactionState.ONGOING,
        partitions=metadata.partitions.union(partitions),
        start_ms=metadata.start_ms if is_open else turn.now_ms,
        last_update_ms=turn.now_ms,
        client_version=client_version,
    )
    value = transaction_record(transactional_id, added).value
    if value is not None and len(value) > turn.config.transaction_record_max_bytes:
        return ErrorCode.UNKNOWN_SERVER_ERROR
    turn.store(transactional_id, added)
    turn.outcome.is_only_records = True
    return ErrorCode.NONE


def _verify(
    state: ShardState, asked: AddPartitionsToTxnTransaction
) -> dict[TopicPartition, ErrorCode]:
    partitions = _partitions(asked.topics)
    metadata = _find(state, asked.transactional_id, asked.producer_id, asked.producer_epoch)
    if isinstance(metadata, ErrorCode):
        return dict.fromkeys(partitions, metadata)
    return {
        partition: ErrorCode.NONE
        if partition in metadata.partitions
        else ErrorCode.TRANSACTION_ABORTABLE
        for partition in partitions
    }
