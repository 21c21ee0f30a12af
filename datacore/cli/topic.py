"""``datacore topic``: create, list, describe, alter, delete. Kafka's: ``kafka-topics``."""

import uuid
from typing import Final

import click

from datacore._generated.errors import ErrorCode
from datacore._generated.metadata import MetadataResponsePartition, MetadataResponseTopic
from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.session import for_each, with_cluster
from datacore.cli.topic_choice import matching_topics
from datacore.cli.wording import assignment, names, setting
from datacore.client.cluster import Cluster
from datacore.client.configs import (
    Alteration,
    Operation,
    ResourceType,
    alter_configs,
    describe_configs,
)
from datacore.client.offsets import EARLIEST, LATEST, PartitionOffset, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.client.topics import (
    create_partitions,
    create_topic,
    delete_topic,
    delete_topic_by_id,
    describe_topics,
)
from datacore.protocol.errors import KafkaError

_OWN: Final = 1
"""Source of a setting that the topic itself was given."""

_TOPICS = Listing(
    {
        "topic": "Its name.",
        "topic_id": "Its id, a UUID.",
        "partitions": "How many it has.",
        "replicas": "How many copies its partitions have, the largest number.",
        "internal": "Whether brokers keep it for themselves.",
    },
    only_json=["topic_id"],
)
_PARTITIONS = Listing(
    {
        "topic": "The topic's name.",
        "topic_id": "The topic's id, a UUID.",
        "partition": "The partition's number.",
        "leader": "Id of the broker that leads it; null where none does.",
        "leader_epoch": "How often its leader has changed.",
        "replicas": "Ids of the brokers that hold it, the preferred leader first.",
        "in_sync": "Ids of those that have all of it.",
        "first_offset": "Offset of its first record; null without a leader.",
        "next_offset": "Offset that its next record will have; null without a leader.",
    },
    only_json=["topic_id"],
)


@click.group()
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command()
@click.argument("topics", nargs=-1, required=True, metavar="NAME...")
@click.option("--partitions", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--replication-factor", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option(
    "--replica-assignment",
    metavar="1:2,2:3",
    help="The brokers of each partition, instead of the two numbers.",
)
@click.option("--config", "configs", multiple=True, metavar="NAME=VALUE", help="A topic setting.")
@click.option("--if-not-exists", is_flag=True, help="An existing topic is fine as it is.")
@click.option("--validate-only", is_flag=True, help="Create nothing, say what would happen.")
@with_cluster
def create(
    cluster: Cluster,
    *,
    topics: tuple[str, ...],
    partitions: int | None,
    replication_factor: int | None,
    replica_assignment: str | None,
    configs: tuple[str, ...],
    if_not_exists: bool,
    validate_only: bool,
) -> None:
    """Create topics of these names."""
    if replica_assignment and (partitions or replication_factor):
        raise Mistake("--replica-assignment: expected no --partitions, --replication-factor")
    replicas = assignment("--replica-assignment", replica_assignment) if replica_assignment else []
    wished = dict(setting("--config", config) for config in configs)

    def create_one(name: str) -> str:
        try:
            create_topic(
                cluster,
                name,
                partitions=partitions or -1,
                replication_factor=replication_factor or -1,
                assignment=replicas,
                configs=wished,
                validate_only=validate_only,
            )
        except KafkaError as error:
            if not (if_not_exists and error.code == ErrorCode.TOPIC_ALREADY_EXISTS):
                raise
            return f"Topic {name} exists."
        return f"Topic {name} could be created." if validate_only else f"Created topic {name}."

    for_each(topics, create_one)


@topic.command(name="list")
@click.option("--topic", "pattern", metavar="REGEX", help="Those whose whole name matches.")
@click.option("--internal", is_flag=True, help="Also those that brokers keep for themselves.")
@output_option(_TOPICS)
@with_cluster
def list_(cluster: Cluster, *, pattern: str | None, internal: bool, output: Output) -> None:
    """List topics."""
    rows = [
        {
            "topic": each.name,
            "topic_id": str(uuid.UUID(bytes=bytes(each.topic_id))),
            "partitions": len(each.partitions),
            "replicas": max((len(p.replica_nodes) for p in each.partitions), default=0),
            "internal": each.is_internal,
        }
        for each in matching_topics(cluster, "--topic", pattern, internal=internal)
    ]
    _TOPICS.show(rows, output)


@topic.command()
@click.argument("topics", nargs=-1, metavar="[NAME...]", shell_complete=completing.topics)
@click.option(
    "--under-replicated-partitions", is_flag=True, help="Those with a replica that lags behind."
)
@click.option("--unavailable-partitions", is_flag=True, help="Those without a leader.")
@click.option("--internal", is_flag=True, help="Also topics that brokers keep for themselves.")
@output_option(_PARTITIONS)
@with_cluster
def describe(
    cluster: Cluster,
    *,
    topics: tuple[str, ...],
    under_replicated_partitions: bool,
    unavailable_partitions: bool,
    internal: bool,
    output: Output,
) -> None:
    """Show partitions: leader, replicas, offsets. Without a NAME, those of all topics."""
    wanted = topics or [
        each.name or "" for each in matching_topics(cluster, "", None, internal=internal)
    ]
    found = describe_topics(cluster, list(dict.fromkeys(wanted))) if wanted else []
    shown = [
        (each, partition)
        for each in found
        for partition in each.partitions
        if not (under_replicated_partitions or unavailable_partitions)
        or (under_replicated_partitions and _is_under_replicated(partition))
        or (unavailable_partitions and partition.leader_id < 0)
    ]
    led = [
        TopicPartition(each.name or "", partition.partition_index)
        for each, partition in shown
        if partition.leader_id >= 0
    ]
    first = find_offsets(cluster, led, EARLIEST) if led else {}
    last = find_offsets(cluster, led, LATEST) if led else {}
    if output == "table" and len(topics) == 1:
        click.echo(_heading(cluster, found[0]))
    _PARTITIONS.show([_row(each, partition, first, last) for each, partition in shown], output)


