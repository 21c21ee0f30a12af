"""The PostgreSQL engine: the shared suite, and what is its own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from datacore.storage.engine import SegmentLimits
from datacore.storage.postgresql.config import PostgresqlConfig
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import (
    LOG,
    append_durably,
    check_extents,
    on_loop,
    read,
    running,
)
from datacore.testing.engine_model import EngineModel
from datacore.testing.engine_suite import EngineSuite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacore.testing.engine_harness import EngineHarness
    from tests.storage.postgresql_server import PostgresqlServer


MODEL_SETTINGS = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(frozen=True, slots=True)
class PostgresqlHarness:
    config: PostgresqlConfig
    survives_restart: bool = True

    def __call__(self) -> PostgresqlEngine:
        return PostgresqlEngine(self.config)


def config_of(server: PostgresqlServer) -> PostgresqlConfig:
    """A schema that nobody else has."""
    return PostgresqlConfig(host=server.host, schema=f"test_{uuid.uuid4().hex}")


class TestPostgresqlEngine(EngineSuite):
    @pytest.fixture
    def harness(self, postgresql_server: PostgresqlServer) -> EngineHarness:
        return PostgresqlHarness(config_of(postgresql_server))


class TestPostgresqlEngineThatForgetsAtOnce(EngineSuite):
    """Next to nothing is cached, so that reads ask the database; rounds are small."""

    @pytest.fixture
    def harness(self, postgresql_server: PostgresqlServer) -> EngineHarness:
        config = replace(config_of(postgresql_server), cache_bytes=1 << 20, flush_bytes=64 * 1024)
        return PostgresqlHarness(config)


class PostgresqlModel(EngineModel):
    """Small rounds and hardly a cache, each example in a schema of its own."""

    server: PostgresqlServer

    def make_harness(self) -> EngineHarness:
        return PostgresqlHarness(
            replace(config_of(self.server), cache_bytes=1 << 20, flush_bytes=64 * 1024)
        )


def test_it_does_what_a_list_of_batches_would_do(postgresql_server: PostgresqlServer) -> None:
    PostgresqlModel.server = postgresql_server
    run_state_machine_as_test(PostgresqlModel, settings=MODEL_SETTINGS)


@on_loop
async def test_a_log_cut_where_compaction_left_nothing_before_goes_on_and_can_be_read(
    postgresql_server: PostgresqlServer,
) -> None:
    async def replacing() -> AsyncIterator[bytes]:
        yield pack_batch(1, b"kept")

    async with running(PostgresqlHarness(config_of(postgresql_server))) as engine:
        log = await engine.open_log(LOG, epoch=0)
        log.limit_segments(SegmentLimits(size_bytes=200, age_ms=1 << 40))
        await append_durably(log, 10, 10, 200)
        await log.replace(0, 2, replacing())
        await log.truncate_after(1)
        assert await read(log, 0) == b""
        data = await append_durably(log, 20)
        assert await read(log, 0) == data
        await check_extents(log)
