"""The S3 engine: the shared suites, and what is its own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from obstore.store import MemoryStore

from datacore.storage.s3.bucket import Bucket
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import S3Engine
from datacore.testing.engine_model import EngineModel
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite
from tests.storage.s3_server import BUCKET, KEY, SECRET

if TYPE_CHECKING:
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


async def trusted(_: Bucket) -> None:
    """In the place of the probe, which takes half a second of this server."""


class S3Model(EngineModel):
    def make_harness(self) -> EngineHarness:
        return StoreHarness(FORGETFUL)


def test_it_does_what_a_list_of_batches_would_do() -> None:
    run_state_machine_as_test(S3Model, settings=MODEL_SETTINGS)
