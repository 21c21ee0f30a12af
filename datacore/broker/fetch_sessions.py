"""Fetch sessions (KIP-227): a consumer names its partitions once and then only what changes.

Rules: session id 0 means no session. Epoch -1 closes a session, 0 opens one, and each answer moves
it by one, so that client and broker notice a lost step. When every slot is taken by a session that
was used within the last two minutes, a client that asks for one is served without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore._generated.fetch import FetchRequest
    from datacore.log.partition_log import PartitionLog

FINAL_EPOCH: Final = -1
INITIAL_EPOCH: Final = 0
EVICTABLE_AFTER_MS: Final = 120_000
_EPOCH_MAX: Final = 2**31 - 1

_Key: TypeAlias = tuple[str | bytes, int]
"""A topic by name or id, as the session has them, and a partition's index."""


class WantedPartition(msgspec.Struct, eq=False, gc=False):
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
    isolation_level: int = 0
    partitions: dict[_Key, WantedPartition] = field(default_factory=dict)
    awake: dict[_Key, WantedPartition] = field(default_factory=dict)
    """Those that do not rest, in the order in which they are read: who got records last is last."""
    on_wake: Callable[[WantedPartition], None] | None = None
    """What a request that waits is told by, when a partition rests no more."""
    _resting: dict[_Key, tuple[PartitionLog, Callable[[], None]]] = field(default_factory=dict)

    def want(self, wanted: WantedPartition) -> None:
        """Takes a partition in, or what a client says anew of it."""
        key = self._key(wanted)
        known = self.partitions.get(key)
        if known is not None:
            wanted.told_high_watermark = known.told_high_watermark
            wanted.told_log_start_offset = known.told_log_start_offset
            self._end_rest(key)
        self.partitions[key] = self.awake[key] = wanted

    def forget(self, key: _Key) -> None:
        """Takes a partition out; unknown is fine."""
        self._end_rest(key)
        self.partitions.pop(key, None)
        self.awake.pop(key, None)

    def note_served(self, wanted: WantedPartition) -> None:
        """Moves a partition behind the others, so that a full answer starves none of them."""
        key = self._key(wanted)
        if self.awake.get(key) is wanted:
            del self.awake[key]
            self.awake[key] = wanted

    def rest(self, wanted: WantedPartition, log: PartitionLog) -> None:
        """Lets a partition be until its log moves: its consumer has and knows everything."""
        key = self._key(wanted)
        if self.awake.get(key) is wanted:
            del self.awake[key]
            wake = partial(self._wake, key)
            log.watch(wake)
            self._resting[key] = (log, wake)

    def wake_all(self) -> None:
        """Has every partition looked at again."""
        for key in list(self._resting):
            self._end_rest(key)
            self.awake[key] = self.partitions[key]

    def close(self) -> None:
        """Lets go of all partitions: nobody will ask for them any more."""
        for key in list(self._resting):
            self._end_rest(key)
        self.partitions.clear()
        self.awake.clear()

    def _wake(self, key: _Key) -> None:
        self._end_rest(key)
        wanted = self.awake[key] = self.partitions[key]
        if self.on_wake is not None:
            self.on_wake(wanted)

    def _end_rest(self, key: _Key) -> None:
        resting = self._resting.pop(key, None)
        if resting is not None:
            log, wake = resting
            log.unwatch(wake)

    def _key(self, wanted: WantedPartition) -> _Key:
        return (wanted.topic_id if self.uses_topic_ids else wanted.topic), wanted.index


class FetchScope(msgspec.Struct, eq=False):
    """What one Fetch request is about, sessions resolved."""

    partitions: list[WantedPartition]
    session: FetchSession | None = None
    is_incremental: bool = False
    """Only partitions with news belong into the answer, and only those awake are looked at."""

    @property
    def session_id(self) -> int:
        """The id to answer with."""
        return 0 if self.session is None else self.session.session_id

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted at all."""
        return not self.partitions and (self.session is None or not self.session.partitions)


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
            return FetchScope(_wanted_once(request))
        if request.session_epoch in {FINAL_EPOCH, INITIAL_EPOCH}:
            replaced = self._sessions.pop(request.session_id, None)
            if replaced is not None:
                replaced.close()
            wanted = _wanted_once(request)
            session = None
            if request.session_epoch == INITIAL_EPOCH:
                session = self._open(by_id=by_id)
                if session is not None:
                    session.isolation_level = request.isolation_level
                    for each in wanted:
                        session.want(each)
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
        if request.isolation_level != session.isolation_level:
            session.isolation_level = request.isolation_level
            session.wake_all()
        for wanted in _wanted(request):
            session.want(wanted)
        for forgotten in request.forgotten_topics_data:
            for index in forgotten.partitions:
                session.forget((forgotten.topic_id if by_id else forgotten.topic, index))
        return FetchScope(list(session.awake.values()), session, is_incremental=True)

    def _open(self, *, by_id: bool) -> FetchSession | None:
        now_ms = self._now_ms()
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now_ms - oldest.last_used_ms < EVICTABLE_AFTER_MS:
                return None
            del self._sessions[oldest.session_id]
            oldest.close()
        session_id = self._new_session_id()
        while session_id in self._sessions:
            session_id = self._new_session_id()
        session = FetchSession(session_id, uses_topic_ids=by_id, last_used_ms=now_ms)
        self._sessions[session_id] = session
        return session


def _wanted_once(request: FetchRequest) -> list[WantedPartition]:
    """Each partition that a request names; who names one twice wants what it says last."""
    wanted = _wanted(request)
    if len(wanted) < 2:
        return wanted
    return list({(each.topic, each.topic_id, each.index): each for each in wanted}.values())


def _wanted(request: FetchRequest) -> list[WantedPartition]:
    return [
        WantedPartition(
            topic.topic,
            topic.topic_id,
            partition.partition,
            partition.fetch_offset,
            partition.partition_max_bytes,
            partition.current_leader_epoch,
            partition.last_fetched_epoch,
        )
        for topic in request.topics
        for partition in topic.partitions
    ]
