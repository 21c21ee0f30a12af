"""TxnOffsetCommit (key 28).

v2      leader epochs (KIP-320)
v3      flexible; the group's member and generation (KIP-447)
v4      TRANSACTION_ABORTABLE (KIP-890)
v5      adds the group's partition to the transaction implicitly (KIP-890)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.txn_offset_commit import txn_commit_failed

if TYPE_CHECKING:
    from datacore._generated.txn_offset_commit import (
        TxnOffsetCommitRequest,
        TxnOffsetCommitResponse,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError
    from datacore.storage.pending import Pending

_LOADING_KNOWN_SINCE = 2


def handle(
    broker: Broker, context: RequestContext, request: TxnOffsetCommitRequest
) -> Pending[TxnOffsetCommitResponse]:
    """Remembers offsets that the transaction's end decides about."""
    return broker.transactional_offsets.commit(context, request)


def error_response(
    context: RequestContext, request: TxnOffsetCommitRequest, error: KafkaError
) -> TxnOffsetCommitResponse:
    """The error on every partition."""
    code = error.code
    if (
        code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        and context.api_version < _LOADING_KNOWN_SINCE
    ):
        # KAFKA-7296: producers before 2.0 do not survive it.
        code = ErrorCode.COORDINATOR_NOT_AVAILABLE
    return txn_commit_failed(request, code)
