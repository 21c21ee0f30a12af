"""Python's stream applications count words while they and the broker are killed in full flow."""

from pathlib import Path

import pytest

from tests.compat.applications import application
from tests.compat.environments import Program
from tests.compat.full_flow import Killable, Lines, Output, WordCounts
from tests.compat.matrix import FAUST, QUIX
from tests.compat.raw_requests import create_topic, next_offset

pytestmark = [pytest.mark.compat, pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 2
BETWEEN_CRASHES = 300


@pytest.mark.scenario("streams: exactly once, kill -9")
@pytest.mark.parametrize("client", QUIX, ids=str)
@pytest.mark.usefixtures("client")
def test_quix_counts_every_word_exactly_once(
    program: Program, killable: Killable, tmp_path: Path
) -> None:
    command = [*program.command, killable.bootstrap, str(tmp_path)]
    counts, words = _counted_with_crashes(program, killable, command)
    # Each count is written as it comes, so one that was counted twice would leave a gap or a copy.
    assert counts == {word: list(range(1, words[word] + 1)) for word in words}


@pytest.mark.scenario("streams: at least once, kill -9")
@pytest.mark.parametrize("client", FAUST, ids=str)
@pytest.mark.usefixtures("client")
def test_faust_forgets_no_line_and_no_word(
    program: Program, killable: Killable, tmp_path: Path
) -> None:
    for topic in ("seen", "words"):
        create_topic(killable.bootstrap, topic, partitions=PARTITIONS)
    command = [*program.command, killable.bootstrap, str(tmp_path), "at_least_once"]
    # It takes in some hundred words a second, less on a busy machine.
    counts, words = _counted_with_crashes(program, killable, command, lines_a_pause=1)
    assert all(max(counts[word]) >= words[word] for word in words)
    # One that was counted twice would make up for one that was not, so it tells what it read, too.
    ends = {at: next_offset(killable.bootstrap, "lines", at) for at in range(PARTITIONS)}
    lines = {b"%d %d" % (at, offset) for at, end in ends.items() for offset in range(end)}
    with Output(killable.bootstrap, "seen", partitions=PARTITIONS) as seen:
        seen.wait_until(lambda: {told for _, told in seen.records} == lines, "it has read all")


def _counted_with_crashes(
    program: Program, broker: Killable, command: list[str], *, lines_a_pause: int = 5
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """All counts that were committed, and what they should be."""
    environment = program.process_environment()
    for topic in ("lines", "counts"):
        create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    with (
        Lines(
            broker.bootstrap, "lines", partitions=PARTITIONS, lines_a_pause=lines_a_pause
        ) as lines,
        WordCounts(broker.bootstrap, "counts", partitions=PARTITIONS) as counts,
    ):
        with application(command, environment=environment) as running:
            running.wait_until_it_says("running")
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            broker.crash()
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            running.process.kill()
        with application(command, environment=environment) as running:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            # Both at once, and the broker is the later one.
            running.process.kill()
            broker.crash()
        with application(command, environment=environment) as running:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            words = lines.stop()
            counts.wait_for_all(words)
            running.end()
        return counts.by_word(), words
