"""``datacore group reset-offsets``: where groups go on reading, by every strategy of Kafka's.

Rules, those of ``kafka-consumer-groups --reset-offsets``: exactly one strategy; without
``--execute`` nothing is changed; a group with members is refused; offsets outside a partition are
moved to its nearer end. ``--export`` prints what ``--from-file`` reads.
"""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import click

from datacore._generated.errors import ErrorCode
from datacore.cli import completing
from datacore.cli.failure import Failure, Mistake
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.session import with_cluster
from datacore.cli.topic_choice import chosen_partitions
from datacore.cli.wording import duration_ms, partition_name, timestamp_ms
from datacore.client.cluster import Cluster
from datacore.client.group_offsets import alter_group_offsets, group_offsets
from datacore.client.groups import find_group, list_groups, names_of
from datacore.client.offsets import EARLIEST, LATEST, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.protocol.errors import KafkaError

Offsets: TypeAlias = Mapping[TopicPartition, int]

_INACTIVE: Final = {"Empty", "Dead"}
_STRATEGIES: Final = (
    "to_earliest",
    "to_latest",
    "to_current",
    "to_offset",
    "shift_by",
    "by_duration",
    "to_datetime",
    "from_file",
)
_RESETS = Listing(
    {
        "group": "The group's id.",
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "old_offset": "What the group would have read next; null where it committed nothing.",
        "new_offset": "What it reads next.",
    }
)


class Scope(NamedTuple):
    """The options that say whose offsets are reset."""

    groups: tuple[str, ...]
    all_groups: bool
    topics: tuple[str, ...]
    all_topics: bool


class Strategy(NamedTuple):
    """The options that say where to go on; all but one are None or False."""

    to_earliest: bool
    to_latest: bool
    to_current: bool
    to_offset: int | None
    shift_by: int | None
    by_duration: str | None
    to_datetime: str | None
    from_file: Path | None


@click.command(name="reset-offsets")
@click.argument("groups", nargs=-1, metavar="[NAME...]", shell_complete=completing.groups)
@click.option("--all-groups", is_flag=True, help="All groups that commit offsets.")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions.",
)
@click.option("--all-topics", is_flag=True, help="All topics that the group has committed for.")
@click.option("--to-earliest", is_flag=True, help="To the first record.")
@click.option("--to-latest", is_flag=True, help="Behind the last record.")
@click.option("--to-current", is_flag=True, help="To what is committed; else behind the last one.")
@click.option("--to-offset", type=click.IntRange(min=0), help="To this offset.")
@click.option("--shift-by", type=int, help="So many forth, or back where negative.")
@click.option("--by-duration", metavar="P1DT2H", help="To the first record not older than that.")
@click.option("--to-datetime", metavar="ISO-8601|MS", help="To the first record not older; UTC.")
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="To what a CSV says: topic,partition,offset, with several groups group,... first.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done; the default.")
@click.option("--execute", is_flag=True, help="Do it.")
@click.option("--export", is_flag=True, help="Print the CSV that --from-file reads.")
@output_option(_RESETS)
@with_cluster
def reset_offsets(
    cluster: Cluster,
    *,
    groups: tuple[str, ...],
    all_groups: bool,
    topics: tuple[str, ...],
    all_topics: bool,
    dry_run: bool,
    execute: bool,
    export: bool,
    output: Output,
    **strategy: object,
) -> None:
    """Change where groups without members go on reading."""
    wished = Strategy(**strategy)  # type: ignore[arg-type]  # click has made them
    scope = Scope(groups, all_groups, topics, all_topics)
    _check(scope, wished)
    if dry_run and execute:
        raise Mistake("expected --dry-run or --execute, not both")
    names = names_of(list_groups(cluster)) if all_groups else list(dict.fromkeys(groups))
    rows: list[Row] = []
    for name in names:
        _expect_inactive(cluster, name)
        old = group_offsets(cluster, name)
        if wished.from_file is not None:
            new = _clamped(cluster, _from_file(wished.from_file, name, several=len(names) > 1))
        else:
            new = _new_offsets(cluster, wished, name, _partitions(cluster, scope, old), old)
        if execute and new:
            alter_group_offsets(cluster, name, new)
        rows += (
            {
                "group": name,
                "topic": where.topic,
                "partition": where.partition,
                "old_offset": old.get(where),
                "new_offset": offset,
            }
            for where, offset in sorted(new.items())
        )
    if export:
        _export(rows, several=len(names) > 1)
    else:
        _RESETS.show(rows, output)
    if not execute:
        click.echo("Nothing was changed: --execute does it.", err=True)


