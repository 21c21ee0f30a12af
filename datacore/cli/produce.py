"""``datacore produce``: lines of standard input, or one message, as records of a topic.

Kafka's counterpart: ``kafka-console-producer``.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import click

from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.progress import progress
from datacore.cli.record_json import decode_record
from datacore.cli.session import with_cluster
from datacore.cli.wording import setting
from datacore.client.cluster import Cluster
from datacore.client.producer import ACKS_ALL, Producer
from datacore.record.compression import Codec
from datacore.record.records import Record

ToRecord: TypeAlias = Callable[[bytes, int], Record]
"""Makes a record of a line and a time; raises ValueError where that is impossible."""

_READ_BYTES: Final = 1 << 20
_NO_TEXT: Final = (None, None, None, ())
_ACKS: Final = {"0": 0, "1": 1, "all": ACKS_ALL}


@click.command()
@click.argument("topic", shell_complete=completing.topics)
@click.option(
    "-m", "--message", "messages", multiple=True, help="A record's value; not stdin then."
)
@click.option(
    "--input-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: a line is what `consume -o json` writes.",
)
@click.option("--key", help="The key of every record.")
@click.option("--key-separator", metavar="TEXT", help="What comes before it in a line is the key.")
@click.option("--null-value", metavar="TEXT", help="A value that stands for null (a tombstone).")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="For every record.")
@click.option("--partition", type=click.IntRange(min=0), help="Default: by key, else in turn.")
@click.option("--timestamp-ms", type=click.IntRange(min=0), help="Default: now.")
@click.option(
    "--codec",
    type=click.Choice([codec.name.lower() for codec in Codec]),
    default="none",
    show_default=True,
    help="How batches are compressed.",
)
@click.option(
    "--acks",
    type=click.Choice(list(_ACKS)),
    default="all",
    show_default=True,
    help="Whose acknowledgement to wait for: nobody's, the leader's, all in-sync replicas'.",
)
@with_cluster
def produce(
    cluster: Cluster,
    *,
    topic: str,
    messages: tuple[str, ...],
    input_format: str,
    key: str | None,
    key_separator: str | None,
    null_value: str | None,
    headers: tuple[str, ...],
    partition: int | None,
    timestamp_ms: int | None,
    codec: str,
    acks: str,
) -> None:
    """Write each line of standard input to TOPIC as a record."""
    if key is not None and key_separator is not None:
        raise Mistake("expected --key or --key-separator, not both")
    if key_separator == "":
        raise Mistake("--key-separator: expected a text that is not empty")
    if input_format == "json" and (key, key_separator, null_value, headers) != _NO_TEXT:
        raise Mistake("--input-format json: expected keys, headers and nulls in the JSON")
    to_record: ToRecord = (
        decode_record
        if input_format == "json"
        else _text_to_record(key, key_separator, null_value, headers)
    )
    producer = Producer(
        cluster, topic, acks=_ACKS[acks], codec=Codec[codec.upper()], partition=partition
    )
    written = 0
    with progress("bytes", _input_bytes(messages)) as advance:
        for chunk in [list(map(os.fsencode, messages))] if messages else _lines():
            now_ms = timestamp_ms if timestamp_ms is not None else time.time_ns() // 1_000_000
            records: list[Record] = []
            for line in chunk:
                try:
                    records.append(to_record(line, now_ms))
                except ValueError as error:
                    number = written + len(records) + 1
                    raise Mistake(f"record {number}: {error}") from None
            written += sum(batch.records for batch in producer.write(records))
            advance(sum(map(len, chunk)) + len(chunk))
    click.echo(f"{written} record(s) written to {topic}.", err=True)


def _text_to_record(
    key: str | None, key_separator: str | None, null_value: str | None, headers: tuple[str, ...]
) -> ToRecord:
    """What makes a record of a line of text."""
    parsed = [setting("--header", header) for header in headers]
    every_header: list[tuple[str, bytes | None]] = [(k, os.fsencode(v)) for k, v in parsed]
    separator = os.fsencode(key_separator) if key_separator is not None else None
    null = os.fsencode(null_value) if null_value is not None else None
    every_key = os.fsencode(key) if key is not None else None

    def to_record(line: bytes, timestamp_ms: int) -> Record:
        record_key, value = every_key, line
        if separator is not None:
            record_key, found, value = line.partition(separator)
            if not found:
                raise ValueError(f"expected a key and {key_separator!r}, got a value")
        return Record(
            timestamp_ms=timestamp_ms,
            key=record_key,
            value=None if value == null else value,
            headers=list(every_header),
        )

    return to_record


def _input_bytes(messages: tuple[str, ...]) -> int | None:
    """How much there is to read; None where standard input does not end at a known place."""
    if messages:
        return None
    found = os.fstat(sys.stdin.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _lines() -> Iterator[list[bytes]]:
    """Whole lines as they come: one at a time from a terminal, a megabyte at most from a file."""
    rest = b""
    while received := os.read(sys.stdin.fileno(), _READ_BYTES):
        *lines, rest = (rest + received).split(b"\n")
        if lines:
            yield [line.removesuffix(b"\r") for line in lines]
    if rest:
        yield [rest]
