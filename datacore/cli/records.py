"""``datacore records delete``: everything before an offset. Kafka's: ``kafka-delete-records``."""

from pathlib import Path
from typing import Final

import click
import msgspec

from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, output_option
from datacore.cli.session import with_cluster
from datacore.cli.topic_choice import chosen_partitions
from datacore.client.cluster import Cluster
from datacore.client.offsets import HIGH_WATERMARK, delete_records
from datacore.client.subscription import TopicPartition

_FILE_VERSION: Final = 1
_DELETED = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "low_watermark": "Offset of its first record now.",
    }
)


class _Partition(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _OffsetFile(msgspec.Struct):
    """The JSON of Kafka's tool: ``{"partitions": [{"topic", "partition", "offset"}]}``."""

    partitions: list[_Partition]
    version: int = _FILE_VERSION


@click.group()
def records() -> None:
    """Delete records."""


@records.command()
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions; needs --before.",
)
@click.option(
    "--before",
    metavar="OFFSET|latest",
    help="The first offset to keep; latest keeps nothing.",
)
@click.option(
    "--offset-json-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help='{"partitions": [{"topic": "t", "partition": 0, "offset": 5}]}; -1 keeps nothing.',
)
@output_option(_DELETED)
@with_cluster
def delete(
    cluster: Cluster,
    *,
    topics: tuple[str, ...],
    before: str | None,
    offset_json_file: Path | None,
    output: Output,
) -> None:
    """Delete the records before an offset of each partition."""
    if (offset_json_file is None) == (not topics) or bool(topics) != (before is not None):
        raise Mistake("expected --topic with --before, or --offset-json-file")
    if offset_json_file is not None:
        wished = _read(offset_json_file)
    else:
        assert before is not None
        wished = dict.fromkeys(chosen_partitions(cluster, topics), _offset(before))
    deleted = delete_records(cluster, wished)
    _DELETED.show(
        (
            {"topic": where.topic, "partition": where.partition, "low_watermark": offset}
            for where, offset in sorted(deleted.items())
        ),
        output,
    )


def _offset(text: str) -> int:
    if text == "latest":
        return HIGH_WATERMARK
    if not (text.isascii() and text.isdigit()):
        raise Mistake(f"--before: expected an offset or latest, got {text!r}")
    return int(text)


def _read(path: Path) -> dict[TopicPartition, int]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_OffsetFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise Mistake(f"--offset-json-file: {path}: {error}") from None
    if found.version != _FILE_VERSION:
        raise Mistake(f"--offset-json-file: {path}: expected version 1, got {found.version}")
    wished: dict[TopicPartition, int] = {}
    for each in found.partitions:
        where = TopicPartition(each.topic, each.partition)
        if where in wished:
            raise Mistake(
                f"--offset-json-file: {path}: {each.topic}-{each.partition} is there twice"
            )
        wished[where] = each.offset
    if not wished:
        raise Mistake(f"--offset-json-file: {path}: expected at least one partition")
    return wished
