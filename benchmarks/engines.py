"""``python -m benchmarks.engines``: the engines beside each other and beside Apache Kafka's disk.

All sides take turns in one run, with the same client. Apache Kafka and the disk engine sync each
write with acks=all; PostgreSQL runs as it is delivered (fsync, full pages) with
``synchronous_commit=on``; the bucket is Versity's gateway over a folder. What the stores themselves
take is told beside it: bare creates of the gateway, and what a gigabyte of records costs in
requests, in the bucket and in the database. In the end each engine's broker is stopped, killed and
started again over a thousand partitions with a record each; ``--only-restarts`` measures that
alone. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import sys
import time
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import S3Store

from benchmarks.__main__ import machine
from benchmarks.bulk import SMALL_REQUESTS, consume_load, produce, produce_load
from benchmarks.load import Measured, Stage
from benchmarks.process_usage import cpu_time
from benchmarks.raw_loads import requests_load
from benchmarks.results import row_of, rows_table
from benchmarks.sides import Side, apache_kafka, datacore, has_java
from datacore.client.cluster import Cluster
from datacore.client.topics import create_topic
from datacore.testing.broker_process import BrokerProcess
from tests.storage.postgresql_server import running_server
from tests.storage.s3_server import BUCKET, KEY, SECRET
from tests.storage.versitygw import running_versitygw

if TYPE_CHECKING:
    from tests.storage.postgresql_server import PostgresqlServer
    from tests.storage.versitygw import Versitygw

RECORDS = 60_000
REQUESTS = 1_000
PUT_BYTES = 4 << 20
PUTS = 40
WRITTEN_PARTITIONS = 1_000
SMALL_PUTS = 200

LOADS = [
    produce_load(
        "produce 1 KB, 16 KB requests, 1 producer", count=RECORDS, settings=SMALL_REQUESTS
    ),
    produce_load(
        "produce 1 KB, 16 KB requests, 4 producers",
        count=RECORDS,
        producers=4,
        settings=SMALL_REQUESTS,
    ),
    requests_load("one small request in flight", connections=1, requests=REQUESTS),
    consume_load("consume warm", count=RECORDS, batch_bytes=16_384),
]


def main() -> None:
    """Runs the rounds and prints tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.engines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--divisor", type=int, default=1, help="makes every load smaller")
    parser.add_argument("--without-kafka", action="store_true")
    parser.add_argument("--only-restarts", action="store_true")
    parser.add_argument("--quick", action="store_true", help="whether it works: no figures")
    options = parser.parse_args()
    partitions = WRITTEN_PARTITIONS
    if options.quick:
        options.rounds, options.divisor, options.without_kafka = 1, 100, True
        partitions = 10
    print(machine(), end="\n\n")
    try:
        if not options.only_restarts:
            _measure_loads(options)
        _measure_restarts(options.rounds, partitions)
    except pytest.skip.Exception as missing:  # as the servers' fixtures tell it
        print(missing)
        if not options.quick:
            sys.exit(1)


def _measure_loads(options: argparse.Namespace) -> None:
    with (
        running_server(syncs=True) as postgresql,
        running_versitygw() as gateway,
        contextlib.ExitStack() as stack,
    ):
        bare = _bare_puts(gateway)
        before_bytes = _database_bytes(postgresql)
        on_postgresql = stack.enter_context(_over_postgresql(postgresql))
        on_s3 = stack.enter_context(_over_s3(gateway))
        sides = [stack.enter_context(datacore("flush"))]
        if has_java() and not options.without_kafka:
            sides.append(stack.enter_context(apache_kafka("flush")))
        sides += [_side("postgresql", on_postgresql), _side("s3", on_s3)]
        print(_compare(sides, options.rounds, options.divisor))
        runs = options.rounds + 1
        written_gb = ((2 * runs + 1) * RECORDS * 1024 + runs * REQUESTS * 200) / 1e9
        written_gb /= options.divisor
        on_s3.stop()
        print(f"Bare creates: {bare}\n")
        print(f"S3, for {written_gb:.2f} GB of values: {_cost_of_s3(on_s3, gateway, written_gb)}\n")
        stored = (_database_bytes(postgresql) - before_bytes) / 1e9
        print(f"PostgreSQL: {stored / written_gb:.2f} GB of database a GB of values\n")


