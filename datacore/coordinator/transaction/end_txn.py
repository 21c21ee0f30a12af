"""EndTxn: a transaction's fate is one record; its markers follow from that.

Version 5 is that of transactions v2 (KIP-890): each end raises the producer's epoch, so that
nothing late of this transaction gets into the next one. The answer tells the new epoch, or, when
the epochs are used up, the producer id that takes over. A producer that did not hear the answer
asks again with the epoch that it had, and is told the same.

What a transaction v2 that is over says to EndTxn, where "again" has the epoch before and "next"
the present one::

                      abort again   abort next   commit again   commit next
    Empty             FENCED        ends         FENCED         INVALID_TXN_STATE
    CompleteAbort     the same      ends         INVALID        INVALID_TXN_STATE
    CompleteCommit    INVALID       ends         the same       INVALID_TXN_STATE

Older versions know the present epoch only: a CompleteCommit may be committed again, a
CompleteAbort aborted again, and anything else is INVALID_TXN_STATE.

Kafka answers as soon as the fate is durable, and refuses the next transaction until the markers
are. Here the answer waits for the markers (for ``end_wait_ms`` at most): a client that commits can
read what it committed, and begin again at once.
"""

from dataclasses import replace

from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import ErrorCode
from datacore.coordinator.context import RequestContext
from datacore.coordinator.transaction.metadata import (
    LAST_USABLE_EPOCH,
    NO_PRODUCER_ID,
    PRODUCER_EPOCH_MAX,
    VERSION_WITH_EPOCH_BUMP,
    VERSION_WITHOUT_EPOCH_BUMP,
    TransactionMetadata,
    TransactionState,
)
from datacore.coordinator.transaction.state import (
    ParkedEnd,
    ShardState,
    Timer,
    TimerKind,
    Turn,
    WriteMarkers,
)

EPOCH_BUMP_FROM = 5
PRODUCER_FENCED_FROM = 2
"""Older clients know the same thing as INVALID_PRODUCER_EPOCH."""


def needs_producer_id(state: ShardState, request: EndTxnRequest, api_version: int) -> bool:
    """Whether the end takes a producer id that nobody has yet, as things stand."""
    metadata = state.transactions.get(request.transactional_id)
    return (
        api_version >= EPOCH_BUMP_FROM
        and metadata is not None
        and not metadata.state.is_prepared
        and metadata.is_epoch_exhausted
        and (request.producer_id, request.producer_epoch)
        == (metadata.producer_id, metadata.producer_epoch)
    )


def end_txn(
    turn: Turn, request: EndTxnRequest, context: RequestContext, fresh_producer_id: int | None
) -> None:
    """Handles EndTxn."""
    has_bump = context.api_version >= EPOCH_BUMP_FROM
    found = _decide(turn, request, has_bump=has_bump)
    if isinstance(found, TransactionMetadata):
        found = _prepare(turn, request, found, fresh_producer_id, has_bump=has_bump)
        if isinstance(found, EndTxnResponse):
            parked = ParkedEnd(context.token, found)
            turn.state.parked_ends[request.transactional_id] = parked
            timer = Timer(TimerKind.END, request.transactional_id)
            turn.state.timers.schedule(timer, turn.now_ms + turn.config.end_wait_ms)
            return
    if isinstance(found, EndTxnResponse):
        turn.outcome.reply(context.token, found)
        return
    if found is ErrorCode.PRODUCER_FENCED and context.api_version < PRODUCER_FENCED_FROM:
        found = ErrorCode.INVALID_PRODUCER_EPOCH
    turn.outcome.reply(context.token, EndTxnResponse(error_code=found))


def fence_and_abort(
    turn: Turn, transactional_id: str, metadata: TransactionMetadata, reason: str
) -> None:
    """Aborts an open transaction, whose producer hears of it by its next request.

    It may go on with the raised epoch when it names the one it had, until somebody else comes.
    """
    prepared = replace(
        metadata,
        producer_epoch=min(metadata.producer_epoch + 1, PRODUCER_EPOCH_MAX),
        state=TransactionState.PREPARE_ABORT,
        last_update_ms=turn.now_ms,
        client_version=VERSION_WITH_EPOCH_BUMP,
    )
    turn.store(transactional_id, prepared)
    if prepared.producer_epoch <= LAST_USABLE_EPOCH:
        turn.state.last_epochs[transactional_id] = metadata.producer_epoch
    else:
        turn.state.last_epochs.pop(transactional_id, None)
    turn.owe_markers(transactional_id, prepared)
    turn.outcome.say(f"the transaction of {transactional_id!r} is aborted: {reason}")


def markers_durable(turn: Turn, owed: WriteMarkers) -> None:
    """Answers the EndTxn that waited for these markers."""
    if _is_prepared(turn, owed) is not None:
        answer_parked_end(turn, owed.transactional_id)


