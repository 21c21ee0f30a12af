"""confluent-kafka, and librdkafka below it."""

from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.compat.clients import contract

_POLL_S = 0.1
_POLL_RECORDS = 500


def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for codec, neighbours in contract.runs_of_one_codec(records):
        producer = Producer(
            {
                "bootstrap.servers": options.bootstrap,
                "compression.type": codec,
                "linger.ms": 20,  # so that neighbours share a batch
            }
        )
        outcomes: list[tuple[Any, Any] | None] = [None] * len(neighbours)

        def delivered(index: int, error: Any, message: Any, into: list[Any] = outcomes) -> None:
            into[index] = (error, message)

        for index, record in enumerate(neighbours):
            producer.produce(
                options.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=[*record.headers],
                timestamp=record.timestamp_ms or 0,
                on_delivery=partial(delivered, index),
            )
            producer.poll(0)
        producer.flush(options.deadline_s)
        for outcome in outcomes:
            if outcome is None:
                raise TimeoutError("a record was never reported as delivered")
            error, message = outcome
            if error is not None:
                raise KafkaException(error)
            contract.acked(message.partition(), message.offset())


def _consume(options: contract.Options) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": "unused",  # it insists on one, also without a group
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(options.topic, p, 0) for p in range(options.partitions)])
    wanted = options.count
    while wanted > 0:
        wanted -= _poll(consumer)
    consumer.close()


def _join(options: contract.Options, commands: contract.Commands) -> None:
    config: dict[str, Any] = {
        "bootstrap.servers": options.bootstrap,
        "group.id": options.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": contract.SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": contract.HEARTBEAT_INTERVAL_MS,
    }
    config |= contract.member_config()
    if config.get("group.protocol") == "consumer":
        # The broker says both then (KIP-848).
        del config["session.timeout.ms"], config["heartbeat.interval.ms"]
    consumer = Consumer(config)
    # librdkafka takes what begins with "^" for a regular expression.
    pattern = contract.member_pattern()
    consumer.subscribe([options.topic if pattern is None else f"^{pattern}"])
    owned: set[int] | None = None
    while True:
        _poll(consumer)
        # What a cooperative member owns is more than what a callback says to be new.
        now = {partition.partition for partition in consumer.assignment()}
        if now != owned and (now or owned is not None):
            owned = now
            contract.assigned(now)
        command = commands.next()
        if isinstance(command, contract.Commit):
            done = consumer.commit(
                offsets=[TopicPartition(options.topic, p, o) for p, o in command.offsets.items()],
                asynchronous=False,
            )
            for partition in done:
                if partition.error is not None:
                    raise KafkaException(partition.error)
            contract.committed(command.offsets)
        elif isinstance(command, contract.Leave):
            break
    consumer.close()


def _copy(options: contract.Options) -> None:
    producer = Producer({"bootstrap.servers": options.bootstrap, "transactional.id": options.group})
    producer.init_transactions(options.deadline_s)
    producer.begin_transaction()
    producer.produce(options.to, value=b"aborted", partition=0)
    producer.flush(options.deadline_s)
    producer.abort_transaction(options.deadline_s)
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([options.topic])
    wanted = options.count
    while wanted > 0:
        messages: list[Any] = consumer.consume(_POLL_RECORDS, _POLL_S)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            producer.produce(
                options.to,
                value=message.value(),
                key=message.key(),
                partition=message.partition(),
            )
        producer.send_offsets_to_transaction(
            [p for p in consumer.position(consumer.assignment()) if p.offset >= 0],
            consumer.consumer_group_metadata(),
            options.deadline_s,
        )
        producer.commit_transaction(options.deadline_s)
        wanted -= len(messages)
    consumer.close()


def _poll(consumer: Consumer) -> int:
    messages: list[Any] = consumer.consume(_POLL_RECORDS, _POLL_S)
    for message in messages:
        if message.error() is not None:
            raise KafkaException(message.error())
        _, timestamp_ms = message.timestamp()
        contract.seen(
            partition=message.partition(),
            offset=message.offset(),
            timestamp_ms=timestamp_ms,
            key=message.key(),
            value=message.value(),
            headers=message.headers() or [],
        )
    return len(messages)


if __name__ == "__main__":
    contract.run(produce=_produce, consume=_consume, join=_join, copy=_copy)
