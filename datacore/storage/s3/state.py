"""What the journal's objects say, and the state of all logs that follows from them.

Rules:

- Pure: no I/O, no clock, no chance. State is replay of the journal from its start, or from a state
  that was written down on the way; every engine over the bucket comes to the same one.
- A change is checked by its writer at its very place in the journal: who writes object N has seen
  all before it. So what the journal holds was valid, and replay applies it as it stands.
- Kafka's counterpart is the image of ``__cluster_metadata``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from datacore.storage.chunked.store import HeldElsewhere, OpenedLog
from datacore.storage.engine import Fenced, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Piece(msgspec.Struct, array_like=True):
    """Where a chunk lies."""

    base_offset: int
    next_offset: int
    size: int
    max_timestamp_ms: int
    key: str
    """Of its object; empty where it is the journal's object that tells of it."""
    at: int
    """Of its first byte; in the journal counted from where its data begins."""


class Stretch(msgspec.Struct, array_like=True):
    """One extent of a log, or what it grows by."""

    base_offset: int
    next_offset: int
    size_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int


class Snapshot(msgspec.Struct, array_like=True):
    """A summary, here or in an object of its own."""

    next_offset: int
    data: bytes
    key: str


class LogState(msgspec.Struct):
    """One log."""

    log_id: int
    name: str
    epoch: int
    owner: int
    instance: str | None = None
    """Which engine has it open."""
    start_offset: int = 0
    end_offset: int = 0
    segments: list[Stretch] = []
    pieces: list[Piece] = []
    snapshot: Snapshot | None = None

    def first_piece(self, offset: int) -> int:
        """The place of the piece that answers for ``offset``, or of the next one."""
        return bisect_right(self.pieces, offset, key=lambda piece: piece.next_offset)


class _Change(msgspec.Struct, array_like=True, tag=True):
    """What one log does in one object of the journal."""


class Open(_Change):
    """An engine becomes the owner of a log, made when missing."""

    name: str
    epoch: int
    instance: str
    over: int
    """Whose place it may take though the epoch is the same: a token, of an engine that is dead."""


class OwnAgain(_Change):
    """The owner takes a new token."""

    log_id: int
    owner: int


class Close(_Change):
    """The owner lets go."""

    log_id: int
    owner: int


class Delete(_Change):
    """A log is gone."""

    name: str


class Append(_Change):
    """A round of one log; its data is in the same object."""

    log_id: int
    owner: int
    base_offset: int
    next_offset: int
    growths: list[Stretch]
    pieces: list[Piece]


class TruncateBefore(_Change):
    """The start moves."""

    log_id: int
    owner: int
    offset: int


class TruncateAfter(_Change):
    """The end moves back, into a piece perhaps."""

    log_id: int
    owner: int
    offset: int
    last_size: int
    """What is left of that piece; -1 where the cut lies between two."""
    last_timestamp_ms: int


class Replace(_Change):
    """A range of whole segments has other pieces."""

    log_id: int
    owner: int
    base_offset: int
    next_offset: int
    segments: list[Stretch]
    pieces: list[Piece]


class Rewrite(_Change):
    """The same batches lie elsewhere: the pieces of a range, as they were, and as they are."""

    log_id: int
    owner: int
    replaced: list[Piece]
    pieces: list[Piece]


class SaveSnapshot(_Change):
    """A log has another summary."""

    log_id: int
    owner: int
    snapshot: Snapshot


Change = (
    Open
    | OwnAgain
    | Close
    | Delete
    | Append
    | TruncateBefore
    | TruncateAfter
    | Replace
    | Rewrite
    | SaveSnapshot
)


class _Format(msgspec.Struct):
    """What all versions of a state have in common."""

    format: int


class _Image(msgspec.Struct):
    """A state, written down."""

    format: int
    number: int
    last_id: int
    logs: list[LogState]


FORMAT: Final = 1


