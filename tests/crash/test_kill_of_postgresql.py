"""kill -9 of PostgreSQL, all its processes at once, while a broker over it is written to.

The broker lives on: producers wait or are refused, and go on when the server has recovered.
``test_kill_under_load`` says what is checked in the end.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from datacore.testing.broker_process import BrokerProcess
from tests.crash.load import (
    PARTITIONS,
    PRODUCERS,
    History,
    Producer,
    create_topic,
    read_along,
)
from tests.crash.test_kill_under_load import check, stored
from tests.storage.postgresql_server import PostgresqlServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 5 if os.environ.get("DATACORE_HYPOTHESIS") else 1
ACKNOWLEDGED_BETWEEN_KILLS = 200


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    with running_server() as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("flush_timeout_ms", [120_000, 300], ids=["patient", "impatient"])
def test_nothing_acknowledged_is_lost_and_the_broker_goes_on_when_postgresql_is_killed(
    server: PostgresqlServer, flush_timeout_ms: int
) -> None:
    history = History()
    settings: dict[str, Any] = {
        "postgresql_host": server.host,
        "postgresql_flush_timeout_ms": flush_timeout_ms,
    }
    with BrokerProcess(
        num_partitions=PARTITIONS, storage_engine="postgresql", **settings
    ) as broker:
        address, pid = (broker.host, broker.port), broker.pid
        create_topic(address)
        clients = [
            threading.Thread(
                target=Producer(n, history, idempotent=n % 2 == 0, is_patient=True).run,
                args=(address,),
            )
            for n in range(PRODUCERS)
        ]
        clients += [
            threading.Thread(target=read_along, args=(address, partition, history))
            for partition in range(PARTITIONS)
        ]
        for client in clients:
            client.start()
        for kill in range(KILLS + 1):
            history.enough.clear()
            history.kill_at = len(history.acknowledged) + ACKNOWLEDGED_BETWEEN_KILLS
            assert history.enough.wait(120), f"no acknowledgements after {kill} kills"
            if kill < KILLS:
                server.kill()
                server.start()
        assert broker.process.poll() is None
        assert broker.pid == pid
        broker.kill()
        for client in clients:
            client.join()
        broker.start()
        contents = stored((broker.host, broker.port))
    check(history, contents)
    print(f"{KILLS} kills, {len(history.acknowledged)} acknowledged, {len(contents)} stored")
