"""Kafka Streams counts words while it and the broker are killed and started again, in full flow."""

from pathlib import Path

import pytest

from tests.compat.applications import application
from tests.compat.environments import Program
from tests.compat.full_flow import Lines, WordCounts
from tests.compat.killable import Killable
from tests.compat.matrix import STREAMS, Client
from tests.compat.raw_requests import create_topic

pytestmark = [pytest.mark.compat, pytest.mark.slow, pytest.mark.timeout(600)]

PARTITIONS = 2
BETWEEN_CRASHES = 300


@pytest.mark.scenario("streams: exactly once, kill -9")
@pytest.mark.parametrize("client", STREAMS, ids=str)
def test_every_word_is_counted_exactly_once(
    client: Client, program: Program, killable: Killable, tmp_path: Path
) -> None:
    guarantee = "exactly_once_v2" if _release(client) >= (3, 0) else "exactly_once_beta"
    counts, words = _counted_with_crashes(program, killable, tmp_path, guarantee)
    # Each count is written as it comes, so one that was counted twice would leave a gap or a copy.
    assert counts == {word: list(range(1, words[word] + 1)) for word in words}


@pytest.mark.scenario("streams: at least once, kill -9")
@pytest.mark.parametrize("client", STREAMS[:1], ids=str)
@pytest.mark.usefixtures("client")
def test_no_word_is_forgotten(program: Program, killable: Killable, tmp_path: Path) -> None:
    counts, words = _counted_with_crashes(program, killable, tmp_path, "at_least_once")
    for word in words:
        assert set(counts[word]) >= set(range(1, words[word] + 1))


def _counted_with_crashes(
    program: Program, broker: Killable, folder: Path, guarantee: str
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """All counts that were committed, and what they should be."""
    command = [*program.command, broker.bootstrap, str(folder), guarantee]
    for topic in ("lines", "counts"):
        create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    with (
        Lines(broker.bootstrap, "lines", partitions=PARTITIONS) as lines,
        WordCounts(broker.bootstrap, "counts", partitions=PARTITIONS) as counts,
    ):
        with application(command) as streams:
            streams.wait_until_it_says("running")
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            broker.crash()
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            streams.process.kill()
        with application(command) as streams:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            # Both at once, and the broker is the later one.
            streams.process.kill()
            broker.crash()
        with application(command) as streams:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            broker.crash()
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            words = lines.stop()
            counts.wait_for_all(words)
            streams.end()
        return counts.by_word(), words


def _release(client: Client) -> tuple[int, ...]:
    return tuple(int(number) for number in client.version.split("."))