def _check(scope: Scope, wished: Strategy) -> None:
    if scope.all_groups == bool(scope.groups):
        raise Mistake("expected a NAME or --all-groups")
    given = [each for each in _STRATEGIES if getattr(wished, each) not in {None, False}]
    if len(given) != 1:
        flags = ", ".join(f"--{each.replace('_', '-')}" for each in _STRATEGIES)
        raise Mistake(f"expected one of {flags}")
    if wished.from_file is None and scope.all_topics == bool(scope.topics):
        raise Mistake("expected --topic or --all-topics")
    if wished.from_file is not None and (scope.all_topics or scope.topics):
        raise Mistake("--from-file: expected no --topic, for the file names them")


def _expect_inactive(cluster: Cluster, name: str) -> None:
    try:
        state = find_group(cluster, name).state
    except KafkaError as error:
        if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        # A group that is not there yet may be given offsets to begin with, as in Kafka.
        return
    if state not in _INACTIVE:
        raise Failure(f"group {name} is {state}: stop its members, then reset its offsets")


def _partitions(cluster: Cluster, scope: Scope, old: Offsets) -> list[TopicPartition]:
    if scope.all_topics:
        held = sorted({where.topic for where in old})
        return chosen_partitions(cluster, held) if held else []
    return chosen_partitions(cluster, scope.topics)


def _new_offsets(
    cluster: Cluster, wished: Strategy, name: str, scope: list[TopicPartition], old: Offsets
) -> dict[TopicPartition, int]:
    if wished.to_earliest:
        return _at(cluster, scope, EARLIEST)
    if wished.to_latest:
        return _at(cluster, scope, LATEST)
    if wished.to_current:
        held = {where: old[where] for where in scope if where in old}
        return _clamped(cluster, held) | _at(cluster, [w for w in scope if w not in old], LATEST)
    if wished.to_offset is not None:
        return _clamped(cluster, dict.fromkeys(scope, wished.to_offset))
    if wished.shift_by is not None:
        if missing := [where for where in scope if where not in old]:
            raise Failure(
                f"group {name} has committed nothing for {partition_name(missing[0])}, "
                "so there is nothing to shift: use --to-offset"
            )
        return _clamped(cluster, {where: old[where] + wished.shift_by for where in scope})
    if wished.by_duration is not None:
        back_ms = duration_ms("--by-duration", wished.by_duration)
        return _at(cluster, scope, max(0, time.time_ns() // 1_000_000 - back_ms))
    assert wished.to_datetime is not None
    return _at(cluster, scope, timestamp_ms("--to-datetime", wished.to_datetime))


def _at(cluster: Cluster, scope: list[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
    """Offsets at a time; where nothing is as new, behind the last record."""
    if not scope:
        return {}
    found = find_offsets(cluster, scope, timestamp)
    if missing := [where for where, each in found.items() if each.offset < 0]:
        found |= find_offsets(cluster, missing, LATEST)
    return {where: each.offset for where, each in found.items()}


def _clamped(cluster: Cluster, wished: Offsets) -> dict[TopicPartition, int]:
    """Offsets moved to the nearer end of their partition where they lie outside."""
    if not wished:
        return {}
    first = _at(cluster, list(wished), EARLIEST)
    last = _at(cluster, list(wished), LATEST)
    found = {where: min(max(at, first[where]), last[where]) for where, at in wished.items()}
    for where, offset in sorted(found.items()):
        if offset != wished[where]:
            click.echo(
                f"{partition_name(where)} has no offset {wished[where]}: {offset} is the nearest.",
                err=True,
            )
    return found


def _from_file(path: Path, name: str, *, several: bool) -> Offsets:
    """Reads ``topic,partition,offset``, or with the group before it, as Kafka's tools write it."""
    found: dict[TopicPartition, int] = {}
    try:
        lines = [row for row in csv.reader(io.StringIO(path.read_text("utf-8"))) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Mistake(f"--from-file: {path} cannot be read: {error}") from None
    for number, row in enumerate(lines, 1):
        if len(row) != 3 + several:
            columns = "group,topic,partition,offset" if several else "topic,partition,offset"
            raise Mistake(f"--from-file: {path}, line {number}: expected {columns}")
        topic, partition, offset = row[-3:]
        if several and row[0] != name:
            continue
        if not (partition.isdigit() and offset.isdigit()):
            raise Mistake(f"--from-file: {path}, line {number}: expected numbers behind the topic")
        found[TopicPartition(topic, int(partition))] = int(offset)
    return found


def _export(rows: Sequence[Row], *, several: bool) -> None:
    columns = [*(["group"] if several else []), "topic", "partition", "new_offset"]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(
        [row[column] for column in columns] for row in rows
    )
    click.echo(written.getvalue(), nl=False)
