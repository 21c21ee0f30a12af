"""Apache Kafka and DataCore answer sequences of requests alike, over all APIs and versions.

``make test-differential`` runs it with as many sequences as DATACORE_SEQUENCES says, from
DATACORE_SEED on (without one, from a number that is printed); it needs Java and Maven. Where the
answers part, hypothesis looks for the shortest sequence that shows it, and its script is printed:
put it into a file, and `python -m tests.differential.replay FILE` tells it to both again. What
differs on purpose is in known_differences.toml.
"""

import os
import random
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from tests.differential.arena import Arena, arena
from tests.differential.judged import judged
from tests.differential.known_differences import SequenceDifference, sequence_differences
from tests.differential.sequences import read_script, script, sequences

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
SEED = int(os.environ.get("DATACORE_SEED") or random.randrange(2**31))
RELEASES = {"4.1.1": 0.75, "3.9.1": 0.25}
"""What part of the sequences each gets: the old one is there for versions that 4.x has dropped."""


SHOWN_AT = [(known.release or "4.1.1", known) for known in sequence_differences()]
"""Each known difference, and the release that its script is told."""


@pytest.fixture(scope="module", params=sorted(RELEASES))
def place(request: pytest.FixtureRequest) -> Iterator[Arena]:
    with arena(request.param) as place:
        yield place


def test_sequences_of_requests_are_answered_alike(place: Arena) -> None:
    requests = explained = 0

    @seed(SEED)
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
        found = judged(place, steps)
        requests += found.requests
        explained += len(found.explained)
        note(script(steps))
        assert not found.unexplained, f"{found.unexplained[0]}, by DATACORE_SEED={SEED}"

    play()
    print(
        f"\nApache Kafka {place.release}, seed {SEED}: {place.sequences} sequences,"
        f" {requests} requests,"
        f" {explained} explained differences, none unexplained"
    )


@pytest.mark.parametrize(
    ("place", "known"), SHOWN_AT, indirect=["place"], ids=lambda each: getattr(each, "api", None)
)
def test_a_known_difference_is_still_there(place: Arena, known: SequenceDifference) -> None:
    found = judged(place, read_script(known.script))
    assert not found.unexplained, found.unexplained[0]
    assert known.reason in {reason for reason, _ in found.explained}
