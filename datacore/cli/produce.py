"""``datacore produce``: lines of standard input, or one message, as records of a topic."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

import click

from datacore.cli.failure import Mistake
from datacore.cli.session import with_cluster
from datacore.client.cluster import Cluster
from datacore.client.producer import ACKS_ALL, Producer
from datacore.record.compression import Codec
from datacore.record.records import Record

_READ_BYTES: Final = 1 << 20
_ACKS: Final = {"0": 0, "1": 1, "all": ACKS_ALL}


@click.command()
@click.argument("topic")
@click.option(
    "-m", "--message", "messages", multiple=True, help="A record's value; not stdin then."
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
    producer = Producer(
        cluster, topic, acks=_ACKS[acks], codec=Codec[codec.upper()], partition=partition
    )
    parsed_headers = [_header(header) for header in headers]
    separator = os.fsencode(key_separator) if key_separator is not None else None
    null = os.fsencode(null_value) if null_value is not None else None
    every_key = os.fsencode(key) if key is not None else None
    written = 0
    chunks: Iterable[list[bytes]] = [list(map(os.fsencode, messages))] if messages else _lines()
    for chunk in chunks:
        now_ms = timestamp_ms if timestamp_ms is not None else time.time_ns() // 1_000_000
        records: list[Record] = []
        for line in chunk:
            record_key, value = _key_and_value(line, separator, written + len(records) + 1)
            records.append(
                Record(
                    timestamp_ms=now_ms,
                    key=every_key if separator is None else record_key,
                    value=None if value == null else value,
                    headers=list(parsed_headers),
                )
            )
        written += sum(batch.records for batch in producer.write(records))
    click.echo(f"{written} record(s) written to {topic}.", err=True)


def _lines() -> Iterator[list[bytes]]:
    """Whole lines as they come: one at a time from a terminal, a megabyte at most from a file."""
    rest = b""
    while received := os.read(sys.stdin.fileno(), _READ_BYTES):
        *lines, rest = (rest + received).split(b"\n")
        if lines:
            yield [line.removesuffix(b"\r") for line in lines]
    if rest:
        yield [rest]


def _key_and_value(line: bytes, separator: bytes | None, number: int) -> tuple[bytes | None, bytes]:
    if separator is None:
        return None, line
    key, found, value = line.partition(separator)
    if not found:
        raise Mistake(
            f"record {number}: expected a key and {os.fsdecode(separator)!r}, got a value"
        )
    return key, value


def _header(text: str) -> tuple[str, bytes | None]:
    name, separator, value = text.partition("=")
    if not separator:
        raise Mistake(f"--header: expected NAME=VALUE, got {text!r}")
    return name, os.fsencode(value)
