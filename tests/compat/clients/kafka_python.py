"""kafka-python, 1.4.7 to 3.x: one driver, since its public interface kept its names."""

from collections.abc import Collection

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
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


def _consume(options: contract.Options) -> None:
    consumer = KafkaConsumer(bootstrap_servers=options.bootstrap, enable_auto_commit=False)
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
    consumer = KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=contract.SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=contract.HEARTBEAT_INTERVAL_MS,
    )
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
    contract.run(produce=_produce, consume=_consume, join=_join)
