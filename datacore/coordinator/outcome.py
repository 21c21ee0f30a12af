"""What a coordinator decided: records to append, replies to send, sentences for the log.

A coordinator is a pure machine; the runtime that drives it keeps five rules:

1. One call at a time. An outcome's records are appended to the shard's log in order, and each is
   handed to ``apply`` right after the append (before it is durable), before the next call.
2. An outcome's replies leave when every record that was appended to the shard's log up to that
   moment, its own included, is durable. So no client hears of state that could still vanish: a
   SyncGroup answered from an assignment, or an OffsetFetch of a commit, waits for the same flush
   as the request that wrote it. With nothing in flight, replies leave at once.
3. Sentences are logged at info when the outcome is made.
4. When an append fails, the machine is thrown away: ``fail_all`` answers what is parked in it, the
   requests whose replies rule 2 still held back get an error in place of those, and a new machine
   is built by replay. An outcome that ``is_only_records`` spares that: where the log refused its
   records whole, ``withdraw`` is all, and its own replies alone become errors.
5. Effects are begun when rule 2 lets the replies go, after them. Those of a machine that is thrown
   away are forgotten: the new machine asks again for what its log says is owed.

Kafka's counterpart is ``CoordinatorResult`` with its timeline data structures; rule 2 stands for
those structures' reads at the last committed offset.
"""

from collections.abc import Hashable
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

ReplyToken: TypeAlias = Hashable
"""Names the request that a reply answers. Chosen by the caller, opaque to the coordinator."""


class ResponseMessage(Protocol):
    """Any generated response."""

    def encode(self, version: int) -> bytes:
        """The message's bytes in the version of its request."""
        ...


class Record(NamedTuple):
    """One record for the shard's log, in Kafka's stored format; no value is a tombstone."""

    key: bytes
    value: bytes | None


class Producer(NamedTuple):
    """Whose transaction records belong to."""

    producer_id: int
    producer_epoch: int


class Reply(msgspec.Struct, frozen=True):
    """The answer to the request that came with this token."""

    token: ReplyToken
    message: ResponseMessage


class Outcome(msgspec.Struct):
    """All that follows from one call of a coordinator.

    Attributes:
        records: To be appended, all or none.
        producer: The transaction that the records belong to; None: they belong to none.
        replies: To be sent.
        effects: Work outside of the machine, each of a type that the machine and its driver share.
        sentences: For the log.
        is_only_records: All that the call changed, the lengths of sessions apart, changes when
            these are applied.
    """

    records: list[Record] = msgspec.field(default_factory=list)
    producer: Producer | None = None
    replies: list[Reply] = msgspec.field(default_factory=list)
    effects: list[object] = msgspec.field(default_factory=list)
    sentences: list[str] = msgspec.field(default_factory=list)
    is_only_records: bool = False

    def append(self, record: Record) -> None:
        """Adds a record for the log."""
        self.records.append(record)

    def reply(self, token: ReplyToken, message: ResponseMessage) -> None:
        """Answers a request: the one of this call, or one that was parked before."""
        self.replies.append(Reply(token, message))

    def say(self, sentence: str) -> None:
        """Tells the log, in one sentence, what somebody who waits would want to know."""
        self.sentences.append(sentence)
