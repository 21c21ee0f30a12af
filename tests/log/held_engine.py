"""An engine log whose durability the test decides: appends wait until ``flush`` or ``fail``.

With ``holds`` off, everything is durable at once, as in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.engine import LogExtent, OffsetTruncated, StorageError
from datacore.storage.pending import Pending
from datacore.wire.batch_header import BATCH_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.storage.engine import LogName, SegmentLimits
    from datacore.wire.buffer import Buffer


class HeldLog:
    """Batches in a list; what lies behind ``durable_end_offset`` can be lost."""

    def __init__(self, name: LogName) -> None:
        self.name = name
        self.start_offset = 0
        self.durable_end_offset = 0
        self.batches: list[tuple[int, int, bytes]] = []
        self.snapshot: tuple[int, bytes] | None = None
        self.refuses_appends = False
        self.refuses_truncation = False
        self.holds = True
        self._round: Pending[None] | None = None

    @property
    def end_offset(self) -> int:
        return self.batches[-1][1] if self.batches else 0

    @property
    def size_bytes(self) -> int:
        return sum(len(data) for _, _, data in self.batches)

    def append(
        self, data: Buffer, *, base_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Pending[None] | None:
        del max_timestamp_ms
        if self.refuses_appends:
            raise StorageError("No space left on device.")
        assert base_offset == self.end_offset
        self.batches.append((base_offset, next_offset, bytes(data)))
        if not self.holds:
            self.flush()
            return None
        if self._round is None:
            self._round = Pending()
        return self._round

    def flush(self) -> None:
        """The device says that everything is safe."""
        self.durable_end_offset = self.end_offset
        self._settle(None)

    def fail(self) -> None:
        """The device lost what was not yet safe."""
        durable = self.durable_end_offset
        self.batches = [batch for batch in self.batches if batch[1] <= durable]
        self._settle(StorageError("Input/output error."))

    def _settle(self, error: StorageError | None) -> None:
        settled, self._round = self._round, None
        if settled is not None:
            if error is None:
                settled.resolve(None)
            else:
                settled.fail(error)

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        if not self.start_offset <= offset <= self.end_offset:
            raise OffsetTruncated(f"{offset} is not in the log.")
        result: list[Buffer] = []
        size = 0
        for base, next_offset, data in self.batches:
            if next_offset > offset and base < before_offset:
                if result and size + len(data) > max_bytes:
                    break
                result.append(data)
                size += len(data)
        return result

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        return self.read_warm(offset, max_bytes=max_bytes, before_offset=before_offset) or []

    async def find_timestamp(self, timestamp_ms: int) -> int:
        for base, _, data in self.batches:
            if BATCH_HEADER.unpack_from(data)[8] >= timestamp_ms:
                return base
        return self.end_offset

    def limit_segments(self, limits: SegmentLimits) -> None:
        """Each append is an extent of its own."""

    async def extents(self) -> list[LogExtent]:
        return [
            LogExtent(base, next_offset, len(data), BATCH_HEADER.unpack_from(data)[8])
            for base, next_offset, data in self.batches
            if base >= self.start_offset
        ]

    async def truncate_before(self, offset: int) -> None:
        if self.refuses_truncation:
            raise StorageError("Input/output error.")
        self.start_offset = max(self.start_offset, offset)

    async def truncate_after(self, offset: int) -> None:
        self.batches = [batch for batch in self.batches if batch[0] < offset]

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        raise NotImplementedError

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        self.snapshot = offset, snapshot

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        return self.snapshot

    async def close(self) -> None:
        self.flush()