class State:
    """All logs behind some object of the journal."""

    __slots__ = ("last_id", "logs", "names", "number")

    def __init__(self) -> None:
        self.number = 0
        """Of the last object that is in it."""
        self.last_id = 0
        """Of logs and of owners' tokens."""
        self.logs: dict[int, LogState] = {}
        self.names: dict[str, LogState] = {}

    def encode(self) -> bytes:
        """Writes it down."""
        return msgspec.msgpack.encode(
            _Image(FORMAT, self.number, self.last_id, list(self.logs.values()))
        )

    @classmethod
    def decode(cls, data: bytes) -> State:
        """Reads what ``encode`` has written.

        Raises:
            StorageError: It is none, or one of another program.
        """
        try:
            found = msgspec.msgpack.decode(data, type=_Format).format
            if found != FORMAT:
                raise StorageError(other_format(found))
            image = msgspec.msgpack.decode(data, type=_Image)
        except msgspec.MsgspecError as error:
            message = f"a state in the bucket is damaged: {error}"
            raise StorageError(message) from None
        state = cls()
        state.number, state.last_id = image.number, image.last_id
        keys: dict[str, str] = {}
        for log in image.logs:
            state.logs[log.log_id] = state.names[log.name] = log
            for piece in log.pieces:
                piece.key = keys.setdefault(piece.key, piece.key)
        return state

    def referenced(self) -> set[str]:
        """The keys of all objects that a log needs."""
        keys: set[str] = set()
        for log in self.logs.values():
            keys.update(piece.key for piece in log.pieces)
            if log.snapshot is not None and log.snapshot.key:
                keys.add(log.snapshot.key)
        return keys

    def stored_bytes(self) -> int:
        """Bytes of all logs' batches, those before a start in a segment that is kept included."""
        return sum(each.size_bytes for log in self.logs.values() for each in log.segments)

    def refusal(self, change: Change) -> StorageError | None:
        """Why a change cannot be made now; None where it can."""
        if isinstance(change, Open):
            return self._refusal_to_open(change)
        if isinstance(change, Delete):
            return None
        log = self.logs.get(change.log_id)
        if log is None or log.owner != change.owner:
            return Fenced("the log was opened by somebody else, or deleted")
        if isinstance(change, Append) and log.end_offset != change.base_offset:
            return StorageError(f"{log.name} ends at {log.end_offset}, not {change.base_offset}")
        if isinstance(change, Rewrite) and _range(log, change.replaced) is None:
            return StorageError(f"{log.name} was changed while a part of it was rewritten")
        return None

    def _refusal_to_open(self, change: Open) -> StorageError | None:
        log = self.names.get(change.name)
        if log is None:
            return None
        if log.epoch > change.epoch:
            return Fenced(
                f"{log.name} was opened with epoch {log.epoch}, behind which is {change.epoch}"
            )
        if (
            log.epoch == change.epoch
            and log.instance not in {None, change.instance}
            and log.owner != change.over
        ):
            return HeldElsewhere(
                f"{log.name} is open in another broker, with the same epoch {log.epoch}"
            )
        return None

    def apply(self, change: Change, key: str, data_at: int) -> LogState | None:
        """Makes a change that was checked.

        Args:
            change: The change.
            key: Of the object that tells of it.
            data_at: Where that object's data begins.

        Returns:
            The log, where it still is one.
        """
        if isinstance(change, Open):
            return self._open(change)
        if isinstance(change, Delete):
            gone = self.names.pop(change.name, None)
            if gone is not None:
                del self.logs[gone.log_id]
            return None
        log = self.logs[change.log_id]
        if isinstance(change, Append):
            _append(log, change, key, data_at)
        elif isinstance(change, OwnAgain):
            log.owner = self._next_id()
        elif isinstance(change, Close):
            log.instance = None
        elif isinstance(change, TruncateBefore):
            log.start_offset = change.offset
            log.pieces = [each for each in log.pieces if each.next_offset > change.offset]
            log.segments = [each for each in log.segments if each.next_offset > change.offset]
        elif isinstance(change, TruncateAfter):
            _truncate_after(log, change)
        elif isinstance(change, Replace):
            _replace(log, change)
        elif isinstance(change, Rewrite):
            found = _range(log, change.replaced)
            assert found is not None
            log.pieces[found] = change.pieces
        else:
            log.snapshot = change.snapshot
        return log

    def _open(self, change: Open) -> LogState:
        log = self.names.get(change.name)
        if log is None:
            log = LogState(self._next_id(), change.name, change.epoch, 0)
            self.logs[log.log_id] = self.names[log.name] = log
        log.epoch = change.epoch
        log.owner = self._next_id()
        log.instance = change.instance
        return log

    def _next_id(self) -> int:
        self.last_id += 1
        return self.last_id


