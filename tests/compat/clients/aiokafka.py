"""aiokafka."""

import asyncio
from collections.abc import Collection

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)

from tests.compat.clients import contract

_POLL_MS = 100


async def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for codec, neighbours in contract.runs_of_one_codec(records):
        producer = AIOKafkaProducer(
            bootstrap_servers=options.bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            linger_ms=20,  # so that neighbours share a batch
        )
        await producer.start()
        deliveries = [
            await producer.send(
                options.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
                headers=record.headers,
            )
            for record in neighbours
        ]
        for delivery in deliveries:
            metadata = await delivery
            contract.acked(metadata.partition, metadata.offset)
        await producer.stop()


async def _consume(options: contract.Options) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    partitions = [TopicPartition(options.topic, index) for index in range(options.partitions)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    wanted = options.count
    while wanted > 0:
        wanted -= await _poll(consumer)
    await consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # untyped in mypy's eyes
    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing to do: the harness commits only when the group is at rest."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        contract.assigned(partition.partition for partition in assigned)


async def _join(options: contract.Options, commands: contract.Commands) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=contract.SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=contract.HEARTBEAT_INTERVAL_MS,
    )
    consumer.subscribe([options.topic], listener=_Listener())
    await consumer.start()
    while True:
        await _poll(consumer)
        command = commands.next()
        if isinstance(command, contract.Commit):
            await consumer.commit(
                {TopicPartition(options.topic, p): o for p, o in command.offsets.items()}
            )
            contract.committed(command.offsets)
        elif isinstance(command, contract.Leave):
            break
    await consumer.stop()


async def _copy(options: contract.Options) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=options.bootstrap, transactional_id=options.group)
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(options.to, value=b"aborted", partition=0)
    await producer.abort_transaction()
    consumer = AIOKafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    wanted = options.count
    while wanted > 0:
        batches = await consumer.getmany(timeout_ms=_POLL_MS)
        if not batches:
            continue
        async with producer.transaction():
            for partition, batch in batches.items():
                for record in batch:
                    await producer.send(
                        options.to,
                        value=record.value,
                        key=record.key,
                        partition=partition.partition,
                    )
            offsets = {partition: batch[-1].offset + 1 for partition, batch in batches.items()}
            await producer.send_offsets_to_transaction(offsets, options.group)
        wanted -= sum(map(len, batches.values()))
    await consumer.stop()
    await producer.stop()


async def _poll(consumer: AIOKafkaConsumer) -> int:
    batches = await consumer.getmany(timeout_ms=_POLL_MS)
    records = [record for batch in batches.values() for record in batch]
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
        produce=lambda options, records: asyncio.run(_produce(options, records)),
        consume=lambda options: asyncio.run(_consume(options)),
        join=lambda options, commands: asyncio.run(_join(options, commands)),
        copy=lambda options: asyncio.run(_copy(options)),
    )
