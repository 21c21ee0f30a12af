"""aiokafka."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Generator, Iterator
from typing import Any, TypeVar

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from tests.compat.clients import contract

try:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
except ModuleNotFoundError:  # up to 0.8 these were kafka-python's
    from kafka.admin import ConfigResource, ConfigResourceType

_POLL_MS = 100
_Value = TypeVar("_Value")


async def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for codec, neighbours in contract.runs_of_one_codec(records):
        producer = AIOKafkaProducer(
            bootstrap_servers=options.bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            linger_ms=20,  # so that neighbours share a batch
            enable_idempotence=options.idempotent,
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


def _member(options: contract.Options) -> AIOKafkaConsumer:
    # Up to 0.8 it knows no static members, not even by name.
    static = {} if options.instance is None else {"group_instance_id": options.instance}
    return AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        **static,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=contract.SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=contract.HEARTBEAT_INTERVAL_MS,
    )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # untyped in mypy's eyes
    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing to do: the harness commits only when the group is at rest."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        contract.assigned(partition.partition for partition in assigned)


async def _join(options: contract.Options, commands: contract.Commands) -> None:
    consumer = _member(options)
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


async def _abort(options: contract.Options) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=options.bootstrap, transactional_id=options.group)
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(options.to, value=b"aborted", partition=0)
    await producer.abort_transaction()
    await producer.stop()


class _Copier:
    """A producer and a consumer that copy a batch per transaction."""

    def __init__(self, options: contract.Options) -> None:
        self._options = options
        self._producer = AIOKafkaProducer(
            bootstrap_servers=options.bootstrap, transactional_id=options.group
        )
        self._consumer = _member(options)
        self._consumer.subscribe([options.topic])

    async def start(self) -> None:
        await self._producer.start()
        await self._consumer.start()

    async def copy(self) -> int:
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
        if not batches:
            return 0
        async with self._producer.transaction():
            for partition, batch in batches.items():
                for record in batch:
                    await self._producer.send(
                        self._options.to,
                        value=record.value,
                        key=record.key,
                        partition=partition.partition,
                    )
            offsets = {partition: batch[-1].offset + 1 for partition, batch in batches.items()}
            await self._producer.send_offsets_to_transaction(offsets, self._options.group)
        return sum(map(len, batches.values()))

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()


def _copies(options: contract.Options) -> Generator[int, None, None]:
    loop = asyncio.new_event_loop()

    async def begin() -> _Copier:
        return _Copier(options)

    copier = loop.run_until_complete(begin())
    try:
        loop.run_until_complete(copier.start())
        while True:
            yield loop.run_until_complete(copier.copy())
    finally:
        loop.run_until_complete(copier.stop())


async def _flow(options: contract.Options, numbers: Iterator[int]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap,
        acks="all",
        enable_idempotence=options.idempotent,
    )
    await producer.start()
    waiting: deque[tuple[int, Any]] = deque()

    async def send(number: int) -> Any:
        value = str(number).encode()
        partition = number % options.partitions
        return await producer.send(options.topic, value=value, partition=partition)

    async def settle() -> None:
        number, delivery = waiting.popleft()
        while True:
            try:
                metadata = await delivery
            except KafkaError:
                if options.idempotent:
                    raise
                delivery = await send(number)
            else:
                contract.acked_number(number, metadata.partition, metadata.offset)
                return

    for number in numbers:
        waiting.append((number, await send(number)))
        if len(waiting) >= contract.UNACKNOWLEDGED_MAX:
            await settle()
    while waiting:
        await settle()


async def _offsets(options: contract.Options) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=options.bootstrap, enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(options.topic, index) for index in range(options.partitions)]
    beginning = await consumer.beginning_offsets(partitions)
    end = await consumer.end_offsets(partitions)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, options.at_ms))
    contract.offsets(
        beginning={p.partition: offset for p, offset in beginning.items()},
        end={p.partition: offset for p, offset in end.items()},
        at={p.partition: o.offset if o is not None else None for p, o in found.items()},
    )
    await consumer.stop()


class _Admin:
    def __init__(self, options: contract.Options) -> None:
        self._topic = options.topic
        self._loop = asyncio.new_event_loop()

        async def begin() -> AIOKafkaAdminClient:
            admin = AIOKafkaAdminClient(bootstrap_servers=options.bootstrap)
            await admin.start()
            return admin

        self._admin = self._wait(begin())

    def create(self, partitions: int, configs: dict[str, str]) -> None:
        topic = NewTopic(self._topic, partitions, 1, topic_configs=configs)
        self._wait(self._admin.create_topics([topic]))

    def describe(self, configs: list[str]) -> contract.Described:
        (topic,) = self._wait(self._admin.describe_topics([self._topic]))
        wanted = self._resource(dict.fromkeys(configs, ""))
        (answer,) = self._wait(self._admin.describe_configs([wanted]))
        error, message, _, _, entries = answer.resources[0][:5]
        if error:
            raise for_code(error)(message)
        values = {entry[0]: entry[1] for entry in entries}
        return contract.Described(len(topic["partitions"]), values)

    def alter(self, configs: dict[str, str]) -> None:
        answers = self._wait(self._admin.alter_configs([self._resource(configs)]))
        error, message = answers[0].resources[0][:2]
        if error:
            raise for_code(error)(message)

    def delete(self) -> None:
        self._wait(self._admin.delete_topics([self._topic]))

    def topics(self) -> list[str]:
        return sorted(self._wait(self._admin.list_topics()))

    def _resource(self, configs: dict[str, str]) -> ConfigResource:
        return ConfigResource(ConfigResourceType.TOPIC, self._topic, configs)

    def _wait(self, awaited: Awaitable[_Value]) -> _Value:
        return self._loop.run_until_complete(awaited)


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
        contract.Actions(
            produce=lambda options, records: asyncio.run(_produce(options, records)),
            consume=lambda options: asyncio.run(_consume(options)),
            join=lambda options, commands: asyncio.run(_join(options, commands)),
            abort=lambda options: asyncio.run(_abort(options)),
            copies=_copies,
            flow=lambda options, numbers: asyncio.run(_flow(options, numbers)),
            offsets=lambda options: asyncio.run(_offsets(options)),
            admin=_Admin,
        )
    )
