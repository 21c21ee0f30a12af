"""AddOffsetsToTxn (key 25).

v2      PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH (KIP-588)
v3      flexible
v4      TRANSACTION_ABORTABLE (KIP-890)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.add_offsets_to_txn import (
        AddOffsetsToTxnRequest,
        AddOffsetsToTxnResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: AddOffsetsToTxnRequest
) -> AddOffsetsToTxnResponse:
    """Makes a group's offsets part of a transaction."""
    return await broker.transactions.add_offsets(context, request)
