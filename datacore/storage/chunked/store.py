"""What a store of chunks must do, so that its logs need not know which one it is.

Rules:

- Whoever opened a log last is its owner, by a token of its own. A change of a log names the token,
  and changes nothing where it is not the log's any more.
- Where a method says nothing of errors, it raises ``Unavailable`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.chunked.segments import Segment
    from datacore.storage.engine import LogName


class Unavailable(StorageError):  # a state of the store, not of the log
    """The store does not answer; what was asked may have been done or not."""


class HeldElsewhere(StorageError):  # a state, which may end
    """A living engine has the log open, with the same epoch."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a store tells of a log with its opening, so that its owner need not ask for each."""

    segments: Sequence[Segment]
    stored_bytes: int
    """Of the first segment, from the chunk on that answers for the log's start."""
    is_summary_known: bool
    """Whether ``summary`` is said at all."""
    summary: tuple[int, bytes] | None
    chunks: Sequence[Chunk]
    """Some that lie behind what the summary sums up."""


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """A log as its new owner finds it."""

    log_id: int
    owner: int
    start_offset: int
    end_offset: int
    learned: Learned | None = None
    """None where the store is to be asked."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of group commit adds to one log."""

    log_id: int
    owner: int
    base_offset: int
    next_offset: int
    segments: Sequence[Segment]
    """What each segment grows by."""
    chunks: Sequence[Chunk]


class RoundStore(Protocol):
    """A store, as far as group commit knows it."""

    async def append(self, rounds: Sequence[Round]) -> set[int]:
        """Adds to several logs at once: to each whole or not at all.

        Returns:
            The ids of the logs that were where their round begins, and the owner's.

        Raises:
            Unavailable: Perhaps it is done, perhaps not.
        """

    async def owned_ends(self, rounds: Iterable[Round]) -> dict[int, int]:
        """The ends of the logs that are still their owner's, by id."""


class ChunkStore(Protocol):
    """A store, as far as its logs know it."""

    async def open_log(self, name: LogName, epoch: int) -> OpenedLog:
        """Makes this engine the owner of a log, made when missing.

        Raises:
            Fenced: It was opened before with a higher epoch.
            HeldElsewhere: It is open with this one, in an engine that lives.
        """

    async def delete_log(self, name: LogName) -> None:
        """Takes a log's name away, and its owner's right."""

    async def own_again(self, log_id: int, owner: int) -> OpenedLog:
        """Takes a new token in place of one whose last round may still be under way.

        Raises:
            Fenced: Somebody else owns the log, or it was deleted.
            Unavailable: The store does not answer.
        """

    async def close_log(self, log_id: int, owner: int) -> None:
        """Lets anybody open the log with the same epoch."""

    async def segments(self, log_id: int) -> list[Segment]:
        """A log's segments."""

    async def read(
        self, log_id: int, offset: int, before_offset: int, max_bytes: int
    ) -> list[Chunk]:
        """Chunks from the one that answers for ``offset``, up to ``max_bytes`` and one more."""

    async def find_timestamp(self, log_id: int, timestamp_ms: int, offset: int) -> Chunk | None:
        """The first chunk behind ``offset`` that has that timestamp or a later one."""

    async def stored_bytes(self, log_id: int, offset: int, next_offset: int) -> int:
        """Bytes of the chunks of this range, the one that answers for ``offset`` included."""

    async def truncate_before(self, log_id: int, owner: int, offset: int) -> None:
        """Moves a log's start and frees the chunks and segments before it.

        Raises:
            Fenced: The log is somebody else's.
        """

    async def truncate_after(
        self, log_id: int, owner: int, offset: int, last: Chunk | None
    ) -> None:
        """Cuts a log's end; ``last`` is what is left of the chunk that the end falls into.

        Raises:
            Fenced: The log is somebody else's.
        """

    async def prepare_replacement(self, log_id: int, chunks: Sequence[Chunk]) -> None:
        """Stores chunks that are to take the place of others, aside."""

    async def replace(
        self, log_id: int, owner: int, base_offset: int, next_offset: int, segments: list[Segment]
    ) -> None:
        """Puts what was prepared in the place of a range of whole segments.

        Raises:
            Fenced: The log is somebody else's.
        """

    async def drop_replacement(self, log_id: int) -> None:
        """Forgets what was prepared."""

    async def save_snapshot(self, log_id: int, owner: int, offset: int, data: bytes) -> None:
        """Replaces a log's summary.

        Raises:
            Fenced: The log is somebody else's.
        """

    async def load_snapshot(self, log_id: int) -> tuple[int, bytes] | None:
        """A log's summary."""
