"""Isolation levels (KIP-98): what a reader sees of transactions.

Kafka's counterpart is ``IsolationLevel``.
"""

from __future__ import annotations

from typing import Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

READ_UNCOMMITTED: Final = 0
READ_COMMITTED: Final = 1
ISOLATION_LEVELS: Final = frozenset({READ_UNCOMMITTED, READ_COMMITTED})


def unknown_isolation_level(level: int) -> KafkaError:
    """What Kafka answers who asks for another one."""
    return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Unknown isolation level {level}")
