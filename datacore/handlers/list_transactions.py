"""ListTransactions (key 66; KIP-664).

v1      transactions that are open for longer than some time (KIP-994)
v2      ids that match a pattern (KIP-1152)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.list_transactions import (
        ListTransactionsRequest,
        ListTransactionsResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: ListTransactionsRequest
) -> ListTransactionsResponse:
    """Every transactional id that the filters let through."""
    return await broker.transactions.list_all(context, request)
