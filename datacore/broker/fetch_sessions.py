"""Fetch sessions (KIP-227): a consumer names its partitions once and then only what changes.

Rules: session id 0 means no session. Epoch -1 closes a session, 0 opens one, and each answer moves
it by one, so that client and broker notice a lost step. When every slot is taken by a session that
was used within the last two minutes, a client that asks for one is served without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datacore._generated.fetch import FetchRequest

FINAL_EPOCH: Final = -1
INITIAL_EPOCH: Final = 0
EVICTABLE_AFTER_MS: Final = 120_000
_EPOCH_MAX: Final = 2**31 - 1


@dataclass(slots=True)
class WantedPartition:
    """One partition that a consumer fetches, and what it was last told about it."""

    topic: str
    topic_id: bytes
    index: int
    fetch_offset: int
    max_bytes: int
    current_leader_epoch: int
    last_fetched_epoch: int
    told_high_watermark: int = -1
    told_log_start_offset: int = -1


@dataclass(slots=True)
class FetchSession:
    """What the broker remembers of one session."""

    session_id: int
    uses_topic_ids: bool
    epoch: int = 1
    last_used_ms: int = 0
    partitions: dict[tuple[str | bytes, int], WantedPartition] = field(default_factory=dict)
    """In the order in which they are read: who got records last comes last."""

    def note_served(self, wanted: WantedPartition) -> None:
        """Moves a partition behind the others, so that a full answer starves none of them."""
        key = _key(wanted, by_id=self.uses_topic_ids)
        if self.partitions.get(key) is wanted:
            del self.partitions[key]
            self.partitions[key] = wanted


@dataclass(slots=True)
class FetchScope:
    """What one Fetch request is about, sessions resolved."""

    partitions: list[WantedPartition]
    session: FetchSession | None = None
    is_incremental: bool = False
    """Only partitions with news belong into the answer."""

    @property
    def session_id(self) -> int:
        """The id to answer with."""
        return 0 if self.session is None else self.session.session_id


class FetchSessions:
    """The sessions of this broker."""

    def __init__(
        self, slots: int, now_ms: Callable[[], int], new_session_id: Callable[[], int]
    ) -> None:
        self._slots = slots
        self._now_ms = now_ms
        self._new_session_id = new_session_id
        self._sessions: dict[int, FetchSession] = {}

    def resolve(self, request: FetchRequest, version: int) -> FetchScope:
        """Takes a request into its session.

        Raises:
            KafkaError: The session is unknown or out of step; the client starts a new one.
        """
        by_id = version >= 13
        if version < 7 or (request.session_id == 0 and request.session_epoch == FINAL_EPOCH):
            return FetchScope(list(_wanted(request)))
        if request.session_epoch in {FINAL_EPOCH, INITIAL_EPOCH}:
            self._sessions.pop(request.session_id, None)
            wanted = list(_wanted(request))
            session = None
            if request.session_epoch == INITIAL_EPOCH and wanted:
                session = self._open(by_id=by_id)
                if session is not None:
                    session.partitions = {_key(p, by_id=by_id): p for p in wanted}
            return FetchScope(wanted, session)
        return self._go_on(request, by_id=by_id)

    def _go_on(self, request: FetchRequest, *, by_id: bool) -> FetchScope:
        session = self._sessions.get(request.session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.uses_topic_ids != by_id:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        if session.epoch != request.session_epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        session.epoch = 1 if session.epoch == _EPOCH_MAX else session.epoch + 1
        # Last used goes last: eviction looks from the front.
        del self._sessions[session.session_id]
        self._sessions[session.session_id] = session
        session.last_used_ms = self._now_ms()
        partitions = session.partitions
        for wanted in _wanted(request):
            key = _key(wanted, by_id=by_id)
            known = partitions.get(key)
            if known is not None:
                wanted.told_high_watermark = known.told_high_watermark
                wanted.told_log_start_offset = known.told_log_start_offset
            partitions[key] = wanted
        for forgotten in request.forgotten_topics_data:
            for index in forgotten.partitions:
                partitions.pop((forgotten.topic_id if by_id else forgotten.topic, index), None)
        return FetchScope(list(partitions.values()), session, is_incremental=True)

    def _open(self, *, by_id: bool) -> FetchSession | None:
        now_ms = self._now_ms()
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now_ms - oldest.last_used_ms < EVICTABLE_AFTER_MS:
                return None
            del self._sessions[oldest.session_id]
        session_id = self._new_session_id()
        while session_id in self._sessions:
            session_id = self._new_session_id()
        session = FetchSession(session_id, uses_topic_ids=by_id, last_used_ms=now_ms)
        self._sessions[session_id] = session
        return session


def _key(wanted: WantedPartition, *, by_id: bool) -> tuple[str | bytes, int]:
    return (wanted.topic_id if by_id else wanted.topic), wanted.index


def _wanted(request: FetchRequest) -> Iterable[WantedPartition]:
    for topic in request.topics:
        for partition in topic.partitions:
            yield WantedPartition(
                topic.topic,
                topic.topic_id,
                partition.partition,
                partition.fetch_offset,
                partition.partition_max_bytes,
                partition.current_leader_epoch,
                partition.last_fetched_epoch,
            )
