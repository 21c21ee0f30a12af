"""confluent-kafka, and librdkafka below it."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # as its documentation does
    AdminClient,
    ConfigResource,
    NewTopic,
)

from tests.compat.clients import contract

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_POLL_S = 0.1
_POLL_RECORDS = 500
# A broker that dies while offsets are sent leaves librdkafka waiting for as long as it may, against
# Apache Kafka too: an application that begins anew after a while goes on.
_TRANSACTION_S = 10.0


def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for codec, neighbours in contract.runs_of_one_codec(records):
        producer = Producer(
            {
                "bootstrap.servers": options.bootstrap,
                "compression.type": codec,
                "linger.ms": 20,  # so that neighbours share a batch
                "enable.idempotence": options.idempotent,
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
    if options.instance is not None:
        config["group.instance.id"] = options.instance
    config.update(contract.member_config())
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


def _transactional(options: contract.Options) -> Producer:
    producer = Producer({"bootstrap.servers": options.bootstrap, "transactional.id": options.group})
    producer.init_transactions(options.deadline_s)
    return producer


def _abort(options: contract.Options) -> None:
    producer = _transactional(options)
    producer.begin_transaction()
    producer.produce(options.to, value=b"aborted", partition=0)
    producer.flush(options.deadline_s)
    producer.abort_transaction(options.deadline_s)


def _copies(options: contract.Options) -> Generator[int, None, None]:
    producer = _transactional(options)
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": contract.SESSION_TIMEOUT_MS,
            "heartbeat.interval.ms": contract.HEARTBEAT_INTERVAL_MS,
        }
    )
    with closing(consumer):
        consumer.subscribe([options.topic])
        while True:
            messages: list[Any] = consumer.consume(_POLL_RECORDS, _POLL_S)
            if messages:
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
                    _TRANSACTION_S,
                )
                producer.commit_transaction(_TRANSACTION_S)
            yield len(messages)


def _flow(options: contract.Options, numbers: Iterator[int]) -> None:
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap,
            "enable.idempotence": options.idempotent,
            "acks": "all",  # the default since 1.0
        }
    )
    waiting = 0
    failed: list[Any] = []

    def send(number: int) -> None:
        producer.produce(
            options.topic,
            value=str(number).encode(),
            partition=number % options.partitions,
            on_delivery=partial(delivered, number),
        )

    def delivered(number: int, error: Any, message: Any) -> None:
        nonlocal waiting
        if error is None:
            waiting -= 1
            contract.acked_number(number, message.partition(), message.offset())
        elif options.idempotent:
            failed.append(error)
        else:
            send(number)

    def wait_below(limit: int) -> None:
        while waiting >= limit:
            producer.poll(_POLL_S)
            if failed:
                raise KafkaException(failed[0])

    for number in numbers:
        waiting += 1
        send(number)
        producer.poll(0)
        wait_below(contract.UNACKNOWLEDGED_MAX)
    wait_below(1)


def _offsets(options: contract.Options) -> None:
    consumer = Consumer({"bootstrap.servers": options.bootstrap, "group.id": "unused"})
    limits = {
        p: consumer.get_watermark_offsets(
            TopicPartition(options.topic, p), timeout=options.deadline_s
        )
        for p in range(options.partitions)
    }
    wanted = [TopicPartition(options.topic, p, options.at_ms) for p in limits]
    found = consumer.offsets_for_times(wanted, timeout=options.deadline_s)
    contract.offsets(
        beginning={p: low for p, (low, _) in limits.items()},
        end={p: high for p, (_, high) in limits.items()},
        # Where there is none it says "the end" (-1).
        at={p.partition: p.offset if p.offset >= 0 else None for p in found},
    )
    consumer.close()


class _Admin:
    def __init__(self, options: contract.Options) -> None:
        self._topic, self._timeout_s = options.topic, options.deadline_s
        self._admin = AdminClient({"bootstrap.servers": options.bootstrap})

    def create(self, partitions: int, configs: dict[str, str]) -> None:
        topic = NewTopic(self._topic, partitions, 1, config=configs)
        self._wait(self._admin.create_topics([topic]))

    def describe(self, configs: list[str]) -> contract.Described:
        metadata = self._admin.list_topics(timeout=self._timeout_s)
        partitions = len(metadata.topics[self._topic].partitions)
        resource = ConfigResource("topic", self._topic)
        told = self._wait(self._admin.describe_configs([resource]))
        return contract.Described(partitions, {name: told[name].value for name in configs})

    def alter(self, configs: dict[str, str]) -> None:
        resource = ConfigResource("topic", self._topic)
        for name, value in configs.items():
            resource.set_config(name, value)
        self._wait(self._admin.alter_configs([resource]))

    def delete(self) -> None:
        self._wait(self._admin.delete_topics([self._topic]))

    def topics(self) -> list[str]:
        return sorted(self._admin.list_topics(timeout=self._timeout_s).topics)

    def _wait(self, futures: dict[Any, Any]) -> Any:
        (future,) = futures.values()
        return future.result(self._timeout_s)


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
    contract.run(
        contract.Actions(
            produce=_produce,
            consume=_consume,
            join=_join,
            abort=_abort,
            copies=_copies,
            flow=_flow,
            offsets=_offsets,
            admin=_Admin,
        )
    )
