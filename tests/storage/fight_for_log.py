"""A process that takes a log away from whoever has it, appends, and says what was acknowledged.

Arguments: an engine, its settings as JSON, the first epoch (odd or even, so that two never ask for
the same one), and how often. It prints ``<offset> <payload>`` for each acknowledged append.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from datacore.storage.engine import Fenced
from datacore.storage.postgresql.config import PostgresqlConfig
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG

if TYPE_CHECKING:
    from datacore.storage.engine import Engine

APPENDS = 3


def engine_of(kind: str, settings: dict[str, Any]) -> Engine:
    """An engine over a store that others use, too."""
    if kind == "s3":
        return S3Engine(S3Config(**settings))
    return PostgresqlEngine(PostgresqlConfig(**settings))


async def fight(engine: Engine, epoch: int, times: int) -> None:
    name = f"fighter-{epoch}"
    await engine.start()
    for time in range(times):
        while True:
            epoch += 2
            try:
                log = await engine.open_log(LOG, epoch=epoch)
            except Fenced:
                continue
            break
        for at in range(APPENDS):
            offset = log.end_offset
            payload = f"{name}-{time}-{at}"
            try:
                pending = log.append(
                    pack_batch(offset, payload.encode()),
                    base_offset=offset,
                    next_offset=offset + 1,
                    max_timestamp_ms=0,
                )
                assert pending is not None
                await pending
            except Fenced:
                break
            print(offset, payload, flush=True)
    await engine.close()


if __name__ == "__main__":
    asyncio.run(
        fight(engine_of(sys.argv[1], json.loads(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]))
    )
