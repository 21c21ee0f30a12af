"""Apache Kafka and DataCore answer sequences of requests alike, over all APIs and versions.

``make test-differential`` runs it with as many sequences as DATACORE_SEQUENCES says; it needs Java
and Maven. Where the answers part, hypothesis looks for the shortest sequence that shows it, and
its script is printed: put it into a file, and `python -m tests.differential.replay FILE` tells it
to both again. What differs on purpose is in known_differences.toml.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.differential.arena import Arena, arena
from tests.differential.duel import Difference
from tests.differential.known_differences import (
    admin_differences,
    config_differences,
    sequence_differences,
)
from tests.differential.sequences import Step, script, sequences

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]

SEQUENCES = int(os.environ.get("DATACORE_SEQUENCES", "200"))
RELEASES = {"4.1.1": 0.75, "3.9.1": 0.25}
"""What part of the sequences each gets: the old one is there for versions that 4.x has dropped."""


def played(place: Arena, steps: list[Step]) -> tuple[list[Difference], int, int]:
    """Unexplained differences, the number of requests, and that of explained differences."""
    duel = place.duel()
    explained = 0
    try:
        for step in (*steps, None):
            found = duel.last_differences() if step is None else duel.differences(step)
            for difference in found:
                known = [
                    each
                    for each in sequence_differences()
                    if each.is_about(place.release, difference)
                ]
                if not known and is_explained_elsewhere(difference):
                    explained += 1
                    continue
                if not known:
                    return [difference], duel.requests, explained
                explained += 1
                if any(each.ends for each in known):
                    return [], duel.requests, explained
        return [], duel.requests, explained
    finally:
        duel.close()


def is_explained_elsewhere(difference: Difference) -> bool:
    """Whether the tests of single requests about the cluster know it."""
    step, theirs, ours = difference.step, difference.theirs, difference.ours
    if not step.is_about_the_cluster or "closed" in (theirs, ours):
        return False
    return any(each.is_about(step.request) for each in config_differences()) or any(
        each.is_about(step.request, list(theirs), list(ours)) for each in admin_differences()
    )


@pytest.fixture(scope="module", params=sorted(RELEASES))
def place(request: pytest.FixtureRequest) -> Iterator[Arena]:
    with arena(request.param) as place:
        yield place


def test_sequences_of_requests_are_answered_alike(place: Arena) -> None:
    requests = explained = 0

    @settings(
        max_examples=round(SEQUENCES * RELEASES[place.release]),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def play(data: st.DataObject) -> None:
        nonlocal requests, explained
        steps = data.draw(sequences(place.served, oldest=place.release < "4"))
        differences, asked, known = played(place, steps)
        requests += asked
        explained += known
        note(script(steps))
        assert not differences, str(differences[0])

    play()
    print(
        f"\nApache Kafka {place.release}: {place.sequences} sequences, {requests} requests,"
        f" {explained} explained differences, none unexplained"
    )
