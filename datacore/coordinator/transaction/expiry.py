"""What ends by itself: transactions that are open for too long, and ids that nobody uses.

A transaction is aborted when its timeout is over (Kafka looks every 10 s). An id is forgotten
``transactional.id.expiration.ms`` after its last change, unless a transaction is open or owed its
markers.
"""

from datacore.coordinator.transaction.end_txn import fence_and_abort
from datacore.coordinator.transaction.metadata import TransactionState
from datacore.coordinator.transaction.state import Timer, TimerKind, Turn

SWEEP = Timer(TimerKind.SWEEP)

SWEEP_MAX_RECORDS = 10_000
"""Tombstones of one look; what is left over is dropped a little later."""

SWEEP_AGAIN_MS = 1_000


def abort_timed_out(turn: Turn, transactional_id: str) -> None:
    """Aborts a transaction whose time is up."""
    metadata = turn.state.transactions[transactional_id]
    assert metadata.state is TransactionState.ONGOING, "no other state has this timer"
    reason = f"it was open for more than its timeout of {metadata.timeout_ms} ms"
    fence_and_abort(turn, transactional_id, metadata, reason)


def start_sweeping(turn: Turn) -> None:
    """Plans the next look at all ids."""
    interval_ms = turn.config.transaction_remove_expired_transaction_cleanup_interval_ms
    turn.state.timers.schedule(SWEEP, turn.now_ms + interval_ms)


def sweep(turn: Turn) -> None:
    """Drops the ids that are expired, and plans the next look."""
    oldest_ms = turn.now_ms - turn.config.transactional_id_expiration_ms
    expired = [
        transactional_id
        for transactional_id, metadata in turn.state.transactions.items()
        if metadata.state.is_settled and metadata.last_update_ms <= oldest_ms
    ]
    for transactional_id in expired[:SWEEP_MAX_RECORDS]:
        turn.drop(transactional_id)
        turn.outcome.say(f"transactional id {transactional_id!r} is forgotten: nobody used it")
    if len(expired) > SWEEP_MAX_RECORDS:
        turn.state.timers.schedule(SWEEP, turn.now_ms + SWEEP_AGAIN_MS)
    else:
        start_sweeping(turn)
