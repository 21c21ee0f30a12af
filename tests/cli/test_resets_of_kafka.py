"""A reset of ours and one of ``kafka-consumer-groups`` come to the same offsets."""

import pytest

from datacore.client.cluster import Cluster
from datacore.client.group_offsets import alter_group_offsets
from datacore.client.producer import Producer
from datacore.client.subscription import TopicPartition
from datacore.client.topics import create_topic
from datacore.record.records import Record
from tests.cli.conftest import Command, Target
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = pytest.mark.compat

_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


@pytest.fixture
def group(cluster: Cluster, name: str) -> str:
    """A group that has read three of five records of one partition, and none of another."""
    # The records are of 1970: retention would delete them between one tool and the other.
    create_topic(cluster, name, partitions=2, configs={"retention.ms": "-1"})
    records = [Record(timestamp_ms=n * 1000, value=b"v") for n in range(1, 6)]
    Producer(cluster, name, partition=0).write(records)
    alter_group_offsets(cluster, name, {TopicPartition(name, 0): 3, TopicPartition(name, 1): 0})
    return name


@pytest.mark.parametrize(
    "strategy",
    [
        ["--to-earliest"],
        ["--to-latest"],
        ["--to-current"],
        ["--to-offset", "4"],
        ["--to-offset", "99"],
        ["--shift-by", "-2"],
        ["--shift-by", "-9"],
        ["--shift-by", "9"],
        ["--by-duration", "P9999D"],
        ["--by-duration", "PT1H30M"],
        ["--to-datetime", "1970-01-01T00:00:02.500"],
        ["--to-datetime", "1970-01-01T01:00:02.000+01:00"],
        ["--to-datetime", "2100-01-01T00:00:00.000Z"],
    ],
    ids=" ".join,
)
def test_every_strategy_comes_to_the_offsets_of_kafkas_tool(
    call: Command, target: Target, group: str, strategy: list[str]
) -> None:
    shared = ["--all-topics", *strategy, "--dry-run", "--export"]
    ours = call("group", "reset-offsets", group, *shared)
    server = ["--bootstrap-server", target.bootstrap]
    theirs = ApacheKafka("4.1.1").run_tool(
        _TOOL, *server, "--reset-offsets", "--group", group, *shared
    )
    assert ours.status == 0
    rows = [line.strip().replace('"', "") for line in theirs.splitlines() if line.count(",") == 2]
    assert sorted(ours.lines()) == sorted(rows)
