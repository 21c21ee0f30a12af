"""``datacore consume``: the records of topics on standard output, alone or in a group.

Values are written as they are, a line each, unless told otherwise (``datacore.cli.record_text``,
``datacore.cli.record_json``). In a group, offsets are committed after their records were written,
so a record may be seen twice and is never missed. Kafka's: ``kafka-console-consumer``.
"""

import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import click

from datacore.cli import completing
from datacore.cli.failure import Failure, Mistake
from datacore.cli.internal_records import INTERNAL_TOPICS, internal_writer
from datacore.cli.listing import Listing, OutputOption
from datacore.cli.record_json import encode_record
from datacore.cli.record_text import ENCODINGS, FIELDS, Writer, fields_writer, template_writer
from datacore.cli.session import with_cluster
from datacore.cli.stopping import stop_wished
from datacore.cli.topic_choice import matching_topics
from datacore.cli.wording import names, timestamp_ms
from datacore.client.cluster import Cluster
from datacore.client.consumer import Consumer
from datacore.client.group_member import GroupMember
from datacore.client.offsets import EARLIEST, LATEST
from datacore.client.topics import describe_topics

_POLL_RECORDS: Final = 5_000
_POLL_WAIT_MS: Final = 500
_COMMIT_INTERVAL_S: Final = 5.0
_RECORDS: Final = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "offset": "The record's offset.",
        "timestamp_ms": "Its timestamp; -1 where it has none.",
        "key": 'A string, {"base64": ...} where it is not UTF-8, or null.',
        "value": "Likewise.",
        "headers": "Pairs of name and value, a value like the record's.",
    },
    when="an object a line",
)
_NAMED_OFFSETS: Final = {"earliest": EARLIEST, "latest": LATEST}


class Limits(NamedTuple):
    """When to stop by oneself."""

    records: int | None
    silence_ms: int | None
    is_at_end: Callable[[], bool]