def _measure_restarts(rounds: int, partitions: int) -> None:
    """Prints how soon a broker over many written partitions is ready again."""
    with running_server(syncs=True) as postgresql, running_versitygw() as gateway:
        for name, engine in [
            ("disk", BrokerProcess()),
            ("postgresql", _over_postgresql(postgresql)),
            ("s3", _over_s3(gateway)),
        ]:
            with engine as broker:
                produce(
                    _side(name, broker),
                    _new_topic(broker, partitions),
                    count=partitions,
                    value=b"written",
                    settings={},
                    partitions=partitions,
                )
                print(f"{partitions:,} partitions, {name}: {_restarts(broker, rounds)}")


def _new_topic(broker: BrokerProcess, partitions: int) -> str:
    with Cluster(broker.bootstrap_servers) as cluster:
        create_topic(cluster, "many", partitions=partitions, replication_factor=1)
    return "many"


def _restarts(broker: BrokerProcess, rounds: int) -> str:
    """Kills first: what was written then is in no summary."""
    took: dict[str, list[float]] = {"behind a kill": [], "stop": [], "behind a stop": []}
    broker.kill()
    for _ in range(rounds):
        broker.start()
        took["behind a kill"].append(broker.start_up_s)
        broker.kill()
    broker.start()
    for _ in range(rounds):
        began_s = time.perf_counter()
        broker.stop()
        took["stop"].append(time.perf_counter() - began_s)
        broker.start()
        took["behind a stop"].append(broker.start_up_s)
    used_s = cpu_time(broker.pid).total_s
    return ", ".join(
        [f"{name} {statistics.median(values):.2f} s" for name, values in took.items()]
        + [f"of which CPU {used_s:.2f} s"]
    )


def _compare(sides: list[Side], rounds: int, divisor: int) -> str:
    stages = {side.name: Stage(side, divisor, {}) for side in sides}
    rows = []
    for load in LOADS:
        runs: dict[str, list[Measured]] = {name: [] for name in stages}
        for round_ in range(rounds + 1):
            for name, stage in stages.items():
                measured = load.run(stage)
                if round_:  # the first one warms
                    runs[name].append(measured)
        rows.append(row_of(load, runs))
        print(f"  {load.name}: done", file=sys.stderr)
    return rows_table(rows)


def _side(engine: str, broker: BrokerProcess) -> Side:
    return Side(
        f"DataCore, {engine}",
        broker.bootstrap_servers,
        broker.pid,
        broker.start_up_s,
        broker.data_dir,
    )


def _over_postgresql(server: PostgresqlServer) -> BrokerProcess:
    return BrokerProcess(storage_engine="postgresql", postgresql_host=server.host)


def _over_s3(gateway: Versitygw) -> BrokerProcess:
    return BrokerProcess(
        storage_engine="s3",
        s3_endpoint=gateway.endpoint,
        s3_bucket=BUCKET,
        s3_access_key=KEY,
        s3_secret_key=SECRET,
    )


def _bare_puts(gateway: Versitygw) -> str:
    """What the gateway takes of one client that creates objects, one after the other."""
    store = S3Store(
        BUCKET,
        prefix="bare",
        endpoint=gateway.endpoint,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )

    def seconds(name: str, data: bytes, count: int) -> list[float]:
        took = []
        for at in range(count):
            started_s = time.perf_counter()
            obstore.put(store, f"{name}/{at}", data, mode="create", use_multipart=False)
            took.append(time.perf_counter() - started_s)
        return sorted(took)

    large = seconds("large", bytes(PUT_BYTES), PUTS)
    small = seconds("small", bytes(1024), SMALL_PUTS)
    return (
        f"{PUTS * PUT_BYTES / sum(large) / 1e6:.0f} MB/s in objects of 4 MiB; of 1 KB p50 "
        f"{statistics.median(small) * 1000:.2f} ms, p99 {small[len(small) * 99 // 100] * 1000:.2f}"
    )


def _cost_of_s3(broker: BrokerProcess, gateway: Versitygw, written_gb: float) -> str:
    """What the engine has said of its requests in the end, and what lies in the bucket."""
    lines = [line for line in broker.log().splitlines() if "requests" in line or "puts" in line]
    folder = gateway.folder / BUCKET
    stored = sum(
        (folder / key).stat().st_size for key in gateway.objects() if not key.startswith("bare/")
    )
    said = re.sub(r"^\S+ \S+ \S+ ", "", lines[-1]) if lines else "it said nothing"
    return f"{said}; {stored / 1e9 / written_gb:.2f} GB in the bucket a GB of values"


def _database_bytes(server: PostgresqlServer) -> int:
    return int(server.statement("select pg_database_size('datacore')"))


if __name__ == "__main__":
    main()
