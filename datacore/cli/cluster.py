"""``datacore cluster``: brokers, APIs, features, quorum, log directories; and ``datacore health``.

Kafka's counterparts: ``kafka-cluster``, ``kafka-broker-api-versions``, ``kafka-features``,
``kafka-metadata-quorum``, ``kafka-log-dirs``.
"""

import click

from datacore._generated.api_keys import API_NAMES
from datacore._generated.describe_quorum import ReplicaState
from datacore.cli.failure import Failure, Mistake
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.session import with_cluster
from datacore.cli.wording import setting
from datacore.client.brokers import (
    UpgradeType,
    describe_cluster,
    describe_features,
    describe_log_dirs,
    describe_quorum,
    unregister_broker,
    update_features,
)
from datacore.client.cluster import Cluster

_BROKERS = Listing(
    {
        "cluster_id": "The cluster's id.",
        "broker": "The broker's id.",
        "host": "Where clients reach it.",
        "port": "Likewise.",
        "rack": "Its rack; null where it has none.",
        "controller": "Whether it answers administration.",
        "fenced": "Whether it is registered and does not serve.",
    }
)
_APIS = Listing(
    {
        "api": "The API's name; unknown where this client does not know it.",
        "key": "Its number.",
        "min_version": "The lowest version that the broker serves.",
        "max_version": "The highest one.",
    }
)
_FEATURES = Listing(
    {
        "feature": "Its name.",
        "supported_min": "The lowest level that the broker supports.",
        "supported_max": "The highest one.",
        "finalized": "The level in force; 0 where it is off.",
    }
)
_QUORUM = Listing(
    {
        "node": "The node's id.",
        "role": "leader, voter or observer.",
        "leader_epoch": "The epoch of the leader.",
        "high_watermark": "Up to where the log of metadata is committed.",
        "log_end_offset": "Up to where the node has it.",
        "lag": "How much the node is behind the leader.",
        "last_fetch_ms": "When it last fetched; null for the leader.",
        "last_caught_up_ms": "When it last had all; null for the leader.",
    },
    times=["last_fetch_ms", "last_caught_up_ms"],
)
_LOG_DIRS = Listing(
    {
        "broker": "The broker's id.",
        "log_dir": "The folder.",
        "partitions": "How many replicas it holds.",
        "size_bytes": "What they take together.",
        "total_bytes": "Size of the file system; null where the broker does not tell.",
        "usable_bytes": "What is left of it; likewise.",
    },
    when="without `--partitions`",
)
_REPLICAS = Listing(
    {
        "broker": "The broker's id.",
        "log_dir": "The folder.",
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "size_bytes": "What it takes.",
        "offset_lag": "How many records it is behind.",
        "future": "Whether it is being moved here from another folder.",
    },
    when="`--partitions`",
)
_DOWNGRADES = {"safe": UpgradeType.SAFE_DOWNGRADE, "unsafe": UpgradeType.UNSAFE_DOWNGRADE}


@click.group()
def cluster() -> None:
    """The brokers of a cluster."""


@cluster.command()
@click.option("--include-fenced-brokers", is_flag=True, help="Also those that do not serve.")
@output_option(_BROKERS)
@with_cluster
def describe(cluster: Cluster, *, include_fenced_brokers: bool, output: Output) -> None:
    """List the brokers, and which of them is the controller."""
    found = describe_cluster(cluster, fenced=include_fenced_brokers)
    rows: list[Row] = [
        {
            "cluster_id": found.cluster_id,
            "broker": broker.node_id,
            "host": broker.host,
            "port": broker.port,
            "rack": broker.rack,
            "controller": broker.node_id == found.controller_id,
            "fenced": broker.is_fenced,
        }
        for broker in found.brokers
    ]
    _BROKERS.show(rows, output)


@cluster.command()
@output_option(_APIS)
@with_cluster
def apis(cluster: Cluster, *, output: Output) -> None:
    """List the APIs that a broker serves, and their versions."""
    rows: list[Row] = [
        {
            "api": API_NAMES.get(key, "unknown"),
            "key": key,
            "min_version": lowest,
            "max_version": highest,
        }
        for key, (lowest, highest) in sorted(cluster.any_broker().versions().items())
    ]
    _APIS.show(rows, output)


@cluster.command()
@output_option(_FEATURES)
@with_cluster
def features(cluster: Cluster, *, output: Output) -> None:
    """List features and the levels in force."""
    rows: list[Row] = [
        {
            "feature": each.name,
            "supported_min": each.supported_min,
            "supported_max": each.supported_max,
            "finalized": each.finalized,
        }
        for each in describe_features(cluster)
    ]
    _FEATURES.show(rows, output)


@cluster.command(name="update-features")
@click.option(
    "--feature", "wished", multiple=True, required=True, metavar="NAME=LEVEL", help="0: off."
)
@click.option(
    "--downgrade",
    type=click.Choice(list(_DOWNGRADES)),
    help="Let levels fall; unsafe: even where metadata is lost.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, say what would happen.")
