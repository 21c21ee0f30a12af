"""Limits and timings of transactions, by Kafka's broker config names (dots are underscores here).

Defaults are Kafka 4.1's. Configs without a Kafka name say so.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionConfig:
    """What a transaction shard may be told. All values are positive.

    Attributes:
        transaction_max_timeout_ms: Above it, InitProducerId is INVALID_TRANSACTION_TIMEOUT.
        transactional_id_expiration_ms: How long an id without an open transaction is remembered.
        transaction_remove_expired_transaction_cleanup_interval_ms: How often expired ids are
            looked for.
        end_wait_ms: How long EndTxn waits for its markers before it is answered all the same; no
            config of Kafka's, which does not wait (see end_txn.py).
        max_transactional_ids: Ids in one shard; no config of Kafka's.
        transaction_record_max_bytes: A transaction's record, which names all its partitions, must
            fit into a batch of its log; no config of Kafka's, where the append fails.
    """

    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
    transaction_remove_expired_transaction_cleanup_interval_ms: int = 3_600_000
    end_wait_ms: int = 5_000
    max_transactional_ids: int = 1_000_000
    transaction_record_max_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1")
