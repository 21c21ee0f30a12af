"""``datacore cluster``, ``offset``, ``records`` and ``partition``."""

from pathlib import Path

import pytest

from datacore._generated.api_keys import ApiKey
from datacore.client.cluster import Cluster
from datacore.client.producer import Producer
from datacore.client.topics import create_topic
from datacore.record.records import Record
from tests.cli.command import datacore
from tests.cli.conftest import Command, Target


@pytest.fixture
def topic(cluster: Cluster, name: str) -> str:
    """A topic of two partitions with three records in the first one."""
    # The records are of 1970: retention would delete them in a long run.
    create_topic(cluster, name, partitions=2, configs={"retention.ms": "-1"})
    Producer(cluster, name, partition=0).write([Record(timestamp_ms=1, value=b"v")] * 3)
    return name


def test_the_command_itself_shows_a_table(target: Target) -> None:
    environment = {"DATACORE_BOOTSTRAP_SERVER": target.bootstrap}
    done = datacore("cluster", "describe", environment=environment)
    heading, row = (line.split() for line in done.lines())
    assert heading == ["CLUSTER", "ID", "BROKER", "HOST", "PORT", "RACK", "CONTROLLER", "FENCED"]
    assert row[1:] == ["1", *target.bootstrap.split(":"), "-", "yes", "no"]


def test_keys_of_brokers_and_apis_are_the_documented_ones(call: Command, target: Target) -> None:
    (broker,) = call("cluster", "describe", "--include-fenced-brokers", "-o", "json").json()
    assert broker.pop("cluster_id")
    assert broker == {
        "broker": 1,
        "host": "127.0.0.1",
        "port": int(target.bootstrap.split(":")[1]),
        "rack": None,
        "controller": True,
        "fenced": False,
    }
    apis = call("cluster", "apis", "-o", "json").json()
    assert {"api": "CreateTopics", "key": 19}.items() <= apis[
        [each["key"] for each in apis].index(19)
    ].items()


def test_features_and_the_quorum_are_told(call: Command, target: Target) -> None:
    target.needs(ApiKey.DESCRIBE_QUORUM, ApiKey.UPDATE_FEATURES)
    features = call("cluster", "features", "-o", "json").json()
    assert features[0].keys() == {"feature", "supported_min", "supported_max", "finalized"}
    assert "metadata.version" in {each["feature"] for each in features}
    (node,) = call("cluster", "quorum", "-o", "json").json()
    assert (node["node"], node["role"], node["lag"], node["last_fetch_ms"]) == (
        1,
        "leader",
        0,
        None,
    )
    level = next(f["finalized"] for f in features if f["feature"] == "metadata.version")
    assert call("cluster", "update-features", "--feature", "group.version=x").status == 2
    same = f"metadata.version={level}"
    done = call("cluster", "update-features", "--feature", same, "--dry-run")
    assert (done.status, done.out) == (0, f"Feature metadata.version could be at level {level}.\n")
    unknown = call("cluster", "update-features", "--feature", "no.such=1")
    assert (unknown.status, unknown.err.startswith("Error: ")) == (1, True)


def test_log_directories_show_what_replicas_take(call: Command, target: Target, topic: str) -> None:
    target.needs(ApiKey.DESCRIBE_LOG_DIRS)
    (folder,) = call("cluster", "log-dirs", "--broker", "1", "-o", "json").json()
    assert folder.keys() == {
        *("broker", "log_dir", "partitions", "size_bytes", "total_bytes", "usable_bytes"),
    }
    replicas = call("cluster", "log-dirs", "--partitions", "--topic", topic, "-o", "json").json()
    assert [(each["topic"], each["partition"]) for each in replicas] == [(topic, 0), (topic, 1)]
    assert replicas[0]["size_bytes"] > replicas[1]["size_bytes"]
    assert (replicas[0]["offset_lag"], replicas[0]["future"]) == (0, False)


def test_a_broker_that_was_never_registered_cannot_be_unregistered(
    call: Command, target: Target
) -> None:
    target.needs(ApiKey.UNREGISTER_BROKER)
    done = call("cluster", "unregister-broker", "77")
    assert done.status == 1


def test_health_counts_apis_and_brokers(call: Command, target: Target) -> None:
    done = call("health")
    assert done.out == (
        f"{target.bootstrap} is healthy: {len(target.apis)} APIs, 1 broker(s) in its cluster.\n"
    )


@pytest.mark.usefixtures("topic")
def test_health_of_partitions_counts_them(call: Command) -> None:
    done = call("health", "--partitions")
    assert (done.status, "partition(s) with a leader each.\n" in done.out) == (0, True)


