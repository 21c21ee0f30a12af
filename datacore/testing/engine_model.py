"""The engine contract as a model: any sequence of calls does what a list of batches would do.

Subclass ``EngineModel`` with a ``make_harness`` and hand its ``TestCase`` to pytest::

    class MemoryModel(EngineModel):
        def make_harness(self) -> EngineHarness: ...

    TestMemoryModel = MemoryModel.TestCase
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from datacore.storage.engine import OffsetTruncated, SegmentLimits
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG, check_extents, read, replace

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from datacore.storage.engine import Engine, EngineLog
    from datacore.storage.pending import Pending
    from datacore.testing.engine_harness import EngineHarness

T = TypeVar("T")

FRACTION = st.floats(0, 1)
PAYLOAD_SIZES = st.one_of(st.integers(0, 300), st.integers(0, 9000))


@dataclass(slots=True)
class ModelBatch:
    """One batch as it was appended."""

    base_offset: int
    last_offset: int
    timestamp_ms: int
    data: bytes


@dataclass(slots=True)
class ModelLog:
    """What the log should be."""

    batches: list[ModelBatch] = field(default_factory=list)
    start_offset: int = 0
    end_offset: int = 0
    snapshot: tuple[int, bytes] | None = None

    def readable(self) -> list[ModelBatch]:
        """The batches that can be read."""
        return [batch for batch in self.batches if batch.last_offset >= self.start_offset]

    def read(self, offset: int, max_bytes: int, before_offset: int) -> bytes:
        """What a read returns."""
        data = b""
        if offset >= before_offset:
            return data
        for batch in self.batches:
            if batch.last_offset < offset:
                continue
            if batch.base_offset >= before_offset:
                break
            if data and len(data) + len(batch.data) > max_bytes:
                break
            data += batch.data
        return data


class EngineModel(RuleBasedStateMachine):
    """One log of one engine beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.harness = self.make_harness()
        self.engine: Engine
        self.log: EngineLog
        self.model = ModelLog()
        self.epoch = 0
        self.waits: list[Pending[None]] = []

    def make_harness(self) -> EngineHarness:
        """The engine under test, over an empty store."""
        raise NotImplementedError

    def run(self, call: Coroutine[object, object, T]) -> T:
        """Runs a call to its end, on the loop of this model."""
        return self.runner.run(call)

    @initialize()
    def open(self) -> None:
        """A new engine over what the store holds."""
        self.engine = self.harness()
        self.run(self.engine.start())
        self.log = self.run(self.engine.open_log(LOG, epoch=self.epoch))

    @rule(
        payload_sizes=st.lists(PAYLOAD_SIZES, min_size=1, max_size=4),
        records=st.integers(1, 5),
        timestamp_ms=st.integers(0, 50),
    )
    def append(self, payload_sizes: list[int], records: int, timestamp_ms: int) -> None:
        """Appends a few batches in one call."""
        base_offset = next_offset = self.model.end_offset
        batches = []
        for size in payload_sizes:
            data = pack_batch(
                next_offset, bytes(size), records=records, max_timestamp_ms=timestamp_ms
            )
            last_offset = next_offset + records - 1
            batches.append(ModelBatch(next_offset, last_offset, timestamp_ms, data))
            next_offset += records
        pending = self._append_batches(batches, base_offset, next_offset, timestamp_ms)
        if pending is not None:
            self.waits.append(pending)
        self.model.batches += batches
        self.model.end_offset = next_offset

    def _append_batches(
        self, batches: list[ModelBatch], base_offset: int, next_offset: int, timestamp_ms: int
    ) -> Pending[None] | None:
        async def append() -> Pending[None] | None:
            return self.log.append(
                b"".join(batch.data for batch in batches),
                base_offset=base_offset,
                next_offset=next_offset,
                max_timestamp_ms=timestamp_ms,
            )

        return self.run(append())

    @rule()
    def wait(self) -> None:
        """Waits for everything to become durable."""

        async def wait() -> None:
            for pending in self.waits:
                await pending

        self.run(wait())
        self.waits.clear()
        assert self.log.durable_end_offset == self.model.end_offset

    @rule(at=FRACTION, max_bytes=st.integers(0, 40_000), before=st.floats(0, 1.2))
    def read(self, at: float, max_bytes: int, before: float) -> None:
        """Reads what the list says."""
        offset = self._offset(at)
        before_offset = int(before * self.model.end_offset)
        found = self.run(read(self.log, offset, max_bytes=max_bytes, before_offset=before_offset))
        assert found == self.model.read(offset, max_bytes, before_offset)

    @rule(max_bytes=st.integers(1, 20_000))
    def read_through(self, max_bytes: int) -> None:
        """Reads from the start to the end, as a consumer does."""
        offset = self.model.start_offset
        while offset < self.model.end_offset:
            found = self.run(read(self.log, offset, max_bytes=max_bytes))
            assert found == self.model.read(offset, max_bytes, self.model.end_offset)
            if not found:
                break  # the log was cut behind what a replacement has emptied
            offset = next(
                batch.last_offset + 1
                for batch in reversed(self.model.batches)
                if found.endswith(batch.data)
            )

    @rule(timestamp_ms=st.integers(0, 60))
    def find_timestamp(self, timestamp_ms: int) -> None:
        """Finds a place from which the list's first batch that is young enough is met."""
        found = self.run(self.log.find_timestamp(timestamp_ms))
        young = [batch for batch in self.model.readable() if batch.timestamp_ms >= timestamp_ms]
        if young:
            first = max(young[0].base_offset, self.model.start_offset)
            assert self.model.start_offset <= found <= first
        else:
            assert found == self.model.end_offset

    @rule(size_bytes=st.integers(100, 20_000), age_ms=st.integers(1, 60))
    def limit_segments(self, size_bytes: int, age_ms: int) -> None:
        """Ends extents earlier, or later."""
        self.log.limit_segments(SegmentLimits(size_bytes, age_ms))

    @rule()
    def extents(self) -> None:
        """Cuts the log where the engine would."""
        self.run(check_extents(self.log))
        for extent in self.run(self.log.extents()):
            stamps = [
                batch.timestamp_ms
                for batch in self.model.readable()
                if extent.base_offset <= batch.last_offset < extent.next_offset
            ]
            if stamps:
                assert max(stamps) <= extent.max_timestamp_ms
                if extent.base_offset > self.model.start_offset:
                    assert max(stamps) == extent.max_timestamp_ms

    @rule(at=FRACTION)
    def truncate_before(self, at: float) -> None:
        """Moves the start."""
        offset = self._offset(at)
        self.run(self.log.truncate_before(offset))
        self.model.start_offset = offset

    @rule(first=FRACTION, count=FRACTION, kept=st.integers(0, 2**16), payload_size=PAYLOAD_SIZES)
    def replace(self, first: float, count: float, kept: int, payload_size: int) -> None:
        """Replaces a range of extents by some of its batches and another one at its end."""
        extents = list(self.run(self.log.extents()))[:-1]
        if not extents:
            return
        at = int(first * (len(extents) - 1))
        end = at + 1 + int(count * (len(extents) - 1 - at))
        base_offset, next_offset = extents[at].base_offset, extents[end - 1].next_offset
        old = [
            batch
            for batch in self.model.readable()
            if base_offset <= batch.last_offset < next_offset
        ]
        new = [
            batch
            for number, batch in enumerate(old)
            if kept >> number % 16 & 1 and batch.last_offset < next_offset - 1
        ]
        data = pack_batch(next_offset - 1, bytes(payload_size), max_timestamp_ms=20)
        new.append(ModelBatch(next_offset - 1, next_offset - 1, 20, data))
        self.run(replace(self.log, base_offset, next_offset, *(batch.data for batch in new)))
        self.model.batches = [
            *(batch for batch in self.model.readable() if batch.last_offset < base_offset),
            *new,
            *(batch for batch in self.model.batches if batch.base_offset >= next_offset),
        ]

    @precondition(lambda self: self.model.readable())
    @rule(at=FRACTION)
    def truncate_after(self, at: float) -> None:
        """Cuts the end, at the start of a batch."""
        bases = [batch.base_offset for batch in self.model.readable()]
        offset = [*bases, self.model.end_offset][int(at * len(bases))]
        if offset < self.model.start_offset:
            offset = self.model.end_offset
        is_cut = offset < self.model.end_offset
        self.run(self.log.truncate_after(offset))
        self.model.batches = [batch for batch in self.model.batches if batch.base_offset < offset]
        self.model.end_offset = offset
        if self.model.snapshot is not None and self.model.snapshot[0] > offset:
            self.model.snapshot = None
        # Where nothing goes, what is not durable yet becomes so in its own time.
        assert self.log.durable_end_offset == offset or not is_cut

    @rule(at=FRACTION, snapshot=st.binary(max_size=100))
    def save_snapshot(self, at: float, snapshot: bytes) -> None:
        """Keeps a summary."""
        offset = self._offset(at)
        self.run(self.log.save_snapshot(offset, snapshot))
        self.model.snapshot = (offset, snapshot)

    @rule()
    def close_and_open(self) -> None:
        """The log is closed and opened again, with the same epoch."""
        self.run(self.log.close())
        self.log = self.run(self.engine.open_log(LOG, epoch=self.epoch))

    @rule()
    def take_over(self) -> None:
        """Somebody opens the log with a higher epoch."""
        self.epoch += 1
        self.log = self.run(self.engine.open_log(LOG, epoch=self.epoch))

    @rule()
    def delete(self) -> None:
        """The log is deleted and made anew."""
        self.run(self.engine.delete_log(LOG))
        self.model = ModelLog()
        self.waits.clear()
        self.log = self.run(self.engine.open_log(LOG, epoch=self.epoch))

    @precondition(lambda self: self.harness.survives_restart)
    @rule()
    def restart(self) -> None:
        """The engine is closed and a new one started over the same store."""
        self.run(self.engine.close())
        self.open()

    @invariant()
    def ends_agree(self) -> None:
        """What the log says of itself is what the list says."""
        if not hasattr(self, "log"):
            return
        model = self.model
        assert (self.log.start_offset, self.log.end_offset) == (
            model.start_offset,
            model.end_offset,
        )
        assert self.log.durable_end_offset <= model.end_offset
        assert self.log.size_bytes == sum(len(batch.data) for batch in model.readable())
        assert self.run(self.log.load_snapshot()) == model.snapshot
        for offset in (model.start_offset - 1, model.end_offset + 1):
            try:
                self.log.read_warm(offset, max_bytes=1, before_offset=offset + 1)
            except OffsetTruncated:
                continue
            message = f"offset {offset} can be read"
            raise AssertionError(message)

    def teardown(self) -> None:
        """The engine is closed, which must not fail."""
        if hasattr(self, "engine"):
            self.run(self.engine.close())
        self.runner.close()

    def _offset(self, at: float) -> int:
        start_offset, end_offset = self.model.start_offset, self.model.end_offset
        return start_offset + round(at * (end_offset - start_offset))
