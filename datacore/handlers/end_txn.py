"""EndTxn (key 26).

v2      PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH (KIP-588)
v3      flexible
v4      TRANSACTION_ABORTABLE (KIP-890)
v5      raises the producer's epoch, and tells it (KIP-890)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(broker: Broker, context: RequestContext, request: EndTxnRequest) -> EndTxnResponse:
    """Commits or aborts; answers when its partitions know."""
    return await broker.transactions.end(context, request)
