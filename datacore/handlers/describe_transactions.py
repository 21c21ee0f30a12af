"""DescribeTransactions (key 65; KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_transactions import (
    DescribeTransactionsResponse,
    TransactionState,
)

if TYPE_CHECKING:
    from datacore._generated.describe_transactions import DescribeTransactionsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    """What each transactional id is in the middle of."""
    return await broker.transactions.describe(context, request)


def error_response(
    context: RequestContext, request: DescribeTransactionsRequest, error: KafkaError
) -> DescribeTransactionsResponse:
    """The error for each transactional id."""
    del context
    return DescribeTransactionsResponse(
        transaction_states=[
            TransactionState(transactional_id=transactional_id, error_code=error.code)
            for transactional_id in request.transactional_ids
        ]
    )
