"""Quix Streams counts words exactly once while it and the broker are killed in full flow."""

from pathlib import Path

import pytest

from tests.compat.applications import application
from tests.compat.environments import Program
from tests.compat.full_flow import Killable, Lines, WordCounts
from tests.compat.matrix import QUIX
from tests.compat.raw_requests import create_topic

pytestmark = [pytest.mark.compat, pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 2
BETWEEN_CRASHES = 300


@pytest.mark.scenario("streams: exactly once, kill -9")
@pytest.mark.parametrize("client", QUIX, ids=str)
@pytest.mark.usefixtures("client")
def test_every_word_is_counted_exactly_once(
    program: Program, killable: Killable, tmp_path: Path
) -> None:
    command = [*program.command, killable.bootstrap, str(tmp_path)]
    environment = program.process_environment()
    for topic in ("lines", "counts"):
        create_topic(killable.bootstrap, topic, partitions=PARTITIONS)
    with (
        Lines(killable.bootstrap, "lines", partitions=PARTITIONS) as lines,
        WordCounts(killable.bootstrap, "counts", partitions=PARTITIONS) as counts,
    ):
        with application(command, environment=environment) as quix:
            quix.wait_until_it_says("running")
            counts.wait_for_more(BETWEEN_CRASHES)
            killable.crash()
            counts.wait_for_more(BETWEEN_CRASHES)
            quix.process.kill()
        with application(command, environment=environment) as quix:
            counts.wait_for_more(BETWEEN_CRASHES)
            words = lines.stop()
            counts.wait_for_all(words)
            quix.end()
        by_word = counts.by_word()
    # Each count is written as it comes, so one that was counted twice would leave a gap or a copy.
    assert by_word == {word: list(range(1, words[word] + 1)) for word in words}
