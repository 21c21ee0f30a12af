"""What an S3 engine says of a bucket that it cannot use, and that it then leaves nothing there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from datacore.storage.engine import StorageError
from datacore.storage.s3.engine import S3Engine
from datacore.testing.engine_harness import on_loop
from tests.storage.s3_server import running_s3_server
from tests.storage.test_s3 import StoreHarness, config_of, keys_of
from tests.storage.troubled_bucket import IMPATIENT, TroubledBucket

if TYPE_CHECKING:
    from tests.storage.s3_server import S3Server


@pytest.fixture
def harness() -> StoreHarness:
    return StoreHarness()


class RacyBucket(TroubledBucket):
    """It looks first and stores afterwards, as some servers do."""

    async def create(self, key: str, data: bytes) -> bool:
        if await self.get(key) is not None:
            return False
        await asyncio.sleep(0)
        await self.put(key, data)
        return True


@on_loop
async def test_a_server_that_races_is_refused(harness: StoreHarness) -> None:
    engine = S3Engine(IMPATIENT, RacyBucket(harness.objects))
    with pytest.raises(StorageError, match="conditional creates"):
        await engine.start()
    assert await keys_of(engine, "") == []


@on_loop
async def test_a_server_that_ignores_conditions_is_refused() -> None:
    with (
        running_s3_server(ignores_conditions=True) as server,
        pytest.raises(StorageError, match="let 16 succeed"),
    ):
        await S3Engine(config_of(server)).start()


@on_loop
async def test_a_server_that_orders_creates_is_trusted(s3_server: S3Server) -> None:
    engine = S3Engine(config_of(s3_server))
    await engine.start()
    await engine.close()
    assert engine.bucket.requests.puts > 160


ENDS_AT_ONCE = """
import asyncio
from obstore.store import MemoryStore
from datacore.storage.s3.bucket import Bucket

async def main():
    bucket = Bucket(MemoryStore(), "", "memory")
    await asyncio.gather(*(bucket.create(str(number), b"x") for number in range(16)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_process_that_ends_right_after_its_last_request_ends_well() -> None:
    for _ in range(30):
        subprocess.run([sys.executable, "-c", ENDS_AT_ONCE], check=True, timeout=30)
