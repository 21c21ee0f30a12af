"""``datacore offset list``: where a topic's partitions begin, end, or stand at a time."""

from datetime import UTC, datetime

import click

from datacore.cli.failure import Mistake
from datacore.cli.listing import Output, output_option, show
from datacore.cli.session import with_cluster
from datacore.client import admin
from datacore.client.cluster import Cluster

_NAMED_TIMES = {
    "earliest": admin.EARLIEST,
    "latest": admin.LATEST,
    "max-timestamp": admin.MAX_TIMESTAMP,
}


@click.group()
def offset() -> None:
    """Where partitions begin and end."""


@offset.command(name="list")
@click.option("--topic", required=True, help="Its name.")
@click.option("--partition", "partitions", type=click.IntRange(min=0), multiple=True)
@click.option(
    "--time",
    default="latest",
    show_default=True,
    metavar="earliest|latest|max-timestamp|MS|ISO-8601",
    help="A time asks for the first record that is not older.",
)
@output_option
@with_cluster
def list_(
    cluster: Cluster, *, topic: str, partitions: tuple[int, ...], time: str, output: Output
) -> None:
    """List one offset of each partition."""
    found = admin.list_offsets(cluster, topic, _timestamp(time), partitions or None)
    rows = [
        {
            "topic": topic,
            "partition": each.partition,
            "offset": each.offset if each.offset >= 0 else None,
            "timestamp_ms": each.timestamp_ms if each.timestamp_ms >= 0 else None,
        }
        for each in found
    ]
    show(rows, ["topic", "partition", "offset", "timestamp_ms"], output)


def _timestamp(text: str) -> int:
    if text in _NAMED_TIMES:
        return _NAMED_TIMES[text]
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Mistake(
            f"--time: expected {', '.join(_NAMED_TIMES)}, milliseconds or a date, got {text!r}"
        ) from None
    # A time without a zone is UTC, the same on every machine.
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
