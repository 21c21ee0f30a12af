"""The S3 engine: the shared suites, and what is its own."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from obstore.store import MemoryStore

from datacore.storage.s3.bucket import Bucket
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.storage.s3.rewrite import SMALL_PIECES_JOINED
from datacore.storage.s3.sweep import sweep
from datacore.testing.engine_harness import (
    LOG,
    OTHER_LOG,
    append_durably,
    on_loop,
    read,
    running,
)
from datacore.testing.engine_model import EngineModel
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite
from tests.storage.s3_server import BUCKET, KEY, SECRET
from tests.storage.versitygw import running_versitygw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.testing.engine_harness import EngineHarness
    from tests.storage.s3_server import S3Server


MODEL_SETTINGS = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FORGETFUL = S3Config(cache_bytes=1 << 20, flush_bytes=64 * 1024)
"""Next to nothing is cached, so that reads ask the bucket; rounds are small."""


@dataclass(frozen=True, slots=True)
class StoreHarness:
    """Engines over a bucket in this process's memory, which orders creates as a server should."""

    config: S3Config = field(default_factory=S3Config)
    objects: MemoryStore = field(default_factory=MemoryStore)
    survives_restart: bool = True

    def bucket(self) -> Bucket:
        return Bucket(self.objects, "cluster", "memory of the test")

    def __call__(self) -> S3Engine:
        return S3Engine(self.config, self.bucket())


class TestS3Engine(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self) -> EngineHarness:
        return StoreHarness()


class TestS3EngineThatForgetsAtOnce(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self) -> EngineHarness:
        return StoreHarness(FORGETFUL)


class RestlessEngine(S3Engine):
    """It puts everything in order all the time."""

    restless: asyncio.Task[None] | None = None

    async def _keep_in_order(self) -> None:
        self.restless = self._tasks[1]
        while True:
            await asyncio.sleep(0)
            await self.rewriter.run()

    async def close(self) -> None:
        await super().close()
        if self.restless is not None:
            assert self.restless.cancelled(), self.restless.exception()


@dataclass(frozen=True, slots=True)
class RestlessHarness(StoreHarness):
    def __call__(self) -> S3Engine:
        return RestlessEngine(self.config, self.bucket())


class TestS3EngineThatIsAlwaysPuttingInOrder(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self) -> EngineHarness:
        return RestlessHarness(FORGETFUL)


@dataclass(frozen=True, slots=True)
class ServerHarness:
    """Engines over a server."""

    config: S3Config
    survives_restart: bool = True

    def __call__(self) -> S3Engine:
        return S3Engine(self.config)


def config_of(server: S3Server) -> S3Config:
    """A prefix that nobody else has."""
    return S3Config(
        endpoint=server.endpoint,
        bucket=BUCKET,
        prefix=f"test/{uuid.uuid4().hex}",
        access_key=KEY,
        secret_key=SECRET,
    )


class TestS3EngineOverItsProtocol(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> EngineHarness:
        monkeypatch.setattr("datacore.storage.s3.engine.probe", trusted)
        return ServerHarness(config_of(s3_server))


@pytest.fixture(scope="module")
def versitygw() -> Iterator[str]:
    with running_versitygw() as gateway:
        yield gateway.endpoint


@pytest.mark.slow
class TestS3EngineOverVersitysGateway(EngineSuite, ReplaceSuite):
    """With the probe, and with a file system behind it."""

    @pytest.fixture
    def harness(self, s3_server: S3Server, versitygw: str) -> EngineHarness:
        return ServerHarness(replace(config_of(s3_server), endpoint=versitygw))


async def trusted(_: Bucket) -> None:
    """In the place of the probe, which takes half a second of this server."""


class S3Model(EngineModel):
    def make_harness(self) -> EngineHarness:
        return StoreHarness(FORGETFUL)


class RestlessModel(EngineModel):
    def make_harness(self) -> EngineHarness:
        return RestlessHarness(FORGETFUL)


@pytest.mark.parametrize("model", [S3Model, RestlessModel])
def test_it_does_what_a_list_of_batches_would_do(model: type[EngineModel]) -> None:
    run_state_machine_as_test(model, settings=MODEL_SETTINGS)


async def keys_of(engine: S3Engine, prefix: str) -> list[str]:
    return [each.key for each in await engine.bucket.list(prefix)]


@on_loop
async def test_what_rounds_have_written_is_put_in_order_and_what_they_were_is_deleted() -> None:
    harness = StoreHarness(FORGETFUL)
    engine = harness()
    await engine.start()
    large = await engine.open_log(LOG, epoch=0)
    small = await engine.open_log(OTHER_LOG, epoch=0)
    of_large = b"".join([await append_durably(large, 100_000) for _ in range(30)])
    of_small = b"".join([await append_durably(small, 10) for _ in range(3)])
    await engine.rewriter.run()
    state = engine.journal.state
    assert [len(log.pieces) for log in state.logs.values()] == [3, 1]
    assert not any(key.startswith("wal/") for key in state.referenced())
    await engine.close()

    engine = harness()
    await engine.start()
    assert len(await keys_of(engine, "wal/")) > 30
    await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=0)
    assert await keys_of(engine, "wal/") == []
    assert len(await keys_of(engine, "state/")) == 1
    assert set(await keys_of(engine, "")) >= engine.journal.state.referenced()
    assert await read(await engine.open_log(LOG, epoch=0), 0) == of_large
    small = await engine.open_log(OTHER_LOG, epoch=0)
    assert await read(small, 0) == of_small
    await append_durably(small, 10)
    await small.truncate_before(4)
    await engine.delete_log(LOG)
    await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=0)
    assert await keys_of(engine, "logs/") == await keys_of(engine, "mixed/") == []
    await engine.close()


@on_loop
async def test_small_pieces_of_a_slow_log_are_joined_in_the_end() -> None:
    async with running(StoreHarness(FORGETFUL)) as engine:
        assert isinstance(engine, S3Engine)
        log = await engine.open_log(LOG, epoch=0)
        data = b""
        for _ in range(SMALL_PIECES_JOINED):
            data += await append_durably(log, 10)
            await engine.rewriter.run()
        assert [len(log.pieces) for log in engine.journal.state.logs.values()] == [1]
        assert await read(log, 0) == data