def _heading(cluster: Cluster, found: MetadataResponseTopic) -> str:
    """Id and own settings of a topic, as far as one may see them."""
    parts = [f"Topic {found.name}", f"id {uuid.UUID(bytes=bytes(found.topic_id))}"]
    try:
        configs = describe_configs(cluster, ResourceType.TOPIC, found.name or "")
    except KafkaError as error:
        if error.code != ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            raise
        configs = []
    parts += (f"{each.name}={each.value}" for each in configs if each.config_source == _OWN)
    return ", ".join(parts)


def _is_under_replicated(partition: MetadataResponsePartition) -> bool:
    return len(partition.isr_nodes) < len(partition.replica_nodes)


def _row(
    found: MetadataResponseTopic,
    partition: MetadataResponsePartition,
    first: dict[TopicPartition, PartitionOffset],
    last: dict[TopicPartition, PartitionOffset],
) -> Row:
    where = TopicPartition(found.name or "", partition.partition_index)
    return {
        "topic": where.topic,
        "topic_id": str(uuid.UUID(bytes=bytes(found.topic_id))),
        "partition": where.partition,
        "leader": partition.leader_id if partition.leader_id >= 0 else None,
        "leader_epoch": partition.leader_epoch,
        "replicas": partition.replica_nodes,
        "in_sync": partition.isr_nodes,
        "first_offset": first[where].offset if where in first else None,
        "next_offset": last[where].offset if where in last else None,
    }


@topic.command()
@click.argument("name", shell_complete=completing.topics)
@click.option("--partitions", type=click.IntRange(min=1), help="The new number.")
@click.option(
    "--replica-assignment",
    metavar="1:2,2:3",
    help="The brokers of each new partition; needs --partitions.",
)
@click.option("--config", "configs", multiple=True, metavar="NAME=VALUE", help="A setting to set.")
@click.option(
    "--delete-config",
    "deleted",
    multiple=True,
    metavar="NAME,...",
    help="Settings to give back to their default.",
)
@click.option("--validate-only", is_flag=True, help="Change nothing, say what would happen.")
@with_cluster
def alter(
    cluster: Cluster,
    *,
    name: str,
    partitions: int | None,
    replica_assignment: str | None,
    configs: tuple[str, ...],
    deleted: tuple[str, ...],
    validate_only: bool,
) -> None:
    """Give the topic NAME more partitions, or other settings."""
    if partitions is None and not configs and not deleted:
        raise Mistake("expected --partitions, --config or --delete-config")
    if replica_assignment is not None and partitions is None:
        raise Mistake("--replica-assignment: expected --partitions beside it")
    alterations = [
        Alteration(k, Operation.SET, v) for k, v in (setting("--config", c) for c in configs)
    ]
    alterations += [
        Alteration(each, Operation.DELETE) for each in names("--delete-config", deleted)
    ]
    new = assignment("--replica-assignment", replica_assignment) if replica_assignment else None
    would = "would have" if validate_only else "has"
    if alterations:
        alter_configs(cluster, ResourceType.TOPIC, name, alterations, validate_only=validate_only)
        click.echo(f"Topic {name} {would} {len(alterations)} setting(s) altered.")
    if partitions is not None:
        create_partitions(cluster, name, partitions, assignment=new, validate_only=validate_only)
        click.echo(f"Topic {name} {would} {partitions} partitions.")


def _set(text: str) -> tuple[str, Operation, str]:
    name, value = setting("--config", text)
    return name, Operation.SET, value


@topic.command()
@click.argument("topics", nargs=-1, metavar="[NAME...]", shell_complete=completing.topics)
@click.option("--topic-id", "ids", multiple=True, type=click.UUID, help="The topic of that id.")
@click.option("--if-exists", is_flag=True, help="A topic that does not exist is fine.")
@with_cluster
def delete(
    cluster: Cluster, *, topics: tuple[str, ...], ids: tuple[uuid.UUID, ...], if_exists: bool
) -> None:
    """Delete topics with everything in them."""
    if not topics and not ids:
        raise Mistake("expected a NAME or --topic-id")

    def delete_one(named: str | uuid.UUID) -> str:
        try:
            if isinstance(named, str):
                delete_topic(cluster, named)
            else:
                delete_topic_by_id(cluster, named)
        except KafkaError as error:
            if not (if_exists and error.code in _UNKNOWN):
                raise
            return f"Topic {named} does not exist."
        return f"Deleted topic {named}."

    wanted: list[str | uuid.UUID] = [*topics, *ids]
    for_each(wanted, delete_one)


_UNKNOWN = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID}
