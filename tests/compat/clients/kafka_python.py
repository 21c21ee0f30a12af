"""kafka-python, 1.4.7 to 3.x: one driver, since its public interface kept its names."""

from collections import deque
from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, for_code
from kafka.structs import OffsetAndMetadata

from tests.compat.clients import contract

_POLL_MS = 100
# 3.0.12 forgets a second join that outlasts the poll that began it. A leader that assigns before it
# knows the topic joins again because its two snapshots of the metadata differ; assigning makes them
# equal, so that the next poll sees no need to wait for the join (ConsumerCoordinator.need_rejoin):
# nobody takes the assignment, and no heartbeat is sent any more. So the first poll outlasts both.
_FIRST_POLL_MS = 5_000


def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for codec, neighbours in contract.runs_of_one_codec(records):
        producer = KafkaProducer(
            bootstrap_servers=options.bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            linger_ms=20,  # so that neighbours share a batch
            retries=3,  # 1.4.7 and 2.0.2 default to none
            **_idempotence(options),
        )
        futures = [
            producer.send(
                options.topic,
                value=record.value,
                key=record.key,
                headers=record.headers,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in neighbours
        ]
        for future in futures:
            metadata = future.get(timeout=options.deadline_s)
            contract.acked(metadata.partition, metadata.offset)
        producer.close(timeout=5)


def _idempotence(options: contract.Options) -> dict[str, Any]:
    """Since 3.0 that is the default."""
    if "enable_idempotence" not in KafkaProducer.DEFAULT_CONFIG:
        return {}
    return {"enable_idempotence": options.idempotent}


def _flow(options: contract.Options, numbers: Iterator[int]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=options.bootstrap,
        acks="all",
        retries=10_000,
        **_idempotence(options),
    )
    waiting: deque[tuple[int, Any]] = deque()

    def send(number: int) -> Any:
        value = str(number).encode()
        return producer.send(options.topic, value=value, partition=number % options.partitions)

    def settle() -> None:
        number, future = waiting.popleft()
        while True:
            try:
                metadata = future.get(timeout=options.deadline_s)
            except KafkaError:
                if options.idempotent:
                    raise
                future = send(number)
            else:
                contract.acked_number(number, metadata.partition, metadata.offset)
                return

    for number in numbers:
        waiting.append((number, send(number)))
        if len(waiting) >= contract.UNACKNOWLEDGED_MAX:
            settle()
    while waiting:
        settle()


def _offsets(options: contract.Options) -> None:
    consumer = KafkaConsumer(bootstrap_servers=options.bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(options.topic, index) for index in range(options.partitions)]
    found = consumer.offsets_for_times(dict.fromkeys(partitions, options.at_ms))
    contract.offsets(
        beginning={p.partition: o for p, o in consumer.beginning_offsets(partitions).items()},
        end={p.partition: o for p, o in consumer.end_offsets(partitions).items()},
        at={p.partition: o.offset if o is not None else None for p, o in found.items()},
    )
    consumer.close()


def _consume(options: contract.Options) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=options.bootstrap, enable_auto_commit=False, **_isolation()
    )
    partitions = [TopicPartition(options.topic, index) for index in range(options.partitions)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    wanted = options.count
    while wanted > 0:
        wanted -= _poll(consumer)
    consumer.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python is untyped
    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing to do: the harness commits only when the group is at rest."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        contract.assigned(partition.partition for partition in assigned)


def _join(options: contract.Options, commands: contract.Commands) -> None:
    consumer = _member(options)
    consumer.subscribe([options.topic], listener=_Listener())
    _poll(consumer, _FIRST_POLL_MS)
    while True:
        _poll(consumer)
        command = commands.next()
        if isinstance(command, contract.Commit):
            consumer.commit(
                {
                    TopicPartition(options.topic, partition): _offset(offset)
                    for partition, offset in command.offsets.items()
                }
            )
            contract.committed(command.offsets)
        elif isinstance(command, contract.Leave):
            break
    consumer.close()


def _isolation() -> dict[str, Any]:
    """Came with 2.1."""
    known = "isolation_level" in KafkaConsumer.DEFAULT_CONFIG
    return {"isolation_level": "read_committed"} if known else {}


def _member(options: contract.Options) -> KafkaConsumer:
    static = {} if options.instance is None else {"group_instance_id": options.instance}
    return KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=contract.SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=contract.HEARTBEAT_INTERVAL_MS,
        **_isolation(),
        **static,
    )


