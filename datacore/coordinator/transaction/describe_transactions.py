"""DescribeTransactions and ListTransactions: what an operator sees (KIP-664, KIP-994, KIP-1152).

The pattern of ListTransactions 2 is an expression of RE2's, for whole ids: it takes linear time,
so nobody can hold the coordinator up with one.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

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

PATTERN_CHARACTERS_MAX: Final = 10_000
"""No limit of Kafka's; RE2 compiles what is near it in milliseconds."""

_PROGRAM_BYTES_MAX: Final = 1 << 20
"""RE2's budget for one expression, a small one: ids are short."""


def describe_transactions(
    turn: Turn, request: DescribeTransactionsRequest, context: RequestContext
) -> None:
    """Handles DescribeTransactions."""
    states = [_describe(turn.state, each) for each in request.transactional_ids]
    turn.outcome.reply(context.token, DescribeTransactionsResponse(transaction_states=states))


def list_transactions(
    turn: Turn, request: listing.ListTransactionsRequest, context: RequestContext
) -> None:
    """Handles ListTransactions."""
    matches = _matcher(request.transactional_id_pattern)
    if matches is None:
        failed = listing.ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
        turn.outcome.reply(context.token, failed)
        return
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
            and matches(transactional_id)
        ):
            response.transaction_states.append(
                listing.TransactionState(
                    transactional_id=transactional_id,
                    producer_id=metadata.producer_id,
                    transaction_state=metadata.state.label,
                )
            )
    turn.outcome.reply(context.token, response)


@lru_cache(maxsize=16)  # every shard of a broker is asked alike
def _matcher(pattern: str | None) -> Callable[[str], object] | None:
    """What a pattern says to an id; None: it is no pattern."""
    if not pattern:
        return lambda _: True
    # Loaded with the first pattern: most brokers never see one.
    import re2  # noqa: PLC0415

    if len(pattern) > PATTERN_CHARACTERS_MAX:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PROGRAM_BYTES_MAX
    try:
        matches: Callable[[str], object] = re2.compile(pattern, options).fullmatch
    except re2.error:
        return None
    return matches


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
