"""InitProducerId with a transactional id: one producer has the id, all before it are fenced.

Whoever comes gets the id's producer id with a higher epoch. A transaction that is open is aborted
first, with the raised epoch: the newcomer is told CONCURRENT_TRANSACTIONS and asks again.

A producer that names its own id and epoch (KIP-360, from version 3) goes on after an error: it
gets the next epoch if nobody else has come, the present one if it asks a second time or its open
transaction was aborted under it (KIP-588), and PRODUCER_FENCED otherwise. When the epochs of a
producer id are used up, a new one takes over.
"""

from dataclasses import replace

from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore.coordinator.context import RequestContext
from datacore.coordinator.transaction.end_txn import fence_and_abort
from datacore.coordinator.transaction.metadata import (
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_TIMESTAMP,
    TransactionMetadata,
    TransactionState,
)
from datacore.coordinator.transaction.state import ShardState, Turn

PRODUCER_FENCED_FROM = 4
"""Older clients know the same thing as INVALID_PRODUCER_EPOCH."""


def needs_producer_id(state: ShardState, request: InitProducerIdRequest) -> bool:
    """Whether the answer takes a producer id that nobody has yet, as things stand."""
    metadata = state.transactions.get(request.transactional_id or "")
    return metadata is None or (
        metadata.state.is_settled and _is_due_for_rotation(metadata, request)
    )


def init_producer_id(
    turn: Turn,
    request: InitProducerIdRequest,
    context: RequestContext,
    fresh_producer_id: int | None,
) -> None:
    """Handles InitProducerId."""
    found = _initialise(turn, request, fresh_producer_id)
    if isinstance(found, TransactionMetadata):
        response = InitProducerIdResponse(
            producer_id=found.producer_id, producer_epoch=found.producer_epoch
        )
    else:
        if found is ErrorCode.PRODUCER_FENCED and context.api_version < PRODUCER_FENCED_FROM:
            found = ErrorCode.INVALID_PRODUCER_EPOCH
        response = InitProducerIdResponse(
            error_code=found, producer_id=NO_PRODUCER_ID, producer_epoch=NO_PRODUCER_EPOCH
        )
    turn.outcome.reply(context.token, response)


def _initialise(
    turn: Turn, request: InitProducerIdRequest, fresh_producer_id: int | None
) -> TransactionMetadata | ErrorCode:
    transactional_id = request.transactional_id
    if not transactional_id:
        return ErrorCode.INVALID_REQUEST
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH):
        return ErrorCode.INVALID_REQUEST
    if not 0 < request.transaction_timeout_ms <= turn.config.transaction_max_timeout_ms:
        return ErrorCode.INVALID_TRANSACTION_TIMEOUT
    metadata = turn.state.transactions.get(transactional_id)
    if metadata is None:
        return _begin(turn, transactional_id, request, fresh_producer_id)
    if not _may_go_on(metadata, request):
        return ErrorCode.PRODUCER_FENCED
    if metadata.state is TransactionState.ONGOING:
        reason = "another producer began with its transactional id"
        fence_and_abort(turn, transactional_id, metadata, reason)
        return ErrorCode.CONCURRENT_TRANSACTIONS
    if metadata.state.is_prepared:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    if _is_due_for_rotation(metadata, request):
        return _rotate(turn, transactional_id, metadata, request, fresh_producer_id)
    return _raise_epoch(turn, transactional_id, metadata, request)


def _begin(
    turn: Turn,
    transactional_id: str,
    request: InitProducerIdRequest,
    fresh_producer_id: int | None,
) -> TransactionMetadata | ErrorCode:
    if len(turn.state.transactions) >= turn.config.max_transactional_ids:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if fresh_producer_id is None:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    metadata = TransactionMetadata(
        producer_id=fresh_producer_id,
        producer_epoch=0,
        timeout_ms=request.transaction_timeout_ms,
        state=TransactionState.EMPTY,
        last_update_ms=turn.now_ms,
    )
    return _stored(turn, transactional_id, metadata, None)


def _may_go_on(metadata: TransactionMetadata, request: InitProducerIdRequest) -> bool:
    """Whether the producer that the request names, if any, is the id's own."""
    if request.producer_id in {NO_PRODUCER_ID, metadata.producer_id}:
        return True
    # It may not have heard that it got a new producer id.
    return (
        request.producer_id == metadata.previous_producer_id
        and replace(metadata, producer_epoch=request.producer_epoch).is_epoch_exhausted
    )


def _is_due_for_rotation(metadata: TransactionMetadata, request: InitProducerIdRequest) -> bool:
    return metadata.is_epoch_exhausted and request.producer_epoch in {
        NO_PRODUCER_EPOCH,
        metadata.producer_epoch,
    }


def _rotate(
    turn: Turn,
    transactional_id: str,
    metadata: TransactionMetadata,
    request: InitProducerIdRequest,
    fresh_producer_id: int | None,
) -> TransactionMetadata | ErrorCode:
    if fresh_producer_id is None:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    rotated = _emptied(turn, metadata, request, fresh_producer_id, 0, metadata.producer_id)
    last_epoch = None if request.producer_id == NO_PRODUCER_ID else metadata.producer_epoch
    return _stored(turn, transactional_id, rotated, last_epoch)


def _raise_epoch(
    turn: Turn,
    transactional_id: str,
    metadata: TransactionMetadata,
    request: InitProducerIdRequest,
) -> TransactionMetadata | ErrorCode:
    epoch = metadata.producer_epoch
    last_epoch = turn.state.last_epochs.get(transactional_id, NO_PRODUCER_EPOCH)
    kept_epoch = None
    if request.producer_epoch == NO_PRODUCER_EPOCH:
        raised_epoch = epoch + 1
    elif request.producer_epoch == epoch:
        raised_epoch, kept_epoch = epoch + 1, epoch
    elif request.producer_epoch == last_epoch:
        raised_epoch, kept_epoch = epoch, last_epoch
    else:
        return ErrorCode.PRODUCER_FENCED
    raised = _emptied(
        turn, metadata, request, metadata.producer_id, raised_epoch, metadata.previous_producer_id
    )
    return _stored(turn, transactional_id, raised, kept_epoch)


def _emptied(
    turn: Turn,
    metadata: TransactionMetadata,
    request: InitProducerIdRequest,
    producer_id: int,
    producer_epoch: int,
    previous_producer_id: int,
) -> TransactionMetadata:
    return replace(
        metadata,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        previous_producer_id=previous_producer_id,
        next_producer_id=NO_PRODUCER_ID,
        timeout_ms=request.transaction_timeout_ms,
        state=TransactionState.EMPTY,
        start_ms=NO_TIMESTAMP,
        last_update_ms=turn.now_ms,
    )


def _stored(
    turn: Turn, transactional_id: str, metadata: TransactionMetadata, last_epoch: int | None
) -> TransactionMetadata:
    turn.store(transactional_id, metadata)
    if last_epoch is None:
        turn.state.last_epochs.pop(transactional_id, None)
    else:
        turn.state.last_epochs[transactional_id] = last_epoch
    return metadata
