"""Flink counts words while its job and the broker are killed and started again, in full flow."""

from pathlib import Path

import pytest

from tests.compat.applications import application
from tests.compat.environments import Program
from tests.compat.full_flow import Lines, WordCounts
from tests.compat.killable import Killable
from tests.compat.matrix import FLINK
from tests.compat.raw_requests import create_topic

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.parametrize("client", FLINK, ids=str),
]

PARTITIONS = 2
BETWEEN_CRASHES = 300


@pytest.mark.scenario("flink: exactly once, kill -9")
@pytest.mark.usefixtures("client")
def test_every_word_is_counted_exactly_once(
    program: Program, killable: Killable, tmp_path: Path
) -> None:
    command = [*program.command, killable.bootstrap, str(tmp_path)]
    for topic in ("lines", "counts"):
        create_topic(killable.bootstrap, topic, partitions=PARTITIONS)
    with (
        Lines(killable.bootstrap, "lines", partitions=PARTITIONS) as lines,
        WordCounts(killable.bootstrap, "counts", partitions=PARTITIONS) as counts,
    ):
        with application(command) as job:
            job.wait_until_it_says("running")
            # Committed output is that of a checkpoint, which there must be to go on from.
            counts.wait_for_more(BETWEEN_CRASHES)
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            killable.crash()
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            job.process.kill()
        with application([*command, newest_checkpoint(tmp_path)]) as job:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            # Both at once, and the broker is the later one.
            job.process.kill()
            killable.crash()
        with application([*command, newest_checkpoint(tmp_path)]) as job:
            counts.wait_for_uncommitted(BETWEEN_CRASHES)
            words = lines.stop()
            counts.wait_for_all(words)
            job.end()
    assert counts.by_word() == {word: list(range(1, words[word] + 1)) for word in words}


def newest_checkpoint(folder: Path) -> str:
    """The last checkpoint that was completed, in whatever run of the job."""
    return str(max(folder.glob("*/chk-*/_metadata"), key=lambda at: at.stat().st_mtime_ns).parent)
