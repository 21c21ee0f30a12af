"""Random lives of a compacted log: a consumer ends up with what it would without compaction."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from datacore.log.key_offsets import ENTRY_BYTES
from datacore.record.batch import iterate_headers
from datacore.record.compression import Codec
from datacore.record.control import ControlType, EndTransactionMarker, decode_end_transaction_marker
from datacore.record.records import Record, decode_records, encode_batch
from tests.log.test_compaction import CONFIG, NOW_MS, engine, opened, round_of

if TYPE_CHECKING:
    from datacore.log.partition_log import PartitionLog
    from datacore.log.producers import ProducerState
    from datacore.storage.engine import Engine

__all__ = ["engine"]

pytestmark = pytest.mark.anyio

HORIZON_MS = 1000
STEPS = {"plain": 8, "idempotent": 4, "transaction": 8, "compact": 3, "restart": 1}


class Life:
    """A log, and what was written to it."""

    def __init__(self, log: PartitionLog, random: Random) -> None:
        self.log = log
        self.random = random
        self.now_ms = NOW_MS
        self.open: set[int] = set()
        self.sequences: dict[int, int] = {}

    async def append(self, producer_id: int, *, transactional: bool) -> None:
        random = self.random
        pairs = [
            (
                b"key-%d" % random.randrange(40),
                None if random.random() < 0.2 else random.randbytes(9),
            )
            for _ in range(random.choice([1, 2, 10]))
        ]
        sequence = self.sequences.get(producer_id, 0) if producer_id >= 0 else -1
        batch = encode_batch(
            [Record(0, self.now_ms, key, value) for key, value in pairs],
            codec=random.choice(list(Codec)),
            producer_id=producer_id,
            producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=sequence,
            transactional=transactional,
        )
        appended = self.log.append(memoryview(batch), self.now_ms)
        if appended.durable is not None:
            await appended.durable
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + len(pairs)
        if transactional:
            self.open.add(producer_id)

    async def end(self, producer_id: int) -> None:
        self.open.remove(producer_id)
        marker = EndTransactionMarker(self.random.choice(list(ControlType)), 0)
        appended = self.log.append_marker(producer_id, 0, marker, self.now_ms)
        if appended.durable is not None:
            await appended.durable


async def view_of(log: PartitionLog) -> dict[bytes, bytes | None]:
    """What a consumer under read_committed learns from the start to the last stable offset.

    As Kafka's consumers do it: by the aborted transactions that each fetch tells of.
    """
    values: dict[bytes, bytes | None] = {}
    offset = log.log_start_offset
    aborting: set[int] = set()
    while offset < log.last_stable_offset:
        buffers = await log.read(offset, 3000, log.last_stable_offset)
        told = sorted(
            (each.first_offset, each.producer_id)
            for each in log.aborted_transactions(offset, buffers)
        )
        for buffer in buffers:
            view = memoryview(buffer)
            for at, header in iterate_headers(view):
                batch = view[at : at + header.size]
                while told and told[0][0] <= header.last_offset:
                    aborting.add(told.pop(0)[1])
                offset = header.next_offset
                if header.is_control:
                    if header.records_count:
                        marker = decode_end_transaction_marker(batch, header)
                        if marker.control_type is ControlType.ABORT:
                            aborting.discard(header.producer_id)
                elif not (header.is_transactional and header.producer_id in aborting):
                    for record in decode_records(batch, header):
                        assert record.key is not None
                        values[record.key] = record.value
    return {key: value for key, value in values.items() if value is not None}


def known(producers: dict[int, ProducerState]) -> dict[int, tuple[int, int, int]]:
    """What must be known of each producer to judge its next batch."""
    return {
        producer_id: (
            state.epoch,
            state.batches[-1].last_sequence if state.batches else -1,
            state.transaction_first_offset,
        )
        for producer_id, state in producers.items()
    }


@pytest.mark.parametrize("seed", range(6))
async def test_a_consumer_learns_the_same_with_and_without_compaction(
    engine: Engine, seed: int
) -> None:
    random = Random(seed)
    config = msgspec.structs.replace(CONFIG, delete_retention_ms=HORIZON_MS)
    log = await opened(engine, config)
    life = Life(log, random)
    for _ in range(150):
        life.now_ms += random.randrange(HORIZON_MS // 5)
        match random.choices(
            ["plain", "idempotent", "transaction", "compact", "restart"], [8, 4, 8, 3, 1]
        )[0]:
            case "plain":
                await life.append(-1, transactional=False)
            case "idempotent":
                await life.append(random.randrange(2), transactional=False)
            case "transaction":
                producer_id = 10 + random.randrange(3)
                if producer_id in life.open and random.random() < 0.5:
                    await life.end(producer_id)
                else:
                    await life.append(producer_id, transactional=True)
            case "compact":
                before = await view_of(log)
                keys_bytes = random.choice([ENTRY_BYTES * 5, 1 << 20])
                await round_of(log, life.now_ms, keys_bytes)
                assert await view_of(log) == before
            case _:
                before = await view_of(log)
                producers = known(log.producers.by_id)
                if random.random() < 0.5:
                    log._kept._offset = log.log_end_offset
                await log.close()
                log = life.log = await opened(engine, config)
                assert await view_of(log) == before
                assert known(log.producers.by_id) == producers
