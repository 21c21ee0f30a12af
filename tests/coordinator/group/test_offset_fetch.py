import pytest

from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from tests.coordinator.group.driver import TOPIC, Driver


@pytest.mark.parametrize("version", range(10))
def test_a_commit_is_found_in_every_version(version: int) -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, leader_epoch=3, metadata="note")
    epoch = 3 if version >= 5 else -1
    assert driver.fetch([TOPIC], version=version) == {TOPIC: (5, epoch, "note")}


@pytest.mark.parametrize("version", range(10))
def test_what_was_never_committed_is_minus_1_and_no_error(version: int) -> None:
    driver = Driver()
    driver.commit({TOPIC: 5})
    elsewhere = ("t", 1)
    assert driver.fetch([elsewhere], version=version) == {elsewhere: (-1, -1, "")}
    assert driver.fetch([TOPIC], version=version, group="nowhere") == {TOPIC: (-1, -1, "")}


@pytest.mark.parametrize("version", range(2, 10))
def test_null_topics_are_all_topics(version: int) -> None:
    driver = Driver()
    offsets = {("t", 0): 1, ("t", 1): 2, ("u", 0): 3}
    driver.commit(offsets)
    driver.commit({("x", 0): 9}, group="other")
    found = driver.fetch(None, version=version)
    assert {partition: offset for partition, (offset, _, _) in found.items()} == offsets
    assert driver.fetch(None, version=version, group="nowhere") == {}


def test_several_groups_are_answered_in_one_response() -> None:
    driver = Driver()
    driver.commit({TOPIC: 1}, group="a")
    driver.commit({TOPIC: 2}, group="b")
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=None) for group in ("b", "a", "c")]
    )
    context = driver.context(8)
    driver.take(driver.shard.offset_fetch(request, context))
    response = driver.answer(driver.last_token, OffsetFetchResponse)
    found = [
        (group.group_id, [t.partitions[0].committed_offset for t in group.topics])
        for group in response.groups
    ]
    assert found == [("b", [2]), ("a", [1]), ("c", [])]


def test_commits_survive_a_restart() -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, metadata="note", leader_epoch=2)
    driver.restart()
    assert driver.fetch([TOPIC]) == {TOPIC: (5, 2, "note")}
    assert driver.describe().group_state == "Empty"
