"""``datacore log dump FILE``: what is in a segment file, for people or for programs.

Reads files only, never a running broker; a segment that is being written is shown as far as it is
whole. It needs the extra ``dump`` (construct), because it reads by layouts that are apart from
the codecs that wrote the file (``datacore.cli.layouts``).

Kafka's counterpart: ``kafka-dump-log.sh``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

import click
import msgspec

from datacore.cli.failure import Failure
from datacore.cli.segment import Found, StoredBatch, StoredRecord, Tail

Output: TypeAlias = Literal["table", "json"]

_SHOWN_BYTES_MAX: Final = 100
_ROW: Final = "{:>10}  {:>9}  {:>20}  {:>20}  {:>6}  {:>5}  {:>6}  {:>5}  {:>13}  {}"
_HEADINGS: Final = ("POSITION", "SIZE", "FIRST", "LAST", "COUNT", "MAGIC", "CODEC", "CRC")


@click.command(name="dump")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--records", is_flag=True, help="Show the records of each batch, too.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, JSON for programs.",
)
def log_dump(file: Path, *, records: bool, output: Output) -> None:
    """Show the batches of a segment FILE.

    JSON is one object a line: a batch, or at the end the tail that is no batch. Keys, values and
    header values are base64 there.
    """
    try:
        for line in dump(file, records=records, output=output):
            click.echo(line)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from error


def dump(path: Path, *, records: bool, output: Output) -> Iterator[str]:
    """Yields the lines that show a segment file.

    Args:
        path: The ``.log`` file.
        records: Whether to show the records, too.
        output: ``table``, or ``json`` for one object a line.

    Raises:
        Failure: The extra ``dump`` is not installed.
        OSError: The file cannot be read.
    """
    found = _read_segment(path, records=records)
    return _as_json(found) if output == "json" else _as_table(found)


def _read_segment(path: Path, *, records: bool) -> Iterator[Found]:
    try:
        from datacore.cli.segment_reader import read_segment  # noqa: PLC0415  # needs construct
    except ModuleNotFoundError as error:
        if error.name != "construct":
            raise
        sentence = "`datacore log dump` needs construct: pip install 'datacore[dump]'."
        raise Failure(sentence) from error
    return read_segment(path, records=records)


def _as_json(found: Iterator[Found]) -> Iterator[str]:
    for each in found:
        kind = "batch" if isinstance(each, StoredBatch) else "tail"
        yield msgspec.json.encode({"kind": kind, **msgspec.structs.asdict(each)}).decode()


def _as_table(found: Iterator[Found]) -> Iterator[str]:
    yield _ROW.format(*_HEADINGS, "MAX TIMESTAMP", "ABOUT")
    count = wrong = 0
    for each in found:
        if isinstance(each, Tail):
            yield f"{each.position:>10}  {each.size_bytes:>9}  {each.reason}"
            continue
        count += 1
        wrong += not each.is_crc_valid
        yield _batch_line(each)
        yield from map(_record_line, each.records or ())
    yield f"{count} batches, {wrong} with a wrong CRC"


def _batch_line(batch: StoredBatch) -> str:
    line = _ROW.format(
        batch.position,
        batch.size_bytes,
        "-" if batch.base_offset is None else batch.base_offset,
        batch.last_offset,
        "-" if batch.record_count is None else batch.record_count,
        batch.magic,
        batch.codec,
        "ok" if batch.is_crc_valid else "WRONG",
        batch.max_timestamp_ms,
        ", ".join(_about(batch)),
    )
    return line.rstrip()


def _about(batch: StoredBatch) -> Iterator[str]:
    """What not every batch has."""
    if batch.timestamp_type == "LogAppendTime":
        yield "log append time"
    if batch.is_control:
        yield "control"
    if batch.is_transactional:
        yield "transactional"
    if batch.partition_leader_epoch not in {None, -1}:
        yield f"leader epoch {batch.partition_leader_epoch}"
    if batch.producer_id not in {None, -1}:
        yield (
            f"producer {batch.producer_id} epoch {batch.producer_epoch}"
            f" from sequence {batch.base_sequence}"
        )
    if batch.delete_horizon_ms is not None:
        yield f"delete horizon {batch.delete_horizon_ms}"
    if batch.problem is not None:
        yield f"records cannot be read: {batch.problem}"


def _record_line(record: StoredRecord) -> str:
    headers = ", ".join(f"{key}: {_shown(value)}" for key, value in record.headers)
    line = (
        f"    {record.offset}  at {record.timestamp_ms}"
        f"  key {_shown(record.key)}  value {_shown(record.value)}"
    )
    return f"{line}  headers {headers}" if headers else line


def _shown(content: bytes | None) -> str:
    """Bytes as text on one line, cut where they get long; what is no text is escaped."""
    if content is None:
        return "null"
    text = content[:_SHOWN_BYTES_MAX].decode(errors="backslashreplace")
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    left = len(content) - _SHOWN_BYTES_MAX
    return f"'{escaped}' and {left} bytes" if left > 0 else f"'{escaped}'"
