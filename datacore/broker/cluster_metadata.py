"""The cluster's metadata: changes become records of ``__cluster_metadata``, and only then true.

Rules:

- A change is validated, appended, awaited and applied under one lock, so the image never shows what
  a crash could take back.
- When the log has grown by ``growth_bytes_max``, the image is written behind it as records of its
  own, and the log then begins with them. A crash on the way leaves the changes, and perhaps a part
  of the image behind them, which says what they have said (``metadata/summary.py``).

Kafka's counterpart is the quorum controller, whose images are files of their own.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from datacore.broker.internal_log import append_records, replay
from datacore.log.config import LogConfig
from datacore.log.error_codes import kafka_error
from datacore.log.partition_log import PartitionLog
from datacore.metadata.image import ClusterImage
from datacore.metadata.records import decode_record, encode_record
from datacore.metadata.summary import image_records
from datacore.protocol.errors import KafkaError
from datacore.storage.engine import LogName, SegmentLimits, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datacore.metadata.records import MetadataRecord
    from datacore.storage.engine import Engine

logger = logging.getLogger("datacore.broker")

METADATA_LOG: Final = LogName("__cluster_metadata-0")

EXTENT_BYTES: Final = 8 << 20
"""What is behind the log's start keeps at most so much room: an engine frees whole extents."""

RECORDS_AT_ONCE: Final = 200
"""Of an image that is written: a few milliseconds of the event loop."""

_NEVER_MS: Final = 2**62


class ClusterMetadata:
    """The image, and the one way to change it."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        self.image = ClusterImage()
        self.lock = anyio.Lock()
        """Held by whoever checks the image and then commits a change that relies on it."""
        self._engine = engine
        self._now_ms = now_ms
        self._log: PartitionLog | None = None
        self.growth_bytes_max = 20 << 20
        """Of changes, before the log is summed up
        (``metadata.log.max.record.bytes.between.snapshots``)."""
        self._summed_bytes = 0
        """What the log's size was when it held the image alone."""

    @property
    def log_end_offset(self) -> int:
        """Where the log ends."""
        assert self._log is not None
        return self._log.log_end_offset

    @property
    def high_watermark(self) -> int:
        """Where what is durable ends: it grows with each change."""
        assert self._log is not None
        return self._log.high_watermark

    @property
    def leader_epoch(self) -> int:
        """The epoch that the log is written in."""
        assert self._log is not None
        return self._log.leader_epoch

    async def start(self) -> None:
        """Replays the log."""
        engine_log = await self._engine.open_log(METADATA_LOG, epoch=0)
        config = LogConfig(segments=SegmentLimits(EXTENT_BYTES, _NEVER_MS))
        self._log = await PartitionLog.open(engine_log, config, leader_epoch=0)
        async for record in replay(self._log):
            if record.value is not None:
                self.image.apply(decode_record(record.value))

    async def commit(self, records: Sequence[MetadataRecord]) -> None:
        """Makes changes durable, all or none, then true. The caller holds ``lock``.

        Raises:
            KafkaError: The engine failed; nothing has changed.
        """
        assert self._log is not None
        await self._log.recover()
        await self._write(self._log, records)
        for record in records:
            self.image.apply(record)
        if self._log.size_bytes - self._summed_bytes > self.growth_bytes_max:
            await self._sum_up(self._log)

    async def _write(self, log: PartitionLog, records: Sequence[MetadataRecord]) -> None:
        values = [(None, encode_record(record)) for record in records]
        durable = append_records(log, values, self._now_ms())
        if durable is not None:
            try:
                await durable
            except StorageError as error:
                raise kafka_error(error) from error

    async def _sum_up(self, log: PartitionLog) -> None:
        """Lets the log begin with the image; where the engine cannot, the log goes on growing."""
        start_offset = log.log_end_offset
        records = image_records(self.image)
        try:
            while some := list(itertools.islice(records, RECORDS_AT_ONCE)):
                await self._write(log, some)
                await checkpoint()
            await log.move_start(start_offset)
        except KafkaError as error:
            logger.warning("The cluster's metadata cannot be summed up: %s", error.message)
        self._summed_bytes = log.size_bytes  # what has failed is tried again a growth later

    async def close(self) -> None:
        """Lets go of the log."""
        if self._log is not None:
            await self._log.close()
