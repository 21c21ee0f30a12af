"""``datacore offset list``: where partitions begin, end, or stand at a time.

Kafka's counterpart: ``kafka-get-offsets``.
"""

import click

from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, output_option
from datacore.cli.session import with_cluster
from datacore.cli.topic_choice import chosen_partitions
from datacore.cli.wording import timestamp_ms
from datacore.client.cluster import Cluster
from datacore.client.offsets import (
    EARLIEST,
    EARLIEST_LOCAL,
    LATEST,
    LATEST_TIERED,
    MAX_TIMESTAMP,
    find_offsets,
)

_NAMED_TIMES = {
    "earliest": EARLIEST,
    "latest": LATEST,
    "max-timestamp": MAX_TIMESTAMP,
    "earliest-local": EARLIEST_LOCAL,
    "latest-tiered": LATEST_TIERED,
}
_OFFSETS = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "offset": "The offset; null where no record is like that.",
        "timestamp_ms": "The record's, where it was looked for by time; else null.",
    },
    times=["timestamp_ms"],
)


@click.group()
def offset() -> None:
    """Where partitions begin and end."""


@offset.command(name="list")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions; all topics by default.",
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this one of each topic.",
)
@click.option("--internal", is_flag=True, help="Also topics that brokers keep for themselves.")
@click.option(
    "--time",
    default="latest",
    show_default=True,
    metavar="|".join([*_NAMED_TIMES, "MS", "ISO-8601"]),
    help="A time asks for the first record that is not older.",
)
@click.option(
    "--isolation-level",
    type=click.Choice(["read_uncommitted", "read_committed"]),
    default="read_uncommitted",
    show_default=True,
    help="With read_committed, latest is where the first open transaction begins.",
)
@output_option(_OFFSETS)
@with_cluster
def list_(
    cluster: Cluster,
    *,
    topics: tuple[str, ...],
    partitions: tuple[int, ...],
    internal: bool,
    time: str,
    isolation_level: str,
    output: Output,
) -> None:
    """List one offset of each partition."""
    if partitions and not topics:
        raise Mistake("--partition: expected --topic beside it")
    timestamp = _NAMED_TIMES[time] if time in _NAMED_TIMES else timestamp_ms("--time", time)
    wanted = chosen_partitions(cluster, topics, partitions=partitions, internal=internal)
    found = find_offsets(
        cluster, wanted, timestamp, read_committed=isolation_level == "read_committed"
    )
    rows = [
        {
            "topic": where.topic,
            "partition": where.partition,
            "offset": each.offset if each.offset >= 0 else None,
            "timestamp_ms": each.timestamp_ms if each.timestamp_ms >= 0 else None,
        }
        for where, each in sorted(found.items())
    ]
    _OFFSETS.show(rows, output)