@click.command()
@click.argument("topics", nargs=-1, metavar="[TOPIC...]", shell_complete=completing.topics)
@click.option("--include", metavar="REGEX", help="Topics whose whole name matches, as of now.")
@click.option(
    "--group", shell_complete=completing.groups, help="Read as a member of this group, and commit."
)
@click.option("--from-beginning", is_flag=True, help="Start at the first record, not the next one.")
@click.option("--from-datetime", metavar="ISO-8601|MS", help="Start at the first not older; UTC.")
@click.option(
    "--partition", "partitions", type=click.IntRange(min=0), multiple=True, help="Only these."
)
@click.option(
    "--offset", metavar="N|earliest|latest", help="Start there; a number needs --partition."
)
@click.option("--until-end", is_flag=True, help="Stop at what is the end when it begins.")
@click.option("--max-messages", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--timeout-ms", type=click.IntRange(min=0), help="Stop when none came for so long.")
@click.option(
    "--isolation-level",
    type=click.Choice(["read_uncommitted", "read_committed"]),
    default="read_uncommitted",
    show_default=True,
    help="read_committed leaves out open and aborted transactions.",
)
@click.option(
    "--print",
    "shown",
    metavar=",".join(FIELDS),
    help="What to write before the value, tabs between.",
)
@click.option(
    "-f",
    "--format",
    "template",
    metavar="TEMPLATE",
    help=r"%t topic, %p partition, %o offset, %d timestamp, %k key, %v value, %h headers, "
    r"%K and %V sizes, %%; \n, \t.",
)
@click.option(
    "--key-format",
    type=click.Choice(list(ENCODINGS)),
    default="text",
    show_default=True,
    help="How keys are written.",
)
@click.option(
    "--value-format",
    type=click.Choice(list(ENCODINGS)),
    default="text",
    show_default=True,
    help="How values are written.",
)
@click.option(
    "--decode",
    is_flag=True,
    help=f"Show what brokers keep in {', '.join(INTERNAL_TOPICS)} as JSON.",
)
@click.option(
    "-o",
    "--output",
    cls=OutputOption,
    listings=[_RECORDS],
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Values for people, one JSON object a record for programs.",
)
@with_cluster
def consume(
    cluster: Cluster,
    *,
    topics: tuple[str, ...],
    include: str | None,
    group: str | None,
    from_beginning: bool,
    from_datetime: str | None,
    partitions: tuple[int, ...],
    offset: str | None,
    until_end: bool,
    max_messages: int | None,
    timeout_ms: int | None,
    isolation_level: str,
    shown: str | None,
    template: str | None,
    key_format: str,
    value_format: str,
    decode: bool,
    output: str,
) -> None:
    """Print the records of topics as they come, until Ctrl-C."""
    write = _writer(shown, template, key_format, value_format, output, decode=decode)
    if group is not None and partitions:
        raise Mistake("--group: expected no --partition, for the group hands them out")
    start, number = _start(offset, from_datetime, from_beginning=from_beginning)
    if number is not None and not partitions:
        raise Mistake("--offset: expected --partition beside a number")
    wanted = _wanted(cluster, topics, include)
    if decode and (others := {*wanted}.difference(INTERNAL_TOPICS)):
        raise Mistake(f"--decode: expected {' or '.join(INTERNAL_TOPICS)}, got {min(others)}")
    consumer = Consumer(
        cluster,
        wanted,
        start=start,
        positions=None if number is None else dict.fromkeys(partitions, number),
        partitions=partitions or None,
        member=GroupMember(cluster, group, wanted) if group is not None else None,
        read_committed=isolation_level == "read_committed",
    )
    is_at_end = consumer.end_reached() if until_end else lambda: False
    count = _print_records(consumer, write, Limits(max_messages, timeout_ms, is_at_end))
    consumer.commit()
    consumer.close()
    click.echo(f"{count} record(s) read from {', '.join(wanted)}.", err=True)


def _wanted(cluster: Cluster, topics: tuple[str, ...], include: str | None) -> list[str]:
    """The names of topics that exist."""
    if bool(topics) == (include is not None):
        raise Mistake("expected a TOPIC or --include")
    if include is None:
        return [each.name or "" for each in describe_topics(cluster, list(dict.fromkeys(topics)))]
    found = [each.name or "" for each in matching_topics(cluster, "--include", include)]
    if not found:
        raise Failure(f"no topic matches {include!r}: `datacore topic list` shows those that exist")
    return found


def _writer(
    shown: str | None,
    template: str | None,
    key_format: str,
    value_format: str,
    output: str,
    *,
    decode: bool,
) -> Writer:
    if (shown is not None) + (template is not None) + decode + (output == "json") > 1:
        raise Mistake("expected one of --print, --format, --decode and -o json")
    if decode:
        return internal_writer()
    if output == "json":
        return encode_record
    key, value = ENCODINGS[key_format], ENCODINGS[value_format]
    if template is not None:
        return template_writer(template, key, value)
    fields = names("--print", [shown]) if shown else []
    if unknown := [field for field in fields if field not in FIELDS]:
        raise Mistake(f"--print: expected some of {','.join(FIELDS)}, got {unknown[0]}")
    return fields_writer(fields, key, value)


def _start(
    offset: str | None, from_datetime: str | None, *, from_beginning: bool
) -> tuple[int, int | None]:
    """Where to begin: as a time of ListOffsets, and as an offset where one was given."""
    if (offset is not None) + (from_datetime is not None) + from_beginning > 1:
        raise Mistake("expected one of --offset, --from-datetime and --from-beginning")
    if from_datetime is not None:
        return timestamp_ms("--from-datetime", from_datetime), None
    if offset is None:
        return (EARLIEST if from_beginning else LATEST), None
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset], None
    if not (offset.isascii() and offset.isdigit()):
        raise Mistake(f"--offset: expected a number, earliest or latest, got {offset!r}")
    return LATEST, int(offset)


def _print_records(consumer: Consumer, write: Writer, limits: Limits) -> int:
    """Prints until there is a reason to stop; returns how many records it was."""
    count = 0
    last_record_s = committed_s = time.monotonic()
    silence_ms = limits.silence_ms
    with stop_wished() as is_stop_wished:
        while not is_stop_wished() and (limits.records is None or count < limits.records):
            if limits.is_at_end():
                break
            wait_ms = _POLL_WAIT_MS if silence_ms is None else min(_POLL_WAIT_MS, silence_ms)
            room = _POLL_RECORDS if limits.records is None else limits.records - count
            received = consumer.poll(max_wait_ms=wait_ms, max_records=min(room, _POLL_RECORDS))
            if received:
                sys.stdout.buffer.writelines(map(write, received))
                sys.stdout.buffer.flush()
                count += len(received)
                last_record_s = time.monotonic()
            elif silence_ms is not None and time.monotonic() - last_record_s >= silence_ms / 1000:
                break
            if time.monotonic() - committed_s >= _COMMIT_INTERVAL_S:
                consumer.commit()
                committed_s = time.monotonic()
    return count
