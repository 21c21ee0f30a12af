"""Fetch sessions as KIP-227 has them."""

import itertools

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from datacore.broker.fetch_sessions import EVICTABLE_AFTER_MS, FetchScope, FetchSessions
from datacore.protocol.errors import KafkaError

BY_NAME, BY_ID = 12, 13
FULL, CLOSING = 0, -1
ID_OF = {"a": b"a" * 16, "b": b"b" * 16}


class Clock:
    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> FetchSessions:
    ids = itertools.count(100)
    return FetchSessions(2, clock, lambda: next(ids))


def request(
    *partitions: tuple[str, int, int],
    session: int = 0,
    epoch: int = FULL,
    forgotten: tuple[tuple[str, int], ...] = (),
) -> FetchRequest:
    """A request for (topic, partition, offset)s."""
    return FetchRequest(
        session_id=session,
        session_epoch=epoch,
        topics=[
            FetchTopic(
                topic=name,
                topic_id=ID_OF[name],
                partitions=[
                    FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=9)
                ],
            )
            for name, index, offset in partitions
        ],
        forgotten_topics_data=[
            ForgottenTopic(topic=name, topic_id=ID_OF[name], partitions=[index])
            for name, index in forgotten
        ],
    )


def wanted(scope: FetchScope) -> list[tuple[str, int, int]]:
    return [(p.topic, p.index, p.fetch_offset) for p in scope.partitions]


def refusal(sessions: FetchSessions, asked: FetchRequest, version: int = BY_NAME) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        sessions.resolve(asked, version)
    return refused.value.code


def opened(sessions: FetchSessions, version: int = BY_NAME) -> int:
    scope = sessions.resolve(request(("a", 0, 5)), version)
    assert not scope.is_incremental
    return scope.session_id


@pytest.mark.parametrize("version", [4, 6])
def test_old_versions_have_no_sessions(sessions: FetchSessions, version: int) -> None:
    assert sessions.resolve(request(("a", 0, 5), epoch=CLOSING), version).session_id == 0


def test_a_client_that_wants_no_session_gets_none(sessions: FetchSessions) -> None:
    scope = sessions.resolve(request(("a", 0, 5), epoch=CLOSING), BY_NAME)
    assert (scope.session_id, wanted(scope), scope.is_incremental) == (0, [("a", 0, 5)], False)


@pytest.mark.parametrize("version", [7, BY_NAME, BY_ID, 18])
def test_a_session_remembers_what_is_not_said_again(sessions: FetchSessions, version: int) -> None:
    session = opened(sessions, version)
    second = sessions.resolve(request(("b", 1, 7), session=session, epoch=1), version)
    assert second.is_incremental
    assert wanted(second) == [("a", 0, 5), ("b", 1, 7)]
    third = sessions.resolve(request(("a", 0, 6), session=session, epoch=2), version)
    assert wanted(third) == [("a", 0, 6), ("b", 1, 7)]


@pytest.mark.parametrize("version", [BY_NAME, BY_ID])
def test_forgotten_partitions_leave_the_session(sessions: FetchSessions, version: int) -> None:
    session = opened(sessions, version)
    asked = request(("b", 1, 7), session=session, epoch=1, forgotten=(("a", 0), ("b", 9)))
    assert wanted(sessions.resolve(asked, version)) == [("b", 1, 7)]


def test_a_lost_or_repeated_step_is_noticed(sessions: FetchSessions) -> None:
    session = opened(sessions)
    for epoch in (2, 5):
        code = refusal(sessions, request(session=session, epoch=epoch))
        assert code is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    sessions.resolve(request(session=session, epoch=1), BY_NAME)
    code = refusal(sessions, request(session=session, epoch=1))
    assert code is ErrorCode.INVALID_FETCH_SESSION_EPOCH


def test_the_epoch_goes_from_the_largest_to_one(sessions: FetchSessions) -> None:
    session = opened(sessions)
    sessions._sessions[session].epoch = 2**31 - 1
    sessions.resolve(request(session=session, epoch=2**31 - 1), BY_NAME)
    assert sessions.resolve(request(session=session, epoch=1), BY_NAME).session_id == session


def test_an_unknown_session_is_told_so(sessions: FetchSessions) -> None:
    assert refusal(sessions, request(session=7, epoch=3)) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert refusal(sessions, request(session=0, epoch=3)) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


@pytest.mark.parametrize(("first", "second"), [(BY_NAME, BY_ID), (BY_ID, BY_NAME)])
def test_a_session_stays_with_names_or_with_ids(
    sessions: FetchSessions, first: int, second: int
) -> None:
    session = opened(sessions, first)
    code = refusal(sessions, request(session=session, epoch=1), second)
    assert code is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_a_closed_session_is_gone_and_its_last_request_answered(sessions: FetchSessions) -> None:
    session = opened(sessions)
    last = sessions.resolve(request(("b", 1, 7), session=session, epoch=CLOSING), BY_NAME)
    assert (last.session_id, wanted(last)) == (0, [("b", 1, 7)])
    code = refusal(sessions, request(session=session, epoch=1))
    assert code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_opening_anew_replaces_the_session(sessions: FetchSessions) -> None:
    session = opened(sessions)
    again = sessions.resolve(request(("b", 0, 0), session=session, epoch=FULL), BY_NAME)
    assert again.session_id not in {0, session}
    code = refusal(sessions, request(session=session, epoch=1))
    assert code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_without_a_free_slot_a_client_is_served_without_a_session(
    sessions: FetchSessions, clock: Clock
) -> None:
    opened(sessions)
    opened(sessions)
    clock.now_ms = EVICTABLE_AFTER_MS - 1
    scope = sessions.resolve(request(("a", 0, 5)), BY_NAME)
    assert (scope.session_id, wanted(scope)) == (0, [("a", 0, 5)])


def test_the_session_that_was_idle_longest_makes_room(
    sessions: FetchSessions, clock: Clock
) -> None:
    first, second = opened(sessions), opened(sessions)
    clock.now_ms = 1
    sessions.resolve(request(session=first, epoch=1), BY_NAME)
    clock.now_ms = EVICTABLE_AFTER_MS
    third = opened(sessions)
    assert third != 0
    code = refusal(sessions, request(session=second, epoch=1))
    assert code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert sessions.resolve(request(session=first, epoch=2), BY_NAME).session_id == first


def test_no_slots_means_no_sessions(clock: Clock) -> None:
    sessions = FetchSessions(0, clock, lambda: 1)
    assert opened(sessions) == 0
