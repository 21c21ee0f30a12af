"""Groups answer as Apache Kafka 4.1.1 did, script by script, without Apache Kafka."""

import pytest

from tests.golden.group_scripts import LIVES, Life, recordings, replayed

RECORDINGS = recordings()


@pytest.mark.parametrize("life", LIVES, ids=[life.name for life in LIVES])
def test_kafkas_recorded_answers_are_ours(life: Life) -> None:
    recording = RECORDINGS[life.name]
    twin = replayed(recording)
    life.run(twin)
    assert twin.compared == len(recording.answers)


def test_every_recording_is_of_a_script_that_there_is() -> None:
    assert RECORDINGS.keys() == {life.name for life in LIVES}
