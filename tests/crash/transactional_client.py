"""One client of the history checker, as a process: does its work until SIGTERM, and writes down
what it was told, one JSON line each.

    python -m tests.crash.transactional_client writer 0 127.0.0.1:9092 > history

- ``writer``: transactions of several records over all partitions, committed or aborted at random.
- ``plain``: an idempotent producer without transactions, to the topic that is copied.
- ``copier``: reads that topic and writes what it read elsewhere, with its offsets, exactly once.
- ``reader``: reads committed records from the start.
"""

import json
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

WRITTEN, PLAIN, COPIED = "written", "plain", "copied"
PARTITIONS = 3
_CONNECTING: dict[str, str | int | float | bool] = {
    "reconnect.backoff.max.ms": 200,
    # With "rebootstrap", librdkafka 2.16 keeps the coordinator of a group that was on a broker
    # which it has given up, and waits for that one forever.
    "metadata.recovery.strategy": "none",
}
_CALL_TIMEOUT_S = 60.0
_POLL_S = 0.2

_is_over = False


def _end(*_: object) -> None:
    global _is_over  # noqa: PLW0603  # a signal has no other way to tell
    _is_over = True


def _note(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def _transactional(bootstrap: str, transactional_id: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": 20_000,
            "message.timeout.ms": 20_000,
            "linger.ms": 1,
            **_CONNECTING,
        }
    )
    _insist(lambda: producer.init_transactions(_CALL_TIMEOUT_S))
    return producer


def _insist(call: Callable[[], Any]) -> Any:
    """Calls again for as long as the client says that this can help."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


def _finish(producer: Producer, *, commit: bool) -> str:
    """Ends a transaction, and says how; raises what leaves that open."""
    try:
        if commit:
            _insist(lambda: producer.commit_transaction(_CALL_TIMEOUT_S))
            return "committed"
    except KafkaException as error:
        if not error.args[0].txn_requires_abort():
            raise
    _insist(lambda: producer.abort_transaction(_CALL_TIMEOUT_S))
    return "aborted"


def write(number: int, bootstrap: str) -> None:
    chance = random.Random(number)
    producer = _transactional(bootstrap, f"writer-{number}")
    transaction = 0
    while not _is_over:
        transaction += 1
        values = [f"{number}/{transaction}/{at}" for at in range(chance.randint(1, 6))]
        outcome = "unknown"
        try:
            producer.begin_transaction()
            for value in values:
                producer.produce(WRITTEN, value.encode(), partition=chance.randrange(PARTITIONS))
            outcome = _finish(producer, commit=chance.random() < 0.75)
        except KafkaException as error:
            _note(event="trouble", reason=str(error))
            _note(event="transaction", outcome=outcome, values=values)
            producer = _transactional(bootstrap, f"writer-{number}")
        else:
            _note(event="transaction", outcome=outcome, values=values)


def produce_plainly(number: int, bootstrap: str) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": 60_000,
            "linger.ms": 5,
            **_CONNECTING,
        }
    )

    def delivered(value: str, error: object, _: object) -> None:
        if error is None:
            _note(event="acknowledged", value=value)
        else:
            _note(event="trouble", reason=str(error))

    sent = 0
    while not _is_over:
        value = f"plain/{number}/{sent}"
        producer.produce(
            PLAIN,
            value.encode(),
            partition=sent % PARTITIONS,
            on_delivery=partial(delivered, value),
        )
        sent += 1
        producer.poll(0.01)
    producer.flush(_CALL_TIMEOUT_S)


def _consumer(bootstrap: str, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **_CONNECTING,
        }
    )


def copy(number: int, bootstrap: str) -> None:
    while not _is_over:
        consumer = _consumer(bootstrap, "copiers")
        try:
            producer = _transactional(bootstrap, f"copier-{number}")
            consumer.subscribe([PLAIN])
            while not _is_over:
                _copy_some(consumer, producer)
        except KafkaException as error:
            _note(event="trouble", reason=str(error))
        finally:
            consumer.close()


def _copy_some(consumer: Consumer, producer: Producer) -> None:
    messages = [each for each in consumer.consume(50, _POLL_S) if each.error() is None]
    if not messages:
        return
    producer.begin_transaction()
    for message in messages:
        producer.produce(COPIED, message.value(), partition=message.partition() or 0)
    try:
        _insist(
            lambda: producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()),
                consumer.consumer_group_metadata(),
                _CALL_TIMEOUT_S,
            )
        )
        is_committed = _finish(producer, commit=True) == "committed"
    except KafkaException as error:
        if not error.args[0].txn_requires_abort():
            raise
        _insist(lambda: producer.abort_transaction(_CALL_TIMEOUT_S))
        is_committed = False
    if not is_committed:
        for position in consumer.committed(consumer.assignment(), _CALL_TIMEOUT_S):
            consumer.seek(
                TopicPartition(position.topic, position.partition, max(position.offset, 0))
            )


def read(_: int, bootstrap: str) -> None:
    consumer = _consumer(bootstrap, "unused")
    consumer.assign([TopicPartition(WRITTEN, at, 0) for at in range(PARTITIONS)])
    while not _is_over:
        for message in consumer.consume(500, _POLL_S):
            if message.error() is None:
                _note(event="seen", value=(message.value() or b"").decode())
    consumer.close()


ROLES = {"writer": write, "plain": produce_plainly, "copier": copy, "reader": read}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    ROLES[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
