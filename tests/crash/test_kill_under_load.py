"""kill -9 of the broker while it is written to and read from, and a checker of what came of it.

Several producers send batches with acks=all, some of them idempotent, and note what was
acknowledged; readers note what they saw. The broker is killed in full flow and started again on
the same data, many times. In the end every partition is read from its start, and:

- what was acknowledged stands at the offset that it was acknowledged at;
- what a reader has seen stands where it was seen;
- offsets have no holes, and none was acknowledged for two different records.
"""

from __future__ import annotations

import os
import random
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from datacore.client.connection import Connection
from datacore.testing.broker_process import BrokerProcess
from tests.crash.load import (
    PARTITIONS,
    PRODUCERS,
    History,
    Place,
    Producer,
    create_topic,
    fetch,
    read_along,
    records_of,
)

if TYPE_CHECKING:
    from tests.storage.postgresql_server import PostgresqlServer

KILLS_QUICK = 3
KILLS_THOROUGH = 20
ACKNOWLEDGED_BETWEEN_KILLS = (50, 600)


def stored(address: tuple[str, int]) -> dict[Place, bytes]:
    """Everything in the topic, read from the start; asserts that offsets have no holes."""
    contents: dict[Place, bytes] = {}
    with Connection(*address) as connection:
        for partition in range(PARTITIONS):
            offset = 0
            while records := records_of(fetch(connection, partition, offset), offset):
                for record in records:
                    assert record.offset == offset, f"a hole before {record.offset}"
                    contents[partition, offset] = record.value or b""
                    offset += 1
    return contents


def check(history: History, contents: dict[Place, bytes]) -> None:
    """Holds what clients were told against what is there."""
    assert history.contradictions == []
    lost = {place for place, value in history.acknowledged.items() if contents.get(place) != value}
    assert lost == set(), f"{len(lost)} of {len(history.acknowledged)} acknowledged records"
    unseen = {place for place, value in history.seen.items() if contents.get(place) != value}
    assert unseen == set(), "a reader saw what is no longer there"


@pytest.fixture(params=["disk", "postgresql"])
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a broker is told of its engine; S3 has a file of its own."""
    if request.param == "disk":
        return {}
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return {
        "storage_engine": "postgresql",
        "postgresql_host": server.host,
        "postgresql_schema": f"kill_{uuid.uuid4().hex}",
    }


@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_and_no_offset_is_given_twice_when_the_broker_is_killed(
    engine: dict[str, Any],
) -> None:
    kill_under_load(
        engine, KILLS_THOROUGH if os.environ.get("DATACORE_HYPOTHESIS") else KILLS_QUICK
    )


def kill_under_load(engine: dict[str, Any], kills: int) -> None:
    """Kills a broker so often, and asserts what the module says."""
    chance = random.Random(20261121)
    history = History()
    producers = [Producer(n, history, idempotent=n % 2 == 0) for n in range(PRODUCERS)]
    with BrokerProcess(num_partitions=PARTITIONS, **engine) as broker:
        create_topic((broker.host, broker.port))
        for _ in range(kills):
            history.enough.clear()
            history.kill_at = len(history.acknowledged) + chance.randint(
                *ACKNOWLEDGED_BETWEEN_KILLS
            )
            address = (broker.host, broker.port)
            clients = [
                threading.Thread(target=producer.run, args=(address,)) for producer in producers
            ]
            clients += [
                threading.Thread(target=read_along, args=(address, partition, history))
                for partition in range(PARTITIONS)
            ]
            for client in clients:
                client.start()
            assert history.enough.wait(60), "the producers got too few acknowledgements"
            broker.kill()
            for client in clients:
                client.join()
            broker.start()
        contents = stored((broker.host, broker.port))
    check(history, contents)
    print(f"{kills} kills, {len(history.acknowledged)} acknowledged, {len(contents)} stored")


@pytest.mark.parametrize("sync", [True, False])
def test_a_clean_stop_and_start_keeps_everything(*, sync: bool) -> None:
    history = History(kill_at=200)
    with BrokerProcess(num_partitions=PARTITIONS, disk_sync=sync) as broker:
        address = (broker.host, broker.port)
        create_topic(address)
        client = threading.Thread(target=Producer(0, history, idempotent=True).run, args=(address,))
        client.start()
        assert history.enough.wait(60)
        assert broker.stop() == 0
        client.join()
        broker.start()
        contents = stored((broker.host, broker.port))
    assert contents.items() >= history.acknowledged.items()
