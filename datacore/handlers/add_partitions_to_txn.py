"""AddPartitionsToTxn (key 24).

v2      PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH (KIP-588)
v3      flexible
v4      several transactions at once, and verification alone, between brokers (KIP-890)
v5      clients use transactions v2 (KIP-890)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
)
from datacore._generated.errors import ErrorCode
from datacore.broker.topics import INTERNAL_TOPICS
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore._generated.add_partitions_to_txn import AddPartitionsToTxnTopic
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError

_SEVERAL_TRANSACTIONS_SINCE = 4


async def handle(
    broker: Broker, context: RequestContext, request: AddPartitionsToTxnRequest
) -> AddPartitionsToTxnResponse:
    """Adds all of a transaction's partitions, or none: each has to exist."""
    if context.api_version < _SEVERAL_TRANSACTIONS_SINCE:
        refused = _refused(broker, request.v3_and_below_topics, is_client=True)
        if refused is not None:
            return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=refused)
        return await broker.transactions.add_partitions(context, request)
    response = AddPartitionsToTxnResponse()
    accepted = []
    for transaction in request.transactions:
        refused = _refused(broker, transaction.topics, is_client=False)
        if refused is None:
            accepted.append(transaction)
        else:
            response.results_by_transaction.append(
                AddPartitionsToTxnResult(
                    transactional_id=transaction.transactional_id, topic_results=refused
                )
            )
    if accepted:
        request.transactions = accepted
        answer = await broker.transactions.add_partitions(context, request)
        response.results_by_transaction += answer.results_by_transaction
    return response


def _refused(
    broker: Broker, topics: Sequence[AddPartitionsToTxnTopic], *, is_client: bool
) -> list[AddPartitionsToTxnTopicResult] | None:
    """What is wrong with a transaction's partitions, as one answer for all; None: nothing."""
    error_codes = {
        (topic.name, index): _error_code(broker, topic.name, index, is_client=is_client)
        for topic in topics
        for index in topic.partitions
    }
    if not any(error_codes.values()):
        return None
    return _results(
        topics,
        {
            partition: error_code or ErrorCode.OPERATION_NOT_ATTEMPTED
            for partition, error_code in error_codes.items()
        },
    )


def _error_code(broker: Broker, topic: str, index: int, *, is_client: bool) -> ErrorCode:
    name = TopicName(topic)
    if is_client and name in INTERNAL_TOPICS:
        # Offsets are added by AddOffsetsToTxn.
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if index not in broker.partitions.by_topic.get(name, {}):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE


def _results(
    topics: Sequence[AddPartitionsToTxnTopic], error_codes: dict[tuple[str, int], ErrorCode]
) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            name=topic.name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(
                    partition_index=index, partition_error_code=error_codes[topic.name, index]
                )
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]


def error_response(
    context: RequestContext, request: AddPartitionsToTxnRequest, error: KafkaError
) -> AddPartitionsToTxnResponse:
    """The error for all of the request, or on each partition before version 4."""
    if context.api_version >= _SEVERAL_TRANSACTIONS_SINCE:
        return AddPartitionsToTxnResponse(error_code=error.code)
    topics = request.v3_and_below_topics
    return AddPartitionsToTxnResponse(
        results_by_topic_v3_and_below=_results(
            topics,
            {(topic.name, index): error.code for topic in topics for index in topic.partitions},
        )
    )
