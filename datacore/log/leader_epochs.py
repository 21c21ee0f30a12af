"""Which leader epoch wrote which offsets of one partition (KIP-101, KIP-279).

Kafka's counterpart is ``LeaderEpochFileCache``. The entries are derived from the batches
themselves, so they need no file of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

UNDEFINED_EPOCH: Final = -1
"""What a reader names that has no epoch: nothing is known of it, not even what comes behind."""


@dataclass(slots=True)
class LeaderEpochs:
    """Ascending epochs, each with the first offset that was written in it."""

    epochs: list[int] = field(default_factory=list)
    start_offsets: list[int] = field(default_factory=list)

    @property
    def latest(self) -> int:
        """The epoch of the last batch; -1 when nothing was written."""
        return self.epochs[-1] if self.epochs else -1

    def assign(self, epoch: int, offset: int) -> None:
        """Notes that the batch at ``offset`` was written in ``epoch``."""
        if epoch > self.latest:
            self.epochs.append(epoch)
            self.start_offsets.append(offset)

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """Where an epoch ended: OffsetForLeaderEpoch's answer.

        Returns:
            The largest known epoch that is not above ``epoch`` and the first offset behind it. An
            epoch from before the first known one ends where that one starts; (-1, -1) for an
            epoch above all that are known.
        """
        if epoch == UNDEFINED_EPOCH:
            return UNDEFINED_EPOCH, -1
        at = bisect_right(self.epochs, epoch)
        if at == len(self.epochs):
            if self.latest == epoch and epoch >= 0:
                return epoch, log_end_offset
            return -1, -1
        return (self.epochs[at - 1] if at else epoch), self.start_offsets[at]

    def truncate_after(self, offset: int) -> None:
        """Forgets the epochs that began at ``offset`` or behind it."""
        while self.start_offsets and self.start_offsets[-1] >= offset:
            self.start_offsets.pop()
            self.epochs.pop()

    def truncate_before(self, offset: int) -> None:
        """Forgets the epochs that ended at ``offset`` or before it; the next one starts there."""
        gone = max(bisect_right(self.start_offsets, offset) - 1, 0)
        del self.epochs[:gone], self.start_offsets[:gone]
        if self.start_offsets:
            self.start_offsets[0] = max(self.start_offsets[0], offset)

    def epoch_of(self, offset: int) -> int:
        """The epoch in which ``offset`` was, or would be, written; -1 when unknown."""
        at = bisect_right(self.start_offsets, offset)
        return self.epochs[at - 1] if at else -1
