"""The S3 engine behind a network that loses requests and answers: HTTP, not a double."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from datacore.storage.s3.engine import S3Engine
from datacore.testing.engine_harness import LOG, OTHER_LOG, append_durably, on_loop, read
from datacore.testing.engine_model import EngineModel
from tests.storage.s3_orphans import orphans, sweep_all
from tests.storage.s3_proxy import Trouble, running_proxy
from tests.storage.test_s3 import RestlessEngine, config_of, trusted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.storage.s3.config import S3Config
    from datacore.testing.engine_harness import EngineHarness
    from tests.storage.s3_proxy import S3Proxy
    from tests.storage.s3_server import S3Server

EXAMPLES = 60 if os.environ.get("DATACORE_HYPOTHESIS") else 4


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    with running_proxy(s3_server.endpoint, rate=0.2) as proxy:
        yield proxy


@pytest.fixture
def config(s3_server: S3Server, proxy: S3Proxy) -> S3Config:
    return replace(
        config_of(s3_server),
        endpoint=proxy.endpoint,
        cache_bytes=1 << 20,
        flush_bytes=64 * 1024,
    )


@on_loop
async def test_everything_that_was_acknowledged_is_there_once_behind_a_bad_network(
    proxy: S3Proxy, config: S3Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.bucket.RETRY_DELAY_S", 0.01)
    data = dict.fromkeys((LOG, OTHER_LOG), b"")
    for epoch in range(2):
        engine = S3Engine(config)
        await engine.start()
        for name in data:
            opened = await engine.open_log(name, epoch=epoch)
            for _ in range(6):
                data[name] += await append_durably(opened, 10, 2000)
        await engine.rewriter.run()
        for name in data:
            log = engine._logs.get(name)
            assert log is not None
            assert await read(log, 0) == data[name]
        await engine.close()
    assert set(proxy.met) >= set(Trouble) - {Trouble.PARTIAL_LIST}
    proxy.rate = 0
    engine = S3Engine(config)
    await engine.start()
    for name in data:
        assert await read(await engine.open_log(name, epoch=3), 0) == data[name]
    await sweep_all(engine)
    assert {each.key for each in await orphans(engine.bucket)} == {engine.liveness.key}
    await engine.close()


@dataclass(frozen=True, slots=True)
class NetworkHarness:
    """Engines behind the proxy that put everything in order all the time."""

    config: S3Config
    survives_restart: bool = True

    def __call__(self) -> S3Engine:
        return RestlessEngine(self.config)


@pytest.mark.timeout(900)
def test_behind_a_bad_network_it_does_what_a_list_of_batches_would_do(
    s3_server: S3Server,
    proxy: S3Proxy,
    config: S3Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("datacore.storage.s3.bucket.RETRY_DELAY_S", 0)
    monkeypatch.setattr("datacore.storage.s3.journal.RETRY_DELAY_MIN_S", 0)
    monkeypatch.setattr("datacore.storage.s3.engine.probe", trusted)

    class NetworkModel(EngineModel):
        def make_harness(self) -> EngineHarness:
            prefix = config_of(s3_server).prefix
            return NetworkHarness(replace(config, prefix=prefix))

    run_state_machine_as_test(
        NetworkModel,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert sum(proxy.met.values()) > 20


@on_loop
async def test_a_create_whose_answer_was_lost_is_settled_by_its_own_id(
    proxy: S3Proxy, config: S3Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.engine.probe", trusted)
    monkeypatch.setattr("datacore.storage.s3.engine.INTERVAL_S", 3600)  # no second sign of life
    proxy.rate = 0
    engine = S3Engine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    number = engine.journal.state.number
    proxy.only, proxy.rate = Trouble.CUT_AFTER, 1
    data = await asyncio.wait_for(append_durably(log, 100), 20)
    proxy.rate = 0
    assert proxy.met[Trouble.CUT_AFTER] > 0
    assert engine.journal.state.number == number + 1, "it was written once"
    assert engine.bucket.requests.puts == 1 + 1 + 1, "the sign of life, the opening, the append"
    assert await read(log, 0) == data
    await engine.close()


@on_loop
async def test_a_create_that_arrives_after_its_sender_gave_up_changes_nothing(
    s3_server: S3Server, config: S3Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.engine.probe", trusted)
    with running_proxy(s3_server.endpoint, rate=0, stall_s=1) as proxy:
        engine = S3Engine(replace(config, endpoint=proxy.endpoint, request_timeout_s=0.5))
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        number = engine.journal.state.number
        proxy.only, proxy.rate = Trouble.STALL, 1
        data = await append_durably(log, 100)
        proxy.rate = 0
        data += await append_durably(log, 200)
        assert engine.journal.state.number == number + 2
        assert await read(log, 0) == data
        await engine.close()
    engine = S3Engine(replace(config, endpoint=s3_server.endpoint))
    await engine.start()
    assert await read(await engine.open_log(LOG, epoch=0), 0) == data
    await engine.close()
