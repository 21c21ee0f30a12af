"""Random lives of a state machine, by Hypothesis or by a seed, of the same rules.

Hypothesis finds the shortest life that fails, and spends most of its time on its own books. So
each machine lives twice: some lives by Hypothesis, and many by ``random.Random``, which costs a
third. What is drawn is therefore said once, by a ``Draw``, for both. A failed life of a seed tells
its seed and its last steps; Hypothesis, or a test that writes the steps down, makes it short.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hypothesis import stateful
from hypothesis import strategies as st

T = TypeVar("T")
ActT = TypeVar("ActT", bound=Callable[..., Any])

LIFE_STEPS = 60
STEPS_TOLD = 40
RULE_SHARE = 0.7
"""Of the rules that a life has, as some things show only where others do not happen."""


@dataclass(frozen=True)
class Draw(Generic[T]):
    """A value that is drawn."""

    strategy: st.SearchStrategy[T]
    take: Callable[[random.Random], T]


def integers(low: int, high: int) -> Draw[int]:
    """From ``low`` to ``high``, both included."""
    return Draw(st.integers(low, high), lambda chance: chance.randint(low, high))


def booleans() -> Draw[bool]:
    """Either."""
    return Draw(st.booleans(), lambda chance: chance.random() < 0.5)  # a half


def sampled_from(values: Sequence[T]) -> Draw[T]:
    """One of these."""
    return Draw(st.sampled_from(values), lambda chance: chance.choice(values))


def lists(of: Draw[T], *, min_size: int, max_size: int) -> Draw[list[T]]:
    """So many of those."""
    return Draw(
        st.lists(of.strategy, min_size=min_size, max_size=max_size),
        lambda chance: [of.take(chance) for _ in range(chance.randint(min_size, max_size))],
    )


def permutations(values: Sequence[T]) -> Draw[list[T]]:
    """All of these, in any order."""
    return Draw(st.permutations(values), lambda chance: chance.sample(values, len(values)))


_BEGINNINGS: dict[object, Mapping[str, Draw[Any]]] = {}
_RULES: dict[object, Mapping[str, Draw[Any]]] = {}
_INVARIANTS: set[object] = set()


def initialize(**draws: Draw[Any]) -> Callable[[ActT], ActT]:
    """How a life begins."""

    def mark(act: ActT) -> ActT:
        strategies = {name: draw.strategy for name, draw in draws.items()}
        marked: ActT = stateful.initialize(**strategies)(act)  # type: ignore[call-overload]  # see rule
        _BEGINNINGS[marked] = draws
        return marked

    return mark


def rule(**draws: Draw[Any]) -> Callable[[ActT], ActT]:
    """What may happen in a life."""

    def mark(act: ActT) -> ActT:
        strategies = {name: draw.strategy for name, draw in draws.items()}
        marked: ActT = stateful.rule(**strategies)(act)  # type: ignore[call-overload]  # no targets
        _RULES[marked] = draws
        return marked

    return mark


def invariant() -> Callable[[ActT], ActT]:
    """What holds after each step."""

    def mark(act: ActT) -> ActT:
        marked: ActT = stateful.invariant()(act)
        _INVARIANTS.add(marked)
        return marked

    return mark


def live(machine: type[stateful.RuleBasedStateMachine], *, steps: int, seed: int) -> None:
    """Lives of ``LIFE_STEPS`` each, until so many steps are done."""
    for number in range(-(-steps // LIFE_STEPS)):
        _live_once(machine, f"{seed}.{number}")


def _live_once(machine: type[stateful.RuleBasedStateMachine], seed: str) -> None:
    # The same seed is the same life: whatever a failure needs to come again.
    chance = random.Random(seed)  # no secret
    acts = [act for name, act in sorted(vars(machine).items())]
    beginnings = [act for act in acts if _is_in(act, _BEGINNINGS)]
    rules = [act for act in acts if _is_in(act, _RULES)]
    invariants = [act for act in acts if _is_in(act, _INVARIANTS)]
    rules = [act for act in rules if chance.random() < RULE_SHARE] or rules
    life = machine()
    told: list[str] = []

    def step(act: Callable[..., None], draws: Mapping[str, Draw[Any]]) -> None:
        drawn = {name: draw.take(chance) for name, draw in draws.items()}
        told.append(f"{act.__name__}({', '.join(f'{k}={v!r}' for k, v in drawn.items())})")
        act(life, **drawn)
        for holds in invariants:
            holds(life)

    try:
        for act in beginnings:
            step(act, _BEGINNINGS[act])
        for _ in range(LIFE_STEPS):
            act = chance.choice(rules)
            step(act, _RULES[act])
        life.teardown()
    except Exception as error:
        last = "\n".join(told[-STEPS_TOLD:])
        error.add_note(f"in the life of seed {seed!r}, after {len(told)} steps, the last:\n{last}")
        raise


def _is_in(act: object, marked: Mapping[object, object] | set[object]) -> bool:
    return callable(act) and act in marked
