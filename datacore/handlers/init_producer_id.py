"""InitProducerId (key 22).

v3      a producer may name its id to have the epoch bumped (KIP-360)
v4      PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH (KIP-588)
v5      transactions v2 (KIP-890)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdResponse
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.init_producer_id import InitProducerIdRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1


async def handle(
    broker: Broker, context: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse:
    """Hands out a producer id: a new one of epoch 0, or that of the transactional id."""
    if request.transactional_id == "":
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH):
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        return await broker.transactions.init_producer_id(context, request)
    return InitProducerIdResponse(
        producer_id=await broker.producer_ids.allocate(), producer_epoch=0
    )


def error_response(
    context: RequestContext, request: InitProducerIdRequest, error: KafkaError
) -> InitProducerIdResponse:
    """The error, and no producer id."""
    del context, request
    return InitProducerIdResponse(
        error_code=error.code, producer_id=NO_PRODUCER_ID, producer_epoch=NO_PRODUCER_EPOCH
    )
