"""The engine contract: fenced append-only logs of opaque record batches, and nothing else.

Rules:

- An engine knows no topic, group, transaction or config. Offsets and timestamps are computed by
  ``datacore.log`` and passed in; of a batch an engine may read its header
  (``datacore.wire.batch_header``) to find boundaries and torn tails, nothing behind it.
- All methods are called on the event loop's thread. Plain ``def`` methods return in microseconds
  and never wait for a device; what may wait is ``async`` or returns a ``Pending``.
- ``end_offset`` moves when ``append`` returns; ``durable_end_offset`` moves when the engine says
  that the bytes survive a crash. A write that fails leaves the log as it was. When a flush fails,
  the engine drops everything behind ``durable_end_offset``, moves ``end_offset`` back to it, and
  fails every ``Pending`` of what it dropped with a ``StorageError``; later appends start there.
- A log is owned by one opener. Opening with a higher epoch fences the older owner, whose next
  append fails with ``Fenced``.
- ``datacore.testing.engine_suite`` is this page as tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, NewType, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from datacore.storage.pending import Pending
    from datacore.wire.buffer import Buffer

LogName = NewType("LogName", str)
"""A log's name inside its engine: ``[A-Za-z0-9._-]{1,249}``, chosen by the caller."""


class LogExtent(NamedTuple):
    """A stretch of a log that costs next to nothing to free: a file, say."""

    base_offset: int
    """The first offset that can be read of it."""
    next_offset: int
    """The first offset behind it."""
    size_bytes: int
    """Bytes of its batches that can still be read."""
    max_timestamp_ms: int
    """The largest timestamp that it holds, also before ``start_offset``; -1 where none has one."""


class Space(NamedTuple):
    """How much room a store has, as far as it knows: -1 where it does not."""

    total_bytes: int
    """What it may hold, others' data included."""
    usable_bytes: int
    """What can still be written."""


NEVER: Final = 2**63 - 1
"""As many records or milliseconds as never come."""


@dataclass(frozen=True, slots=True)
class FileHandling:
    """What a topic says about the files of its logs; an engine without files has no use for it."""

    index_interval_bytes: int | None = None
    """Bytes between two index entries (Kafka: index.interval.bytes); None: the engine chooses."""
    preallocates: bool = False
    """Whether a new file gets its full size at once (preallocate)."""
    delete_delay_ms: int = 0
    """How long a file that was taken out of a log stays on the device (file.delete.delay.ms)."""
    flush_messages: int = NEVER
    """The append that makes so many records unsynced waits for the device (flush.messages)."""
    flush_ms: int = NEVER
    """No record is unsynced for longer (flush.ms)."""


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """When the last extent of a log ends and another begins.

    An engine may end one earlier, never later. Time is that of the batches, as they tell it: an
    append whose timestamp lies further from the extent's first one goes to the next extent.
    """

    size_bytes: int
    """What an extent may hold (Kafka: segment.bytes); a larger append has one of its own."""
    age_ms: int
    """How far timestamps of one extent lie apart (segment.ms)."""
    jitter_ms: int = 0
    """Each extent's age is shorter by chance, by less than this (segment.jitter.ms)."""
    files: FileHandling = FileHandling()


class StorageError(Exception):
    """The engine could not do it; the log is as it was before the call.

    Where the store is another machine, its answer may be lost to a change of what is durable:
    ``truncate_before``, ``truncate_after`` and ``replace`` may then have been done all the same,
    whole. What is not durable fails with it, the log refuses appends until its store has told what
    it has, and whoever called may make the call again. A summary may have been saved, too.
    """


class CannotStart(StorageError):  # a state, of what the engine was told to use
    """The engine cannot use what it was set up with; nothing was made there.

    The message is one sentence without its end, and says what to change.
    """


class Fenced(StorageError):  # a state, as Kafka names it
    """Another owner has opened the log with a higher epoch."""


class LogNotFound(StorageError):  # a state, as Kafka names it
    """There is no log of that name."""


class OffsetTruncated(StorageError):  # a state, as Kafka names it
    """The offset lies before the log's start or behind its end."""


class Damaged(StorageError):
    """What the store has of an offset is not what was written, and is not served.

    Attributes:
        next_offset: Where reading can go on.
    """

    def __init__(self, message: str, next_offset: int) -> None:
        super().__init__(message)
        self.next_offset = next_offset