def _transactional(options: contract.Options) -> KafkaProducer:
    producer = KafkaProducer(bootstrap_servers=options.bootstrap, transactional_id=options.group)
    producer.init_transactions()
    return producer


def _abort(options: contract.Options) -> None:
    with closing(_transactional(options)) as producer:
        producer.begin_transaction()
        producer.send(options.to, value=b"aborted", partition=0).get(options.deadline_s)
        producer.abort_transaction()


def _copies(options: contract.Options) -> Generator[int, None, None]:
    with closing(_transactional(options)) as producer, closing(_member(options)) as consumer:
        consumer.subscribe([options.topic])
        poll_ms = _FIRST_POLL_MS
        while True:
            batches = consumer.poll(poll_ms)
            poll_ms = _POLL_MS
            if batches:
                producer.begin_transaction()
                for partition, batch in batches.items():
                    for record in batch:
                        producer.send(
                            options.to,
                            value=record.value,
                            key=record.key,
                            partition=partition.partition,
                        )
                offsets = {p: _offset(batch[-1].offset + 1) for p, batch in batches.items()}
                # 2.1 to 2.3 know the group by its name only.
                told = getattr(consumer, "group_metadata", lambda: options.group)()
                producer.send_offsets_to_transaction(offsets, told)
                producer.commit_transaction()
            yield sum(map(len, batches.values()))


class _Admin:
    """Its admin changed what it takes and returns with 3.0; metadata is the consumer's."""

    def __init__(self, options: contract.Options) -> None:
        self._options = options
        self._admin = KafkaAdminClient(bootstrap_servers=options.bootstrap)
        self._new = hasattr(self._admin, "reset_configs")

    def create(self, partitions: int, configs: dict[str, str]) -> None:
        if self._new:
            wanted = {
                "num_partitions": partitions,
                "replication_factor": 1,
                "configs": configs,
            }
            self._admin.create_topics({self._options.topic: wanted})
        else:
            from kafka.admin import NewTopic  # noqa: PLC0415 - deprecated by 3.0

            topic = NewTopic(self._options.topic, partitions, 1, topic_configs=configs)
            self._admin.create_topics([topic])

    def describe(self, configs: list[str]) -> contract.Described:
        consumer = KafkaConsumer(bootstrap_servers=self._options.bootstrap)
        partitions = len(consumer.partitions_for_topic(self._options.topic))
        consumer.close()
        wanted = [self._resource(dict.fromkeys(configs, ""))]
        if self._new:
            by_type = self._admin.describe_configs(wanted, config_filter="all")
            told = by_type["topic"][self._options.topic]
            values = {name: told[name]["value"] for name in configs}
            return contract.Described(partitions, values)
        answers = self._admin.describe_configs(wanted)
        answer = answers[0] if isinstance(answers, list) else answers
        error, message, _, _, entries = answer.resources[0][:5]
        if error:
            raise for_code(error)(message)
        return contract.Described(partitions, {entry[0]: entry[1] for entry in entries})

    def alter(self, configs: dict[str, str]) -> None:
        answer = self._admin.alter_configs([self._resource(configs)])
        if not self._new:
            error, message = answer.resources[0][:2]
            if error:
                raise for_code(error)(message)

    def delete(self) -> None:
        self._admin.delete_topics([self._options.topic])

    def topics(self) -> list[str]:
        consumer = KafkaConsumer(bootstrap_servers=self._options.bootstrap)
        topics = sorted(consumer.topics())
        consumer.close()
        return topics

    def _resource(self, configs: dict[str, str]) -> ConfigResource:
        return ConfigResource(ConfigResourceType.TOPIC, self._options.topic, configs)


def _offset(offset: int) -> OffsetAndMetadata:
    """The structure grew a leader epoch in 2.0.3."""
    rest = (-1,) if len(OffsetAndMetadata._fields) == 3 else ()
    return OffsetAndMetadata(offset, "", *rest)


def _poll(consumer: KafkaConsumer, timeout_ms: int = _POLL_MS) -> int:
    records = [record for batch in consumer.poll(timeout_ms).values() for record in batch]
    for record in records:
        contract.seen(
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
    return len(records)


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
