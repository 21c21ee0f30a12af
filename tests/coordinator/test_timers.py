from hypothesis import given
from hypothesis import strategies as st

from datacore.coordinator.timers import Timers


def drain(timers: Timers[str], now_ms: int) -> list[str]:
    names = []
    while (name := timers.pop_due(now_ms)) is not None:
        names.append(name)
    return names


def test_nothing_scheduled_has_no_deadline() -> None:
    timers = Timers[str]()
    assert timers.deadline() is None
    assert timers.pop_due(10**15) is None


def test_timers_fire_in_order_of_their_deadlines_and_not_early() -> None:
    timers = Timers[str]()
    timers.schedule("late", 30)
    timers.schedule("early", 10)
    assert timers.deadline() == 10
    assert drain(timers, 29) == ["early"]
    assert drain(timers, 30) == ["late"]


def test_a_timer_that_is_moved_fires_at_its_new_time_alone() -> None:
    timers = Timers[str]()
    timers.schedule("later", 10)
    timers.schedule("later", 20)
    timers.schedule("sooner", 40)
    timers.schedule("sooner", 15)
    assert timers.deadline() == 15
    assert drain(timers, 15) == ["sooner"]
    assert timers.deadline() == 20
    assert drain(timers, 100) == ["later"]


def test_a_cancelled_timer_does_not_fire_and_can_be_scheduled_again() -> None:
    timers = Timers[str]()
    timers.schedule("a", 10)
    timers.cancel("a")
    timers.cancel("never scheduled")
    assert "a" not in timers
    assert timers.deadline() is None
    timers.schedule("a", 12)
    assert "a" in timers
    assert drain(timers, 12) == ["a"]


def test_heartbeats_do_not_grow_the_heap() -> None:
    timers = Timers[str]()
    for now_ms in range(10_000):
        timers.schedule("session", now_ms + 100)
        assert timers.pop_due(now_ms) is None
    assert len(timers._heap) == 1


def test_a_deadline_that_moved_away_may_be_taken_for_near_until_the_next_look() -> None:
    timers = Timers[str]()
    assert not timers.may_be_due_before(10**15)
    timers.schedule("session", 10)
    assert not timers.may_be_due_before(10)
    assert timers.may_be_due_before(11)
    timers.schedule("session", 50)
    assert timers.may_be_due_before(11)
    assert timers.deadline() == 50
    assert not timers.may_be_due_before(50)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["schedule", "cancel", "advance"]),
            st.sampled_from("abc"),
            st.integers(0, 20),
        ),
        max_size=60,
    )
)
def test_timers_behave_like_a_dict_of_deadlines(steps: list[tuple[str, str, int]]) -> None:
    timers, model, now_ms = Timers[str](), dict[str, int](), 0
    for step, name, ms in steps:
        if step == "schedule":
            timers.schedule(name, now_ms + ms)
            model[name] = now_ms + ms
        elif step == "cancel":
            timers.cancel(name)
            model.pop(name, None)
        else:
            now_ms += ms
            fired = drain(timers, now_ms)
            due = {other for other, due_ms in model.items() if due_ms <= now_ms}
            assert set(fired) == due
            assert len(fired) == len(due)
            assert [model[other] for other in fired] == sorted(model[other] for other in due)
            model = {other: due_ms for other, due_ms in model.items() if other not in due}
        for soon_ms in range(now_ms, now_ms + 25, 4):
            is_due = any(due_ms < soon_ms for due_ms in model.values())
            assert timers.may_be_due_before(soon_ms) or not is_due
        assert timers.deadline() == min(model.values(), default=None)
        assert len(timers) == len(model)
