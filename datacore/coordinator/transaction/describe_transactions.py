"""DescribeTransactions and ListTransactions: what an operator sees (KIP-664, KIP-994, KIP-1152)."""

from collections.abc import Callable

from datacore._generated import list_transactions as listing
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.transaction.metadata import STATES_BY_LABEL, by_topic
from datacore.coordinator.transaction.state import ShardState, Turn


def describe_transactions(
    turn: Turn, request: DescribeTransactionsRequest, context: RequestContext
) -> None:
    """Handles DescribeTransactions."""
    states = [_describe(turn.state, each) for each in request.transactional_ids]
    turn.outcome.reply(context.token, DescribeTransactionsResponse(transaction_states=states))


def list_transactions(
    turn: Turn,
    request: listing.ListTransactionsRequest,
    context: RequestContext,
    is_asked_for: Callable[[str], bool],
) -> None:
    """Handles ListTransactions; ``is_asked_for`` says which ids the request's pattern means."""
    labels = request.state_filters
    response = listing.ListTransactionsResponse(
        unknown_state_filters=[label for label in labels if label not in STATES_BY_LABEL]
    )
    states = {STATES_BY_LABEL[label] for label in labels if label in STATES_BY_LABEL}
    producer_ids = frozenset(request.producer_id_filters)
    for transactional_id, metadata in turn.state.transactions.items():
        # An id without a transaction began it at -1, which is long ago, as in Kafka.
        duration_ms = turn.now_ms - metadata.start_ms
        if (
            (not labels or metadata.state in states)
            and (not producer_ids or metadata.producer_id in producer_ids)
            and (request.duration_filter < 0 or duration_ms > request.duration_filter)
            and is_asked_for(transactional_id)
        ):
            response.transaction_states.append(
                listing.TransactionState(
                    transactional_id=transactional_id,
                    producer_id=metadata.producer_id,
                    transaction_state=metadata.state.label,
                )
            )
    turn.outcome.reply(context.token, response)


def _describe(state: ShardState, transactional_id: str) -> TransactionState:
    if not transactional_id:
        return TransactionState(error_code=ErrorCode.INVALID_REQUEST)
    metadata = state.transactions.get(transactional_id)
    if metadata is None:
        return TransactionState(
            error_code=ErrorCode.TRANSACTIONAL_ID_NOT_FOUND, transactional_id=transactional_id
        )
    return TransactionState(
        transactional_id=transactional_id,
        transaction_state=metadata.state.label,
        transaction_timeout_ms=metadata.timeout_ms,
        transaction_start_time_ms=metadata.start_ms,
        producer_id=metadata.producer_id,
        producer_epoch=metadata.producer_epoch,
        topics=[
            TopicData(topic=topic, partitions=indexes)
            for topic, indexes in by_topic(metadata.partitions).items()
        ],
    )
