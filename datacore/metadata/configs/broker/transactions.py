"""Transactions and idempotent producers."""

from __future__ import annotations

from typing import Final

from datacore.metadata.configs.key import (
    BOOLEAN,
    CLUSTER_WIDE,
    HIGH,
    INT,
    LOW,
    REFUSED,
    SHORT,
    YES,
    ConfigKey,
    at_least,
)

# fmt: off
TRANSACTIONS: Final = (
    ConfigKey("transaction.state.log.num.partitions", INT, "50", HIGH, at_least(1), effect=YES,
              about="Partitions of __transaction_state when it is made."),
    ConfigKey("transaction.state.log.replication.factor", SHORT, "1", HIGH, at_least(1),
              kafka_default="3",
              about="Replicas of __transaction_state. One broker can keep one."),
    ConfigKey("transaction.state.log.min.isr", INT, "1", HIGH, at_least(1), kafka_default="2",
              about="The min.insync.replicas of __transaction_state."),
    ConfigKey("transaction.state.log.segment.bytes", INT, "104857600", HIGH, at_least(1),
              effect=YES,
              about="The segment.bytes of __transaction_state."),
    ConfigKey("transaction.state.log.load.buffer.size", INT, "5242880", HIGH, at_least(1),
              about="How much of __transaction_state is read at once at a start."),
    ConfigKey("transaction.max.timeout.ms", INT, "900000", HIGH, at_least(1), effect=YES,
              about="The longest time that a transaction may ask for."),
    ConfigKey("transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, "10000", LOW,
              at_least(1),
              about="How often transactions are looked at that are over their time."),
    ConfigKey("transaction.remove.expired.transaction.cleanup.interval.ms", INT, "3600000", LOW,
              at_least(1), effect=YES,
              about="How often transactional ids are looked at that nobody uses."),
    ConfigKey("transaction.partition.verification.enable", BOOLEAN, "true", LOW,
              update=CLUSTER_WIDE, effect=YES,
              about="Whether a partition checks that a transaction is open before it takes its "
                    "records."),
    ConfigKey("transaction.two.phase.commit.enable", BOOLEAN, "false", LOW, effect=REFUSED,
              about="Whether transactions may wait for a commit decided elsewhere."),
    ConfigKey("transactional.id.expiration.ms", INT, "604800000", HIGH, at_least(1), effect=YES,
              about="How long a transactional id may be idle before it is forgotten."),
    ConfigKey("producer.id.expiration.ms", INT, "86400000", LOW, at_least(1), update=CLUSTER_WIDE,
              effect=YES,
              about="How long a partition remembers a silent idempotent producer."),
    ConfigKey("producer.id.expiration.check.interval.ms", INT, "600000", LOW, at_least(1),
              is_internal=True,
              about="How often silent producers are looked for."),
    ConfigKey("add.partitions.to.txn.retry.backoff.ms", INT, "20", HIGH, at_least(1),
              about="How long a partition waits before it asks the transaction coordinator again."),
    ConfigKey("add.partitions.to.txn.retry.backoff.max.ms", INT, "100", HIGH, at_least(0),
              about="How long a partition asks it again, at most."),
)
# fmt: on