def other_format(found: int) -> str:
    """What to say of a bucket that was written in another format."""
    age = "a newer" if found > FORMAT else "an older"
    return (
        f"what lies there was written by {age} DataCore, in format {found}, and this one knows"
        f" {FORMAT} alone: use that version, or another s3.prefix"
    )


def opened(log: LogState) -> OpenedLog:
    """What a new owner is told."""
    return OpenedLog(log.log_id, log.owner, log.start_offset, log.end_offset)


def _append(log: LogState, change: Append, key: str, data_at: int) -> None:
    for piece in change.pieces:
        piece.key = key
        piece.at += data_at
    log.pieces += change.pieces
    log.end_offset = change.next_offset
    for growth in change.growths:
        last = log.segments[-1] if log.segments else None
        if last is not None and last.base_offset == growth.base_offset:
            last.next_offset = growth.next_offset
            last.size_bytes += growth.size_bytes
            last.max_timestamp_ms = max(last.max_timestamp_ms, growth.max_timestamp_ms)
        else:
            log.segments.append(growth)


def _truncate_after(log: LogState, change: TruncateAfter) -> None:
    offset = change.offset
    first = log.first_piece(offset)
    gone = log.pieces[first:]
    del log.pieces[first:]
    if change.last_size >= 0:
        log.pieces.append(
            msgspec.structs.replace(
                gone[0],
                next_offset=offset,
                size=change.last_size,
                max_timestamp_ms=change.last_timestamp_ms,
            )
        )
    log.end_offset = offset
    if log.snapshot is not None and log.snapshot.next_offset > offset:
        log.snapshot = None
    log.segments = [each for each in log.segments if each.base_offset < offset]
    if log.segments and log.segments[-1].next_offset > offset:
        last = log.segments[-1]
        gone_bytes = sum(
            each.size for each in gone if last.base_offset <= each.base_offset < last.next_offset
        )
        last.next_offset = offset
        last.size_bytes -= gone_bytes - max(change.last_size, 0)
        last.max_timestamp_ms = max(
            (each.max_timestamp_ms for each in _of(log.pieces, last.base_offset)), default=-1
        )


def _of(pieces: list[Piece], base_offset: int) -> Iterable[Piece]:
    return (each for each in pieces if each.base_offset >= base_offset)


def _replace(log: LogState, change: Replace) -> None:
    def outside(each: Piece | Stretch) -> bool:
        return not change.base_offset <= each.base_offset < change.next_offset

    log.pieces = sorted(
        [*filter(outside, log.pieces), *change.pieces], key=lambda each: each.base_offset
    )
    log.segments = sorted(
        [*filter(outside, log.segments), *change.segments], key=lambda each: each.base_offset
    )


def _range(log: LogState, pieces: list[Piece]) -> slice | None:
    """Where these pieces stand, unchanged and in a row."""
    at = bisect_right(log.pieces, pieces[0].base_offset, key=lambda piece: piece.base_offset) - 1
    found = slice(max(at, 0), max(at, 0) + len(pieces))
    return found if log.pieces[found] == pieces else None
