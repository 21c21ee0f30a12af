"""A process that takes a log away from whoever has it, appends, and says what was acknowledged.

Arguments: the server, the prefix, the first epoch (odd or even, so that two never ask for the same
one), and how often. It prints ``<offset> <payload>`` for each append that was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys

from datacore.storage.engine import Fenced
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG
from tests.storage.s3_server import BUCKET, KEY, SECRET

APPENDS = 3


async def fight(endpoint: str, prefix: str, epoch: int, times: int) -> None:
    engine = S3Engine(
        S3Config(endpoint=endpoint, bucket=BUCKET, prefix=prefix, access_key=KEY, secret_key=SECRET)
    )
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
    asyncio.run(fight(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
