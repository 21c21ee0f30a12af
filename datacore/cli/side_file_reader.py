"""Reads the files beside a segment, entry by entry.

Indexes, snapshots of producers, aborted transactions, leader epochs.

Rules: the name says what a file is, as with Kafka. An index is held against the ``.log`` file of
the same name, where there is one, and an entry that no batch there bears out has a ``problem``.
Zeros at the end are room that Apache Kafka makes in advance; all else that is no entry is a
``Tail``.

Kafka's counterparts: ``DumpLogSegments`` with ``--index-sanity-check``; ``OffsetIndex``,
``TimeIndex``, ``TransactionIndex``, ``ProducerStateManager``, ``LeaderEpochCheckpointFile``.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from construct import Construct, ConstructError
from fastcrc import crc32

from datacore.cli import layouts
from datacore.cli.segment import StoredBatch, Tail
from datacore.cli.segment_reader import read_segment


class SideEntry(msgspec.Struct, frozen=True):
    """One entry of a file beside a segment, with Kafka's names for what is in it."""

    kind: str
    fields: dict[str, int]
    problem: str | None = None


Row: TypeAlias = SideEntry | Tail

LEADER_EPOCHS_FILE: Final = "leader-epoch-checkpoint"


def read_side_file(path: Path) -> Iterator[Row] | None:
    """The entries of a file beside a segment; None where the name is that of no such file.

    Raises:
        OSError: It cannot be read.
    """
    read = _READERS.get(path.name if path.name == LEADER_EPOCHS_FILE else path.suffix)
    return None if read is None else read(path)


def _read_offset_index(path: Path) -> Iterator[Row]:
    base_offset = _base_offset(path)
    ends = _last_offsets(path)
    before = -1
    for entry in _entries(path, layouts.OFFSET_INDEX_ENTRY):
        if isinstance(entry, Tail):
            yield entry
            continue
        offset = base_offset + entry.relative_offset
        problem = None
        if entry.position <= before:
            problem = "not behind the entry before"
        elif ends is not None and ends.get(entry.position) != offset:
            problem = "no batch of the segment has that last offset at that position"
        before = entry.position
        yield SideEntry("offset", {"offset": offset, "position": entry.position}, problem)


def _read_time_index(path: Path) -> Iterator[Row]:
    base_offset = _base_offset(path)
    ends = _last_offsets(path)
    before_ms = -1
    for entry in _entries(path, layouts.TIME_INDEX_ENTRY):
        if isinstance(entry, Tail):
            yield entry
            continue
        offset = base_offset + entry.relative_offset
        problem = None
        if entry.timestamp <= before_ms:
            problem = "not later than the entry before"
        elif ends is not None and not any(offset <= end for end in ends.values()):
            problem = "the segment ends before that offset"
        before_ms = entry.timestamp
        yield SideEntry("timestamp", {"timestamp_ms": entry.timestamp, "offset": offset}, problem)


def _read_transaction_index(path: Path) -> Iterator[Row]:
    for entry in _entries(path, layouts.ABORTED_TRANSACTION_ENTRY):
        yield entry if isinstance(entry, Tail) else _row("aborted transaction", entry)


def _read_producers(path: Path) -> Iterator[Row]:
    content = path.read_bytes()
    try:
        snapshot = layouts.PRODUCER_SNAPSHOT.parse(content)
    except ConstructError:
        yield Tail(0, len(content), "no snapshot of producers")
        return
    if crc32.iscsi(content[layouts.PRODUCER_SNAPSHOT_CRC_FROM :]) != snapshot.crc:
        yield Tail(0, len(content), "the checksum of the snapshot is wrong")
    for entry in snapshot.entries:
        yield _row("producer", entry)


def _read_leader_epochs(path: Path) -> Iterator[Row]:
    """Text: a version, a count, and so many lines of an epoch and its first offset."""
    content = path.read_text("ascii", "replace")
    lines = content.splitlines()
    for line in lines[2:]:
        epoch, _, start_offset = line.partition(" ")
        if not (epoch.isdecimal() and start_offset.isdecimal()):
            yield Tail(content.index(line), len(content) - content.index(line), "no epoch")
            return
        yield SideEntry("leader epoch", {"epoch": int(epoch), "start_offset": int(start_offset)})
    if lines[:1] != ["0"] or lines[1:2] != [str(len(lines) - 2)]:
        yield Tail(0, len(content), "no version 0, or not as many epochs as it says")


def _entries(path: Path, layout: Construct) -> Iterator[Any]:
    """The entries of a file of fixed size, and the tail that is none."""
    content = path.read_bytes()
    size = layout.sizeof()
    for position in range(0, len(content), size):
        left = content[position:]
        if not any(left):
            yield Tail(position, len(left), "zeros: room that was never written")
            return
        if len(left) < size:
            yield Tail(position, len(left), f"torn: {len(left)} bytes of an entry of {size}")
            return
        yield layout.parse(left[:size])


def _row(kind: str, entry: Any) -> SideEntry:
    fields = {name: value for name, value in entry.items() if isinstance(value, int)}
    return SideEntry(kind, fields)


def _base_offset(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else 0


def _last_offsets(path: Path) -> dict[int, int] | None:
    """Last offset by position of every batch in the segment beside the index."""
    segment = path.with_suffix(".log")
    if not segment.exists():
        return None
    found = read_segment(segment, records=False)
    return {each.position: each.last_offset for each in found if isinstance(each, StoredBatch)}


_READERS: Final[Mapping[str, Callable[[Path], Iterator[Row]]]] = {
    ".index": _read_offset_index,
    ".timeindex": _read_time_index,
    ".txnindex": _read_transaction_index,
    ".snapshot": _read_producers,
    LEADER_EPOCHS_FILE: _read_leader_epochs,
}
