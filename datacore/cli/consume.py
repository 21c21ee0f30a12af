"""``datacore consume``: the records of a topic on standard output, alone or in a group.

Values are written as they are, a line each; ``-o json`` writes one object a record, with bytes that
are not UTF-8 as ``{"base64": ...}``. In a group, offsets are committed after their records were
written, so a record may be seen twice and is never missed.
"""

import base64
import sys
import time
from typing import Any, Final

import click
import msgspec

from datacore.cli.failure import Mistake
from datacore.cli.session import with_cluster
from datacore.cli.stopping import stop_wished
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.consumer import Consumer, Received
from datacore.client.group_member import GroupMember

_POLL_RECORDS: Final = 5_000
_POLL_WAIT_MS: Final = 500
_COMMIT_INTERVAL_S: Final = 5.0
_SHOWN: Final = ("timestamp", "partition", "offset", "headers", "key")


@click.command()
@click.argument("topic")
@click.option("--group", help="Read as a member of this group, and commit.")
@click.option("--from-beginning", is_flag=True, help="Start at the first record, not the next one.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this one.")
@click.option("--offset", type=click.IntRange(min=0), help="Start there; needs --partition.")
@click.option("--max-messages", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--timeout-ms", type=click.IntRange(min=0), help="Stop when none came for so long.")
@click.option(
    "--print",
    "shown",
    metavar=",".join(_SHOWN),
    default="",
    help="What to write before the value, tabs between.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Values for people, one JSON object a record for programs.",
)
@with_cluster
def consume(
    cluster: Cluster,
    *,
    topic: str,
    group: str | None,
    partition: int | None,
    offset: int | None,
    max_messages: int | None,
    timeout_ms: int | None,
    shown: str,
    output: str,
    from_beginning: bool,
) -> None:
    """Print the records of TOPIC as they come, until Ctrl-C."""
    fields = [field for field in shown.split(",") if field]
    if unknown := [field for field in fields if field not in _SHOWN]:
        raise Mistake(f"--print: expected some of {','.join(_SHOWN)}, got {unknown[0]}")
    if offset is not None and (partition is None or from_beginning):
        raise Mistake("--offset: expected --partition beside it, and no --from-beginning")
    if group is not None and partition is not None:
        raise Mistake("--group: expected no --partition, for the group hands them out")
    cluster.retrying(lambda: cluster.topic(topic))
    member = GroupMember(cluster, group, [topic]) if group is not None else None
    consumer = Consumer(
        cluster,
        topic,
        start=admin.EARLIEST if from_beginning else admin.LATEST,
        positions={partition: offset} if partition is not None and offset is not None else None,
        partitions=None if partition is None else [partition],
        member=member,
    )
    count = _print_records(consumer, fields, output, max_messages, timeout_ms)
    consumer.commit()
    if member is not None:
        member.leave()
    click.echo(f"{count} record(s) read from {topic}.", err=True)


def _print_records(
    consumer: Consumer,
    fields: list[str],
    output: str,
    max_messages: int | None,
    timeout_ms: int | None,
) -> int:
    """Prints until there is a reason to stop; returns how many records it was."""
    count = 0
    last_record_s = committed_s = time.monotonic()
    with stop_wished() as is_stop_wished:
        while not is_stop_wished() and (max_messages is None or count < max_messages):
            wait_ms = _POLL_WAIT_MS if timeout_ms is None else min(_POLL_WAIT_MS, timeout_ms)
            room = _POLL_RECORDS if max_messages is None else max_messages - count
            received = consumer.poll(max_wait_ms=wait_ms, max_records=min(room, _POLL_RECORDS))
            if received:
                write = _json if output == "json" else _text
                sys.stdout.buffer.writelines(write(each, fields) for each in received)
                sys.stdout.buffer.flush()
                count += len(received)
                last_record_s = time.monotonic()
            elif timeout_ms is not None and time.monotonic() - last_record_s >= timeout_ms / 1000:
                break
            if time.monotonic() - committed_s >= _COMMIT_INTERVAL_S:
                consumer.commit()
                committed_s = time.monotonic()
    return count


def _text(received: Received, fields: list[str]) -> bytes:
    record = received.record
    before: dict[str, bytes] = {
        "timestamp": str(record.timestamp_ms).encode(),
        "partition": str(received.where.partition).encode(),
        "offset": str(record.offset).encode(),
        "headers": b",".join(
            name.encode("utf-8", "surrogateescape") + b"=" + _or_null(value)
            for name, value in record.headers
        ),
        "key": _or_null(record.key),
    }
    # In the fixed order of Kafka's own console consumer, whatever the order of the wish.
    columns = [before[field] for field in _SHOWN if field in fields]
    return b"\t".join([*columns, _or_null(record.value)]) + b"\n"


def _json(received: Received, _fields: list[str]) -> bytes:
    record = received.record
    return (
        msgspec.json.encode(
            {
                "topic": received.where.topic,
                "partition": received.where.partition,
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
                "key": _readable(record.key),
                "value": _readable(record.value),
                "headers": [
                    [
                        name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                        _readable(v),
                    ]
                    for name, v in record.headers
                ],
            }
        )
        + b"\n"
    )


def _readable(data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _or_null(data: bytes | None) -> bytes:
    return b"null" if data is None else data
