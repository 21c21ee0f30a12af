"""``datacore log dump FILE``: what is in a segment or beside it, for people or for programs.

Segments (``.log``), their indexes, and what Apache Kafka keeps beside them: ``.txnindex``,
``.snapshot``, ``leader-epoch-checkpoint``. Of DataCore and of Apache Kafka alike.

Reads files only, never a running broker; a segment that is being written is shown as far as it is
whole. It needs the extra ``dump`` (construct), because it reads by layouts that are apart from
the codecs that wrote the file (``datacore.cli.layouts``).

Kafka's counterpart: ``kafka-dump-log.sh``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import click
import msgspec

from datacore.cli.failure import Failure
from datacore.cli.segment import Found, StoredBatch, StoredRecord, Tail

if TYPE_CHECKING:
    from datacore.cli.side_file_reader import Row, SideEntry

Output: TypeAlias = Literal["table", "json"]

_SHOWN_BYTES_MAX: Final = 100
_ROW: Final = "{:>10}  {:>9}  {:>20}  {:>20}  {:>6}  {:>5}  {:>6}  {:>5}  {:>13}  {}"
_HEADINGS: Final = ("POSITION", "SIZE", "FIRST", "LAST", "COUNT", "MAGIC", "CODEC", "CRC")


@click.command(name="dump")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--deep",
    "--records",
    "records",
    is_flag=True,
    help="Show the records of each batch, too.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, JSON for programs.",
)
def log_dump(file: Path, *, records: bool, output: Output) -> None:
    """Show the batches of a segment FILE, or the entries of a file beside one.

    JSON is one object a line: a batch or an entry, or at the end the tail that is none. Keys,
    values and header values are base64 there.
    """
    try:
        for line in dump(file, records=records, output=output):
            click.echo(line)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from error


def dump(path: Path, *, records: bool, output: Output) -> Iterator[str]:
    """Yields the lines that show a segment file, or one beside it.

    Args:
        path: The file, whose name says what it is.
        records: Whether to show the records, too.
        output: ``table``, or ``json`` for one object a line.

    Raises:
        Failure: The extra ``dump`` is not installed.
        OSError: The file cannot be read.
    """
    found = _read(path, records=records)
    return _as_json(found) if output == "json" else _as_table(found)


def _read(path: Path, *, records: bool) -> "Iterator[Found | Row]":
    try:
        from datacore.cli.segment_reader import read_segment  # noqa: PLC0415  # needs construct
        from datacore.cli.side_file_reader import read_side_file  # noqa: PLC0415  # as above
    except ModuleNotFoundError as error:
        if error.name != "construct":
            raise
        sentence = "`datacore log dump` needs construct: pip install 'datacore[dump]'."
        raise Failure(sentence) from error
    return read_side_file(path) or read_segment(path, records=records)


def _as_json(found: "Iterator[Found | Row]") -> Iterator[str]:
    for each in found:
        if isinstance(each, StoredBatch):
            shown = {"kind": "batch", **msgspec.structs.asdict(each)}
        elif isinstance(each, Tail):
            shown = {"kind": "tail", **msgspec.structs.asdict(each)}
        else:
            shown = {"kind": each.kind, **each.fields, "problem": each.problem}
        yield msgspec.json.encode(shown).decode()


def _as_table(found: "Iterator[Found | Row]") -> Iterator[str]:
    count = wrong = entries = 0
    for number, each in enumerate(found):
        if number == 0 and isinstance(each, StoredBatch):
            yield _ROW.format(*_HEADINGS, "MAX TIMESTAMP", "ABOUT")
        if isinstance(each, Tail):
            yield f"{each.position:>10}  {each.size_bytes:>9}  {each.reason}"
            continue
        if not isinstance(each, StoredBatch):
            entries += 1
            wrong += each.problem is not None
            yield _entry_line(each)
            continue
        count += 1
        wrong += not each.is_crc_valid
        yield _batch_line(each)
        line_of = _control_line if each.is_control else _record_line
        yield from map(line_of, each.records or ())
    if entries:
        yield f"{entries} entries, {wrong} of them wrong"
    else:
        yield f"{count} batches, {wrong} with a wrong CRC"


def _entry_line(entry: "SideEntry") -> str:
    line = "  ".join(f"{name} {value}" for name, value in entry.fields.items())
    return line if entry.problem is None else f"{line}  WRONG: {entry.problem}"


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


def _control_line(record: StoredRecord) -> str:
    """A record of the broker's own (KIP-98): its key is a version and a type."""
    kind = {b"\0\0": "abort", b"\0\1": "commit"}.get((record.key or b"")[2:], "of another kind")
    return f"    {record.offset}  at {record.timestamp_ms}  control record: {kind}"


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