def complete(turn: Turn, owed: WriteMarkers) -> None:
    """Notes that all markers of a transaction are durable."""
    metadata = _is_prepared(turn, owed)
    if metadata is None:
        return
    is_commit = metadata.state is TransactionState.PREPARE_COMMIT
    completed = replace(
        metadata,
        state=TransactionState.COMPLETE_COMMIT if is_commit else TransactionState.COMPLETE_ABORT,
        partitions=frozenset(),
        last_update_ms=turn.now_ms,
    )
    if metadata.next_producer_id != NO_PRODUCER_ID:
        completed = replace(
            completed,
            producer_id=metadata.next_producer_id,
            producer_epoch=0,
            previous_producer_id=metadata.producer_id,
            next_producer_id=NO_PRODUCER_ID,
        )
    turn.store(owed.transactional_id, completed)


def answer_parked_end(turn: Turn, transactional_id: str) -> None:
    """Tells the EndTxn that waits for markers, if one does, what it will be told."""
    parked = turn.state.parked_ends.pop(transactional_id, None)
    if parked is not None:
        turn.state.timers.cancel(Timer(TimerKind.END, transactional_id))
        turn.outcome.reply(parked.token, parked.response)


def _is_prepared(turn: Turn, owed: WriteMarkers) -> TransactionMetadata | None:
    metadata = turn.state.transactions.get(owed.transactional_id)
    if (
        metadata is None
        or not metadata.state.is_prepared
        or (metadata.producer_id, metadata.producer_epoch)
        != (owed.producer_id, owed.producer_epoch)
    ):
        return None
    return metadata


def _decide(
    turn: Turn, request: EndTxnRequest, *, has_bump: bool
) -> TransactionMetadata | EndTxnResponse | ErrorCode:
    """The transaction that ends now; or the answer where there is nothing to end."""
    if not request.transactional_id:
        return ErrorCode.INVALID_REQUEST
    metadata = turn.state.transactions.get(request.transactional_id)
    if metadata is None:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    state = metadata.state
    is_again = has_bump and _is_asked_again(metadata, request)
    if metadata.producer_id != request.producer_id and not is_again:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    # A transaction v2 has raised its epoch when it is prepared: the present one can be nobody's.
    is_present = metadata.producer_epoch == request.producer_epoch
    if not (is_again or (is_present and not (has_bump and state.is_prepared))):
        return ErrorCode.PRODUCER_FENCED
    if state is TransactionState.ONGOING:
        return metadata
    if state.is_prepared:
        is_same = request.committed == (state is TransactionState.PREPARE_COMMIT)
        return ErrorCode.CONCURRENT_TRANSACTIONS if is_same else ErrorCode.INVALID_TXN_STATE
    if is_again or not has_bump:
        ended = TransactionState.COMPLETE_COMMIT if request.committed else None
        ended = ended or TransactionState.COMPLETE_ABORT
        if state is not ended:
            return ErrorCode.INVALID_TXN_STATE
        if not has_bump:
            return EndTxnResponse()
        return EndTxnResponse(
            producer_id=metadata.producer_id, producer_epoch=metadata.producer_epoch
        )
    return ErrorCode.INVALID_TXN_STATE if request.committed else metadata


def _is_asked_again(metadata: TransactionMetadata, request: EndTxnRequest) -> bool:
    """Whether a producer v2 repeats the EndTxn that has led to the present epoch."""
    if metadata.state in {TransactionState.ONGOING, TransactionState.EMPTY}:
        return False
    if metadata.producer_id == request.producer_id:
        return metadata.producer_epoch == request.producer_epoch + 1
    return (
        metadata.state.is_settled
        and metadata.previous_producer_id == request.producer_id
        and request.producer_epoch == LAST_USABLE_EPOCH
        and metadata.producer_epoch == 0
    )


def _prepare(
    turn: Turn,
    request: EndTxnRequest,
    metadata: TransactionMetadata,
    fresh_producer_id: int | None,
    *,
    has_bump: bool,
) -> EndTxnResponse | ErrorCode:
    """Seals a transaction's fate.

    Returns:
        What the producer will be told, or why nothing has changed.
    """
    committed = request.committed
    prepared = replace(
        metadata,
        state=TransactionState.PREPARE_COMMIT if committed else TransactionState.PREPARE_ABORT,
        start_ms=turn.now_ms if metadata.state.is_settled else metadata.start_ms,
        last_update_ms=turn.now_ms,
        client_version=VERSION_WITH_EPOCH_BUMP if has_bump else VERSION_WITHOUT_EPOCH_BUMP,
    )
    response = EndTxnResponse()
    if has_bump:
        next_epoch = metadata.producer_epoch + 1
        prepared = replace(prepared, producer_epoch=next_epoch)
        response = EndTxnResponse(producer_id=metadata.producer_id, producer_epoch=next_epoch)
        if metadata.is_epoch_exhausted:
            if fresh_producer_id is None:
                return ErrorCode.CONCURRENT_TRANSACTIONS
            prepared = replace(prepared, next_producer_id=fresh_producer_id)
            response = EndTxnResponse(producer_id=fresh_producer_id, producer_epoch=0)
    turn.store(request.transactional_id, prepared)
    if has_bump:
        turn.state.last_epochs[request.transactional_id] = metadata.producer_epoch
    turn.owe_markers(request.transactional_id, prepared)
    return response
