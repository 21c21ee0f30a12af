"""Each reads the other's files: `datacore log dump` Apache Kafka's, kafka-dump-log ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from datacore.cli.log_dump import log_dump
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.producer import Producer
from datacore.record.compression import Codec
from datacore.record.records import Record
from datacore.testing.broker import Broker
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = pytest.mark.compat

TOPIC = "dumped"
BATCHES = 60


def dumped(path: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(log_dump, [str(path), "-o", "json", "--deep"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def fill(bootstrap: str) -> None:
    """Segments that roll, with batches of an idempotent producer in every codec."""
    with Cluster(bootstrap) as cluster:
        admin.create_topic(cluster, TOPIC, partitions=1, configs={"segment.bytes": "1048576"})
        codecs = list(Codec)
        for number in range(BATCHES):
            producer = Producer(cluster, TOPIC, partition=0, codec=codecs[number % len(codecs)])
            value = b"%d" % number * 20_000
            producer.write([Record(0, 1000 + number, b"k", value, [("h", b"x")])] * 3)


@pytest.fixture(scope="module")
def kafka() -> ApacheKafka:
    return ApacheKafka("4.1.1")


def test_files_of_apache_kafka_are_read_without_a_problem(kafka: ApacheKafka) -> None:
    with kafka:
        fill(kafka.bootstrap)
        kafka.stop()
        [folder] = kafka.data_dir.rglob(f"{TOPIC}-0")
        batches = [entry for path in sorted(folder.glob("*.log")) for entry in dumped(path)]
        assert [batch["kind"] for batch in batches] == ["batch"] * BATCHES
        assert all(batch["is_crc_valid"] and batch["problem"] is None for batch in batches)
        assert sum(len(batch["records"]) for batch in batches) == 3 * BATCHES
        for suffix in ("index", "timeindex"):
            entries = [e for path in folder.glob(f"*.{suffix}") for e in dumped(path)]
            assert {entry["kind"] for entry in entries} <= {"offset", "timestamp", "tail"}
            assert any(entry["kind"] != "tail" for entry in entries)
            assert all(entry.get("problem") is None for entry in entries)
        producers = [e for path in folder.glob("*.snapshot") for e in dumped(path)]
        assert {entry["kind"] for entry in producers} == {"producer"}
        [epoch] = dumped(folder / "leader-epoch-checkpoint")
        assert (epoch["kind"], epoch["start_offset"]) == ("leader epoch", 0)


def test_kafka_dump_log_reads_our_files_and_finds_nothing_wrong(
    kafka: ApacheKafka, tmp_path: Path
) -> None:
    with Broker(storage_engine="disk", data_dir=tmp_path) as broker:
        fill(broker.bootstrap_servers)
    [folder] = (tmp_path / "logs").glob(f"{TOPIC}-0.*")
    logs = sorted(folder.glob("*.log"))
    tool = "kafka.tools.DumpLogSegments"
    shown = kafka.run_tool(tool, "--deep-iteration", "--files", ",".join(map(str, logs)))
    assert shown.count("isvalid: true") == BATCHES
    assert shown.count("| offset:") == 3 * BATCHES
    for suffix in ("index", "timeindex"):
        paths = [path for path in sorted(folder.glob(f"*.{suffix}")) if path.stat().st_size]
        assert paths
        said = kafka.run_tool(tool, "--files", ",".join(map(str, paths)))
        assert "Mismatches in" not in said
        assert "corrupt" not in said.lower()
