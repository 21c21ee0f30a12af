"""The cluster's metadata: changes become records of ``__cluster_metadata``, and only then true.

A change is validated, appended, awaited and applied under one lock, so the image never shows what
a crash could take back. Kafka's counterpart is the quorum controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from datacore.broker.internal_log import append_records, replay
from datacore.log.config import LogConfig
from datacore.log.error_codes import kafka_error
from datacore.log.partition_log import PartitionLog
from datacore.metadata.image import ClusterImage
from datacore.metadata.records import decode_record, encode_record
from datacore.storage.engine import LogName, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datacore.metadata.records import MetadataRecord
    from datacore.storage.engine import Engine

METADATA_LOG: Final = LogName("__cluster_metadata-0")


class ClusterMetadata:
    """The image, and the one way to change it."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        self.image = ClusterImage()
        self.lock = anyio.Lock()
        """Held by whoever checks the image and then commits a change that relies on it."""
        self._engine = engine
        self._now_ms = now_ms
        self._log: PartitionLog | None = None

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
        self._log = await PartitionLog.open(engine_log, LogConfig(), leader_epoch=0)
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
        values = [(None, encode_record(record)) for record in records]
        durable = append_records(self._log, values, self._now_ms())
        if durable is not None:
            try:
                await durable
            except StorageError as error:
                raise kafka_error(error) from error
        for record in records:
            self.image.apply(record)

    async def close(self) -> None:
        """Lets go of the log."""
        if self._log is not None:
            await self._log.close()
