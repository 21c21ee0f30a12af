"""``datacore partition``: which brokers hold a partition, and which of them leads it.

Kafka's counterparts: ``kafka-reassign-partitions`` and ``kafka-leader-election``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, output_option
from datacore.cli.session import for_each, with_cluster
from datacore.cli.topic_choice import chosen_partitions
from datacore.cli.wording import partition_name
from datacore.client.cluster import Cluster
from datacore.client.reassignments import (
    ElectionType,
    alter_reassignments,
    elect_leaders,
    is_election_not_needed,
    list_reassignments,
)
from datacore.client.subscription import TopicPartition
from datacore.protocol.errors import KafkaError

FileT = TypeVar("FileT")

_FILE_VERSION: Final = 1
_ANY_LOG_DIR: Final = "any"
_REASSIGNMENTS = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "replicas": "Ids of the brokers that hold it, or begin to.",
        "adding": "Those that begin to.",
        "removing": "Those that will no longer.",
    }
)


class _Partition(msgspec.Struct, forbid_unknown_fields=True):
    topic: str
    partition: int
    replicas: list[int] = []
    log_dirs: list[str] = []


class _ReassignmentFile(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of Kafka's tool: ``{"partitions": [{"topic", "partition", "replicas"}]}``."""

    partitions: list[_Partition]
    version: int = _FILE_VERSION


class _ElectionFile(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of Kafka's tool: ``{"partitions": [{"topic", "partition"}]}``."""

    partitions: list[_Partition]
    version: int = _FILE_VERSION


@click.group()
def partition() -> None:
    """Which brokers hold a partition, and which leads it."""


@partition.command()
@click.option(
    "--reassignment-json-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help='{"partitions": [{"topic": "t", "partition": 0, "replicas": [1, 2]}]}',
)
@click.option("--cancel", is_flag=True, help="Stop the moves of these partitions instead.")
@with_cluster
def reassign(cluster: Cluster, *, reassignment_json_file: Path, cancel: bool) -> None:
    """Begin to move partitions to other brokers."""
    option = "--reassignment-json-file"
    found = _read(option, reassignment_json_file, _ReassignmentFile)
    if found.version != _FILE_VERSION:
        raise Mistake(f"{option}: expected version 1, got {found.version}")
    wished: dict[TopicPartition, Sequence[int] | None] = {}
    for each in found.partitions:
        where = TopicPartition(each.topic, each.partition)
        if not each.replicas and not cancel:
            raise Mistake(f"{option}: {partition_name(where)}: expected replicas")
        if {*each.log_dirs} - {_ANY_LOG_DIR}:
            raise Mistake(f"{option}: {partition_name(where)}: expected any as log directory")
        wished[where] = None if cancel else each.replicas
    _tell(
        alter_reassignments(cluster, wished),
        "The move of {} is cancelled." if cancel else "Began to move {}.",
    )


@partition.command(name="list-reassignments")
@output_option(_REASSIGNMENTS)
@with_cluster
def list_reassignments_(cluster: Cluster, *, output: Output) -> None:
    """List the partitions that are on their way."""
    _REASSIGNMENTS.show(
        (
            {
                "topic": each.where.topic,
                "partition": each.where.partition,
                "replicas": each.replicas,
                "adding": each.adding,
                "removing": each.removing,
            }
            for each in list_reassignments(cluster)
        ),
        output,
    )


@partition.command(name="elect-leaders")
@click.option(
    "--election-type",
    type=click.Choice([each.name.lower() for each in ElectionType]),
    default="preferred",
    show_default=True,
    help="unclean takes any replica that is alive, and may lose records.",
)
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions.",
)
@click.option(
    "--path-to-json-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help='{"partitions": [{"topic": "t", "partition": 0}]}',
)
@click.option("--all-topic-partitions", is_flag=True, help="All partitions of all topics.")
@with_cluster
def elect_leaders_(
    cluster: Cluster,
    *,
    election_type: str,
    topics: tuple[str, ...],
    path_to_json_file: Path | None,
    all_topic_partitions: bool,
) -> None:
    """Elect leaders of partitions."""
    if bool(topics) + (path_to_json_file is not None) + all_topic_partitions != 1:
        raise Mistake("expected one of --topic, --path-to-json-file, --all-topic-partitions")
    wanted: list[TopicPartition] | None = None
    if path_to_json_file is not None:
        found = _read("--path-to-json-file", path_to_json_file, _ElectionFile)
        wanted = [TopicPartition(each.topic, each.partition) for each in found.partitions]
    elif topics:
        wanted = chosen_partitions(cluster, topics)
    refusals = elect_leaders(cluster, ElectionType[election_type.upper()], wanted)
    fine = {
        where
        for where, refusal in refusals.items()
        if refusal is not None and is_election_not_needed(refusal)
    }
    for where in sorted(fine):
        click.echo(f"{partition_name(where)} has this leader already.")
    if wanted is None and not refusals.keys() - fine:
        click.echo("All other partitions have this leader already.")
    _tell({w: r for w, r in refusals.items() if w not in fine}, "Elected a leader of {}.")


def _tell(refusals: Mapping[TopicPartition, KafkaError | None], done: str) -> None:
    def one(where: TopicPartition) -> str:
        refusal = refusals[where]
        if refusal is not None:
            told = refusal.message or partition_name(where)
            named = told if where.topic in told else f"{partition_name(where)}: {told}"
            raise KafkaError(refusal.code, named)
        return done.format(partition_name(where))

    for_each(sorted(refusals), one)


def _read(option: str, path: Path, kind: type[FileT]) -> FileT:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise Mistake(f"{option}: {path}: {error}") from None