class EngineLog(Protocol):
    """One open log. Its attributes are plain reads, cheap enough for every request."""

    @property
    def name(self) -> LogName:
        """The name it was opened by."""

    @property
    def start_offset(self) -> int:
        """The first offset that may be read, as last set by ``truncate_before``; 0 when new."""

    @property
    def end_offset(self) -> int:
        """The offset that the next append must start at."""

    @property
    def durable_end_offset(self) -> int:
        """Everything before this offset survives a crash of process and machine."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all batches that can still be read."""

    def append(
        self, data: Buffer, *, base_offset: int, next_offset: int, max_timestamp_ms: int
    ) -> Pending[None] | None:
        """Appends one or more whole batches that already carry their offsets.

        ``data`` may be reused by the caller as soon as this returns. ``base_offset`` is the first
        batch's and must equal ``end_offset``; ``next_offset`` is the last batch's last offset + 1;
        ``max_timestamp_ms`` is the largest timestamp in ``data``.

        Returns:
            None when the data is durable now, else what settles when it is. Appends that became
            durable together may share it; logs never do, so that one cannot fail for another.

        Raises:
            StorageError: Nothing was appended.
        """

    def read_warm(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer] | None:
        """Reads whole batches from the one that contains ``offset``, if no device must be asked.

        The first batch comes back even where it is larger than ``max_bytes``; more follow while
        the sum stays within ``max_bytes`` and their base offset is below ``before_offset``. Where
        ``offset`` fell out by compaction, the first batch is the next one behind it: whoever reads
        on behind what came back gets ahead. Each buffer holds one or more whole batches and never
        changes afterwards. Empty when ``offset`` is at or behind ``before_offset``.

        Returns:
            None when the data is not in memory: ``read`` then fetches it.

        Raises:
            OffsetTruncated: ``offset`` is below ``start_offset`` or above ``end_offset``.
            Damaged: The store has lost what was there; what comes before and behind it goes on.
        """

    async def read(self, offset: int, *, max_bytes: int, before_offset: int) -> list[Buffer]:
        """``read_warm``, waiting for the device where need be."""

    async def find_timestamp(self, timestamp_ms: int) -> int:
        """An offset from which a scan meets the first batch with max timestamp >= the one asked.

        It may lie before that batch (the time index is sparse), never behind it; it is
        ``end_offset`` when no batch qualifies. Offsets below ``start_offset`` are not looked at.
        """

    def limit_segments(self, limits: SegmentLimits) -> None:
        """Bounds extents from the next append on; without it, the engine chooses."""

    async def extents(self) -> Sequence[LogExtent]:
        """The log, cut where ``truncate_before`` frees space at once.

        Each begins where the one before ends, the first at ``start_offset``; the last one ends at
        ``end_offset``. There is none in a log that holds nothing. No device is asked for what was
        learned since the log was opened.
        """

    async def truncate_before(self, offset: int) -> None:
        """Makes ``offset`` the new ``start_offset``, durably, and frees what lies before it.

        Raises:
            OffsetTruncated: ``offset`` lies behind ``end_offset``.
            StorageError: It did not, as far as is known.
        """

    async def truncate_after(self, offset: int) -> None:
        """Drops everything from ``offset`` on, which must be a batch's base offset or the end.

        Nothing is appended until it has returned.

        Raises:
            OffsetTruncated: ``offset`` is below ``start_offset`` or above ``end_offset``.
            StorageError: Nothing was dropped, as far as is known.
        """

    async def replace(
        self, base_offset: int, next_offset: int, batches: AsyncIterator[Buffer]
    ) -> None:
        """Puts other batches in the place of those of whole extents: all or none, and durably.

        The range begins where an extent begins and ends where one ends, before the last extent,
        which appends go to. No offset changes: the new batches lie within the range in ascending
        order, and the last one ends where the range does, so that no reader falls into a hole.
        Afterwards the range is cut into extents anew. ``batches`` yields one or more whole batches
        at a time and is consumed while the log goes on. What was read before stays what it was,
        and a crash leaves the old batches or the new ones.

        Raises:
            StorageError: Nothing was replaced, as far as is known. The range is not one of whole
                extents, or is no longer what it was in the beginning; the batches are not as they
                should be; another replacement is under way; or the store says no.
        """

    async def save_snapshot(self, offset: int, snapshot: bytes) -> None:
        """Keeps an opaque summary of everything before ``offset``, replacing the one before.

        It falls with what it sums up, when the log is cut to end before ``offset``.
        """

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        """The last saved summary and its offset; None when there is none that is whole."""

    async def close(self) -> None:
        """Makes everything durable and lets go of the log, which can then be opened again."""


class Engine(Protocol):
    """A store of logs."""

    @property
    def place(self) -> str:
        """Where the logs lie, for people: a folder's absolute path, or what stands for one.

        It holds no secret, and is the same from one start to the next.
        """

    async def space(self) -> Space:
        """How much room there is now.

        Raises:
            StorageError: The store does not answer.
        """

    async def start(self) -> None:
        """Makes the store ready.

        Raises:
            StorageError: It cannot keep this contract; the message says why, for people.
        """

    async def list_logs(self) -> Sequence[LogName]:
        """Every log that exists, open or not."""

    async def open_log(self, name: LogName, *, epoch: int) -> EngineLog:
        """Opens a log, made when missing, and recovers it.

        A torn tail is cut at the last whole batch, with one log line. An owner with a lower epoch
        is fenced; what it appended is made durable first.

        Raises:
            Fenced: It was opened before with a higher epoch.
            StorageError: It is open with the same epoch, the name is not one, or the store says no.
        """

    async def delete_log(self, name: LogName) -> None:
        """Deletes a log, open or not; its space comes back soon after. Missing is fine."""

    async def close(self) -> None:
        """Closes every open log, then the store."""
