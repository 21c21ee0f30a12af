import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.transactions.producer_ids import BLOCK_SIZE
from datacore.protocol.errors import KafkaError
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import HeldEngine, running

pytestmark = pytest.mark.anyio


async def test_no_id_is_handed_out_twice_over_restarts_and_borders_of_blocks() -> None:
    engine = MemoryEngine()
    handed_out: list[int] = []
    for wanted in (1, BLOCK_SIZE + 1, 0, 2 * BLOCK_SIZE, 3):
        async with running(engine) as broker:
            handed_out += [await broker.producer_ids.allocate() for _ in range(wanted)]
    assert len(set(handed_out)) == len(handed_out)


async def test_no_id_is_handed_out_twice_to_clients_that_ask_at_once() -> None:
    async with running(MemoryEngine()) as broker:
        handed_out: list[int] = []

        async def take() -> None:
            for _ in range(BLOCK_SIZE // 4):
                handed_out.append(await broker.producer_ids.allocate())  # noqa: PERF401  # in turns

        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(take)
        assert len(set(handed_out)) == len(handed_out) == 9 * (BLOCK_SIZE // 4)


async def test_a_block_that_was_not_granted_is_not_used() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker:
        engine.only.refuses_appends = True
        with pytest.raises(KafkaError) as refused:
            await broker.producer_ids.allocate()
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        engine.only.refuses_appends = False
        assert await broker.producer_ids.allocate() == 0
