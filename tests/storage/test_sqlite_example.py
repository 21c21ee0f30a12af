"""The example of a fifth engine: the shared suites, a broker over it, and how short it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.producer import Producer
from datacore.config import load_config
from datacore.record.records import Record
from datacore.storage.engine import StorageError
from datacore.testing.broker_process import BrokerProcess
from datacore.testing.engine_harness import LOG, append, append_durably, on_loop, running
from datacore.testing.engine_suite import EngineSuite
from datacore.testing.replace_suite import ReplaceSuite
from examples import sqlite_engine
from examples.sqlite_engine import SqliteEngine

if TYPE_CHECKING:
    from datacore.storage.engine import Engine
    from datacore.testing.engine_harness import EngineHarness

LINES_MAX = 150
"""Of code: without blank lines, imports, and what explains."""


@dataclass(frozen=True, slots=True)
class SqliteHarness:
    folder: Path
    survives_restart: bool = True

    def __call__(self) -> Engine:
        flags = {"broker.data_dir": str(self.folder)}
        return cast("Engine", SqliteEngine(load_config(flags=flags)))


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return SqliteHarness(tmp_path)


class TestSqliteEngine(EngineSuite, ReplaceSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> EngineHarness:
        return SqliteHarness(tmp_path)


@on_loop
async def test_what_cannot_be_written_is_taken_back(harness: EngineHarness) -> None:
    async with running(harness) as engine:
        log = await engine.open_log(LOG, epoch=0)
        await append_durably(log, 10)
        assert isinstance(engine, SqliteEngine)
        engine._db.execute("pragma max_page_count = 1")
        with pytest.raises(StorageError, match="full"):
            await append_durably(log, 1 << 20)
        assert (log.end_offset, log.durable_end_offset) == (1, 1)
        with pytest.raises(StorageError, match="full"):
            append(log, 10)
    async with running(harness) as engine:
        assert (await engine.open_log(LOG, epoch=0)).end_offset == 1


def test_a_broker_is_told_of_it_by_module_and_factory(tmp_path: Path) -> None:
    engine = "examples.sqlite_engine:SqliteEngine"
    with BrokerProcess(storage_engine=engine, data_dir=str(tmp_path)) as broker:
        with Cluster(broker.bootstrap_servers) as cluster:
            admin.create_topic(cluster, "orders")
            Producer(cluster, "orders", partition=0).write([Record(0, 0, None, b"value", [])])
        broker.kill()
        broker.start()
        with Cluster(broker.bootstrap_servers) as cluster:
            [end] = admin.list_offsets(cluster, "orders", admin.LATEST)
            assert end.offset == 1


def test_it_is_short() -> None:
    source = Path(sqlite_engine.__file__).read_text(encoding="utf-8")
    code = source.partition("WAITING_BYTES_MAX")[2]
    assert len([line for line in code.splitlines() if line.strip()]) < LINES_MAX