@with_cluster
def update_features_(
    cluster: Cluster, *, wished: tuple[str, ...], downgrade: str | None, dry_run: bool
) -> None:
    """Raise features to other levels, all of them or none."""
    levels: dict[str, int] = {}
    for name, level in (setting("--feature", each) for each in wished):
        if not level.isascii() or not level.isdigit():
            raise Mistake(f"--feature: expected NAME=LEVEL, got {name}={level}")
        levels[name] = int(level)
    way = _DOWNGRADES[downgrade] if downgrade else UpgradeType.UPGRADE
    update_features(cluster, levels, upgrade_type=way, validate_only=dry_run)
    would = "could be" if dry_run else "is"
    for feature, number in levels.items():
        click.echo(f"Feature {feature} {would} at level {number}.")


@cluster.command()
@output_option(_QUORUM)
@with_cluster
def quorum(cluster: Cluster, *, output: Output) -> None:
    """List the nodes that keep the log of metadata."""
    found = describe_quorum(cluster)
    nodes = [
        *(("voter", each) for each in found.current_voters),
        *(("observer", each) for each in found.observers),
    ]
    end = max(
        (each.log_end_offset for _, each in nodes if each.replica_id == found.leader_id),
        default=found.high_watermark,
    )

    def row(role: str, each: ReplicaState) -> Row:
        is_leader = each.replica_id == found.leader_id
        return {
            "node": each.replica_id,
            "role": "leader" if is_leader else role,
            "leader_epoch": found.leader_epoch,
            "high_watermark": found.high_watermark,
            "log_end_offset": each.log_end_offset,
            "lag": end - each.log_end_offset,
            "last_fetch_ms": None if is_leader else _time(each.last_fetch_timestamp),
            "last_caught_up_ms": None if is_leader else _time(each.last_caught_up_timestamp),
        }

    _QUORUM.show([row(role, each) for role, each in nodes], output)


def _time(timestamp_ms: int) -> int | None:
    return timestamp_ms if timestamp_ms >= 0 else None


@cluster.command(name="log-dirs")
@click.option("--broker", "brokers", type=click.IntRange(min=0), multiple=True, help="Only its.")
@click.option("--topic", "topics", multiple=True, help="Only replicas of this one.")
@click.option("--partitions", is_flag=True, help="List replicas instead of folders.")
@output_option(_LOG_DIRS, _REPLICAS)
@with_cluster
def log_dirs(
    cluster: Cluster,
    *,
    brokers: tuple[int, ...],
    topics: tuple[str, ...],
    partitions: bool,
    output: Output,
) -> None:
    """List the folders that brokers keep logs in, and what they take."""
    found = describe_log_dirs(cluster, brokers, topics)
    if partitions:
        _REPLICAS.show(
            (
                {
                    "broker": each.broker,
                    "log_dir": each.log_dir,
                    "topic": each.topic,
                    "partition": each.partition,
                    "size_bytes": each.size_bytes,
                    "offset_lag": each.offset_lag,
                    "future": each.is_future,
                }
                for log_dir in found
                for each in log_dir.replicas
            ),
            output,
        )
        return
    _LOG_DIRS.show(
        (
            {
                "broker": each.broker,
                "log_dir": each.path,
                "partitions": len(each.replicas),
                "size_bytes": sum(replica.size_bytes for replica in each.replicas),
                "total_bytes": each.total_bytes,
                "usable_bytes": each.usable_bytes,
            }
            for each in found
        ),
        output,
    )


@cluster.command(name="unregister-broker")
@click.argument("broker", type=click.IntRange(min=0), metavar="ID")
@with_cluster
def unregister_broker_(cluster: Cluster, *, broker: int) -> None:
    """Take the broker of this ID, which will not come back, off the cluster's books."""
    unregister_broker(cluster, broker)
    click.echo(f"Broker {broker} is no longer registered.")


@click.command()
@click.option("--partitions", is_flag=True, help="Also look at every partition: has it a leader?")
@with_cluster
def health(cluster: Cluster, *, partitions: bool) -> None:
    """Exit with status 0 when a broker answers ApiVersions and Metadata, else with 1."""
    connection = cluster.any_broker()
    apis = len(connection.versions())
    found = cluster.metadata(None if partitions else ())
    every = [partition for topic in found.topics for partition in topic.partitions]
    if leaderless := sum(partition.leader_id < 0 for partition in every):
        raise Failure(
            f"{leaderless} of {len(every)} partition(s) have no leader: "
            "`datacore topic describe --unavailable-partitions` shows them"
        )
    counted = f", {len(every)} partition(s) with a leader each" if partitions else ""
    click.echo(
        f"{connection.address} is healthy: {apis} APIs, "
        f"{len(found.brokers)} broker(s) in its cluster{counted}."
    )
