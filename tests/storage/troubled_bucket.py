"""A bucket whose requests go wrong on demand, for tests of the S3 engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.chunked.store import Unavailable
from datacore.storage.s3.bucket import Bucket, Listed
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from obstore.store import MemoryStore

    from tests.storage.test_s3 import StoreHarness

IMPATIENT = S3Config(flush_timeout_s=0.2)


class TroubledBucket(Bucket):
    """A bucket whose requests go wrong on demand."""

    def __init__(self, objects: MemoryStore) -> None:
        super().__init__(objects, "cluster", "memory of the test")
        self.loses_answers = 0
        """So many creates are done, and then nobody hears of it."""
        self.refuses_creates = False
        self.refuses_reads = False
        self.list_lacks = ""
        self.before_create: Callable[[], Awaitable[None]] | None = None
        self.before_read: Callable[[], Awaitable[None]] | None = None
        self.after_read: Callable[[], Awaitable[None]] | None = None

    async def create(self, key: str, data: bytes) -> bool:
        meanwhile, self.before_create = self.before_create, None
        if meanwhile is not None:
            await meanwhile()
        if self.refuses_creates:
            message = "the test has cut the connection"
            raise Unavailable(message)
        won = await super().create(key, data)
        if self.loses_answers:
            self.loses_answers -= 1
            message = "the test has lost the answer"
            raise Unavailable(message)
        return won

    async def get_range(self, key: str, start: int, size: int) -> bytes | None:
        if self.refuses_reads:
            message = "the test has cut the connection"
            raise Unavailable(message)
        meanwhile, self.before_read = self.before_read, None
        if meanwhile is not None:
            await meanwhile()
        data = await super().get_range(key, start, size)
        meanwhile, self.after_read = self.after_read, None
        if meanwhile is not None:
            await meanwhile()
        return data

    async def list(self, prefix: str = "") -> list[Listed]:
        listed = await super().list(prefix)
        return [each for each in listed if not self.list_lacks or self.list_lacks not in each.key]


def troubled(
    harness: StoreHarness, config: S3Config = IMPATIENT
) -> tuple[S3Engine, TroubledBucket]:
    bucket = TroubledBucket(harness.objects)
    return S3Engine(config, bucket), bucket
