import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.broker import Broker
from datacore.broker.topics import NewTopic
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName
from datacore.storage.engine import Engine, LogName
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import HeldEngine, running, until

pytestmark = pytest.mark.anyio

T = TopicName("t")


async def refusal(broker: Broker, new: NewTopic) -> KafkaError:
    with pytest.raises(KafkaError) as refused:
        await broker.topics.create(new)
    return refused.value


async def topic_logs(engine: Engine) -> list[str]:
    """The logs of partitions: their names end with the topic's id, behind a dot."""
    return [name for name in await engine.list_logs() if "." in name]


async def outcomes(*calls: object) -> list[ErrorCode]:
    """Runs calls at the same time and sorts their outcomes."""
    codes: list[ErrorCode] = []

    async def run(call: object) -> None:
        try:
            await call  # type: ignore[misc]  # an awaitable, whatever it returns
        except KafkaError as error:
            codes.append(error.code)
        else:
            codes.append(ErrorCode.NONE)

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(run, call)
    return sorted(codes)


async def test_of_clients_that_create_one_topic_at_once_one_succeeds() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        codes = await outcomes(*(broker.topics.create(NewTopic(T, n)) for n in (1, 2, 3)))
        assert codes == [ErrorCode.NONE, *[ErrorCode.TOPIC_ALREADY_EXISTS] * 2]
        assert len(await topic_logs(engine)) == len(broker.topics.by_name[T].partitions)


async def test_of_clients_that_delete_one_topic_at_once_one_succeeds() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        topic = await broker.topics.create(NewTopic(T, 3))
        codes = await outcomes(broker.delete_topic(topic), broker.delete_topic(topic))
        assert codes == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_ID]
        assert await topic_logs(engine) == []


async def test_a_topic_widened_and_deleted_at_once_leaves_nothing_behind() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        topic = await broker.topics.create(NewTopic(T, 1))
        await outcomes(
            broker.topics.create_partitions(T, 3, None, validate_only=False),
            broker.delete_topic(topic),
            broker.topics.create_partitions(T, 5, None, validate_only=False),
        )
        assert T not in broker.topics.by_name
        assert T not in broker.partitions.by_topic
        assert await topic_logs(engine) == []


async def test_a_topic_made_anew_is_another_topic() -> None:
    async with running(MemoryEngine()) as broker:
        first = await broker.topics.create(NewTopic(T, 2))
        await broker.delete_topic(first)
        second = await broker.topics.create(NewTopic(T, 1))
        assert second.topic_id != first.topic_id
        assert list(broker.partitions.by_topic[T]) == [0]


async def test_validation_alone_makes_nothing() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        await broker.topics.create(NewTopic(T, 3), validate_only=True)
        assert (broker.topics.by_name, await topic_logs(engine)) == ({}, [])


async def test_a_metadata_log_that_takes_nothing_leaves_nothing_behind() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker:
        engine.only.refuses_appends = True
        refused = await refusal(broker, NewTopic(T, 3))
        assert refused.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert (broker.topics.by_name, await topic_logs(engine)) == ({}, [])


async def test_a_metadata_log_that_loses_a_record_leaves_nothing_behind() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker, anyio.create_task_group() as tasks:
        codes: list[ErrorCode] = []

        async def create() -> None:
            codes.extend(await outcomes(broker.topics.create(NewTopic(T, 3))))

        engine.only.holds = True
        end_offset = engine.only.end_offset
        tasks.start_soon(create)
        await until(lambda: engine.only.end_offset > end_offset)
        assert T not in broker.topics.by_name
        engine.only.fail()
        await until(lambda: bool(codes))
        assert codes == [ErrorCode.KAFKA_STORAGE_ERROR]
        assert (broker.topics.by_name, await topic_logs(engine)) == ({}, [])
        # The next change goes on behind what is durable.
        tasks.start_soon(create)
        await until(lambda: engine.only.end_offset > end_offset)
        engine.only.flush()
        await until(lambda: len(codes) == 2)
        assert codes[1] is ErrorCode.NONE


async def test_an_engine_that_opens_no_log_leaves_no_topic() -> None:
    engine = HeldEngine("nothing")
    async with running(engine) as broker:
        engine.refuses_new_logs = True
        refused = await refusal(broker, NewTopic(T, 3))
        assert refused.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert broker.topics.by_name == {}


@pytest.mark.parametrize(("first", "second"), [("a.b", "a_b"), ("a_b", "a.b"), ("a.b_c", "a_b.c")])
async def test_names_that_differ_by_dot_and_underscore_collide(first: str, second: str) -> None:
    async with running(MemoryEngine()) as broker:
        await broker.topics.create(NewTopic(TopicName(first), 1))
        refused = await refusal(broker, NewTopic(TopicName(second), 1))
        assert refused.code is ErrorCode.INVALID_TOPIC_EXCEPTION


async def test_a_restart_finds_topics_ids_configs_and_partitions() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        made = await broker.topics.create(
            NewTopic(T, 2, configs={"cleanup.policy": "compact", "max.message.bytes": "77"})
        )
        await broker.topics.create_partitions(T, 3, None, validate_only=False)
        cluster_id = broker.cluster_id
        gone = await broker.topics.create(NewTopic(TopicName("gone"), 1))
        await broker.delete_topic(gone)
    async with running(engine) as broker:
        assert broker.cluster_id == cluster_id
        assert list(broker.topics.by_name) == [T]
        assert broker.topics.by_name[T].topic_id == made.topic_id
        logs = broker.partitions.by_topic[T]
        assert sorted(logs) == [0, 1, 2]
        assert {(log.config.compacted, log.config.max_message_bytes) for log in logs.values()} == {
            (True, 77)
        }


async def test_a_start_deletes_logs_that_no_topic_owns() -> None:
    engine = MemoryEngine()
    # As if the process had died between making a topic's logs and committing the topic.
    await (await engine.open_log(LogName("t-0.AAAAAAAAAAAAAAAAAAAAAA"), epoch=0)).close()
    async with running(engine) as broker:
        assert await topic_logs(engine) == []
        await broker.topics.create(NewTopic(T, 1))
    async with running(engine):
        assert len(await topic_logs(engine)) == 1
