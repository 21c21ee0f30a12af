"""``datacore topic``: create, list, describe, alter (partitions), delete."""

import uuid

import click

from datacore._generated.errors import ErrorCode
from datacore.cli.failure import Mistake
from datacore.cli.listing import Output, Row, output_option, show
from datacore.cli.session import with_cluster
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.protocol.errors import KafkaError


@click.group()
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command()
@click.argument("name")
@click.option("--partitions", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--replication-factor", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--config", "configs", multiple=True, metavar="NAME=VALUE", help="A topic setting.")
@click.option("--if-not-exists", is_flag=True, help="An existing topic is fine as it is.")
@with_cluster
def create(
    cluster: Cluster,
    *,
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    configs: tuple[str, ...],
    if_not_exists: bool,
) -> None:
    """Create the topic NAME."""
    try:
        admin.create_topic(
            cluster,
            name,
            partitions=partitions or -1,
            replication_factor=replication_factor or -1,
            configs=dict(_setting(config) for config in configs),
        )
    except KafkaError as error:
        if not (if_not_exists and error.code == ErrorCode.TOPIC_ALREADY_EXISTS):
            raise
        click.echo(f"Topic {name} exists.")
    else:
        click.echo(f"Created topic {name}.")


@topic.command(name="list")
@click.option("--internal", is_flag=True, help="Also those that brokers keep for themselves.")
@output_option
@with_cluster
def list_(cluster: Cluster, *, internal: bool, output: Output) -> None:
    """List all topics."""
    rows = [
        {
            "topic": each.name,
            "partitions": len(each.partitions),
            "replicas": max((len(p.replica_nodes) for p in each.partitions), default=0),
            "internal": each.is_internal,
        }
        for each in admin.list_topics(cluster)
        if internal or not each.is_internal
    ]
    show(rows, ["topic", "partitions", "replicas", "internal"], output)


@topic.command()
@click.argument("name")
@output_option
@with_cluster
def describe(cluster: Cluster, *, name: str, output: Output) -> None:
    """Show the partitions of the topic NAME: leader, replicas, offsets."""
    found = cluster.retrying(lambda: cluster.topic(name))
    first = {
        each.partition: each.offset for each in admin.list_offsets(cluster, name, admin.EARLIEST)
    }
    last = {each.partition: each.offset for each in admin.list_offsets(cluster, name, admin.LATEST)}
    rows: list[Row] = [
        {
            "topic": name,
            "topic_id": str(uuid.UUID(bytes=bytes(found.topic_id))),
            "partition": each.partition_index,
            "leader": each.leader_id,
            "leader_epoch": each.leader_epoch,
            "replicas": each.replica_nodes,
            "in_sync": each.isr_nodes,
            "first_offset": first[each.partition_index],
            "next_offset": last[each.partition_index],
        }
        for each in sorted(found.partitions, key=lambda each: each.partition_index)
    ]
    columns = ["partition", "leader", "leader_epoch", "replicas", "in_sync"]
    columns += ["first_offset", "next_offset"]
    if output == "json":
        columns = ["topic", "topic_id", *columns]
    else:
        click.echo(f"Topic {name}, id {rows[0]['topic_id']}" if rows else f"Topic {name}")
    show(rows, columns, output)


@topic.command()
@click.argument("name")
@click.option("--partitions", required=True, type=click.IntRange(min=1), help="The new number.")
@with_cluster
def alter(cluster: Cluster, *, name: str, partitions: int) -> None:
    """Give the topic NAME more partitions."""
    admin.create_partitions(cluster, name, partitions)
    click.echo(f"Topic {name} has {partitions} partitions.")


@topic.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--if-exists", is_flag=True, help="A topic that does not exist is fine.")
@with_cluster
def delete(cluster: Cluster, *, names: tuple[str, ...], if_exists: bool) -> None:
    """Delete topics with everything in them."""
    for name in names:
        try:
            admin.delete_topic(cluster, name)
        except KafkaError as error:
            if not (if_exists and error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
                raise
            click.echo(f"Topic {name} does not exist.")
        else:
            click.echo(f"Deleted topic {name}.")


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise Mistake(f"--config: expected NAME=VALUE, got {text!r}")
    return name, value