def test_offsets_are_listed_for_topics_and_for_some_of_their_partitions(
    call: Command, topic: str
) -> None:
    def listed(*arguments: str) -> list[tuple[int, int | None]]:
        found = call("offset", "list", *arguments, "-o", "json").json()
        return [(each["partition"], each["offset"]) for each in found if each["topic"] == topic]

    assert listed() == [(0, 3), (1, 0)]
    assert listed("--topic", f"{topic}:1") == [(1, 0)]
    assert listed("--topic", topic, "--partition", "0", "--time", "earliest") == [(0, 0)]
    assert listed("--topic", topic, "--time", "max-timestamp") == [(0, 0), (1, None)]
    assert listed("--topic", topic, "--isolation-level", "read_committed") == [(0, 3), (1, 0)]
    missing = call("offset", "list", "--topic", f"{topic}:7")
    assert (missing.status, missing.err) == (
        1,
        f"Error: topic {topic} has no partition 7: it has 2\n",
    )
    assert call("offset", "list", "--partition", "1").status == 2


def test_records_before_an_offset_are_deleted(call: Command, topic: str, tmp_path: Path) -> None:
    done = call("records", "delete", "--topic", f"{topic}:0", "--before", "2", "-o", "json")
    assert done.json() == [{"topic": topic, "partition": 0, "low_watermark": 2}]
    file = tmp_path / "offsets.json"
    file.write_text(f'{{"partitions": [{{"topic": "{topic}", "partition": 0, "offset": -1}}]}}')
    done = call("records", "delete", "--offset-json-file", str(file), "-o", "json")
    assert done.json()[0]["low_watermark"] == 3
    beyond = call("records", "delete", "--topic", f"{topic}:0", "--before", "9")
    assert (beyond.status, beyond.err.split(":")[1]) == (1, " OFFSET_OUT_OF_RANGE")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"partitions": []}',
        '{"version": 2, "partitions": []}',
        '{"partitions": [{"topic": "t", "partition": 0}]}',
        '{"partitions": [%s, %s]}' % (('{"topic": "t", "partition": 0, "offset": 1}',) * 2),
    ],
)
def test_a_file_that_names_no_offsets_is_status_2(
    call: Command, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "offsets.json"
    file.write_text(content)
    assert call("records", "delete", "--offset-json-file", str(file)).status == 2


def test_what_records_to_delete_must_be_said_whole(call: Command) -> None:
    for arguments in ([], ["--topic", "t"], ["--before", "1"], ["--topic", "t", "--before", "x"]):
        assert call("records", "delete", *arguments).status in {1, 2}


def test_partitions_are_moved_and_leaders_elected(
    call: Command, target: Target, topic: str, tmp_path: Path
) -> None:
    target.needs(
        ApiKey.ALTER_PARTITION_REASSIGNMENTS,
        ApiKey.LIST_PARTITION_REASSIGNMENTS,
        ApiKey.ELECT_LEADERS,
    )
    file = tmp_path / "moves.json"
    file.write_text(f'{{"partitions": [{{"topic": "{topic}", "partition": 0, "replicas": [1]}}]}}')
    reassign = ["partition", "reassign", "--reassignment-json-file", str(file)]
    done = call(*reassign)
    assert (done.status, done.out) == (0, f"Began to move {topic}-0.\n")
    assert call("partition", "list-reassignments", "-o", "json").json() == []
    cancelled = call(*reassign, "--cancel")
    assert (cancelled.status, cancelled.err.split(":")[1]) == (1, " NO_REASSIGNMENT_IN_PROGRESS")
    elected = call("partition", "elect-leaders", "--topic", f"{topic}:0")
    assert (elected.status, elected.out) == (0, f"{topic}-0 has this leader already.\n")
    every = call("partition", "elect-leaders", "--all-topic-partitions")
    assert every.out == "All other partitions have this leader already.\n"
    assert call("partition", "elect-leaders").status == 2
    file.write_text(f'{{"partitions": [{{"topic": "{topic}", "partition": 0}}]}}')
    assert call(*reassign).status == 2
    by_file = call("partition", "elect-leaders", "--path-to-json-file", str(file))
    assert by_file.out == f"{topic}-0 has this leader already.\n"


@pytest.mark.parametrize(
    "content",
    [
        '{"partitions": [{"topic": "t", "partition": 0, "replicas": [1], "log_dirs": ["/x"]}]}',
        '{"partitions": [{"topic": "t", "partition": 0, "replicas": [1], "colour": 1}]}',
        '{"version": 2, "partitions": []}',
        "[]",
    ],
)
def test_a_reassignment_that_would_be_done_in_part_is_status_2(
    call: Command, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "moves.json"
    file.write_text(content)
    assert call("partition", "reassign", "--reassignment-json-file", str(file)).status == 2
